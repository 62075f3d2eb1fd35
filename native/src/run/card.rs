//! `dataset/README.md`: the dataset card, with the front matter that dataset loaders read.

use std::fmt::Write;

use record::Result;
use record::plan::{Plan, Source};
use record::{Funnel, Task};

use super::planfile::plan_text;
use super::written::Written;
use crate::html::count;

/// The plan without local folders: paths are reduced to their last component.
#[must_use]
pub fn public_plan(plan: &Plan) -> Plan {
    let last = |name: &str| {
        let is_path = name.starts_with(['/', '.', '~', '\\']) || name.contains(['\\', ':']);
        let parts = name.rsplit(['/', '\\']);
        if is_path {
            parts.map(str::trim).find(|p| !p.is_empty()).unwrap_or_default().to_owned()
        } else {
            name.to_owned()
        }
    };
    let mut out = plan.clone();
    let m = &mut out.models;
    for name in [&mut m.teacher, &mut m.critic, &mut m.encoder, &mut m.student] {
        *name = last(name);
    }
    // A model's name may be `owner/name`, but the seed file is always a path.
    out.contexts.seeds = out.contexts.seeds.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    out
}

fn size_category(rows: u64) -> &'static str {
    match rows {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        100_000..1_000_000 => "100K<n<1M",
        1_000_000..10_000_000 => "1M<n<10M",
        _ => "10M<n<100M",
    }
}

/// Escapes text for a Markdown table cell.
fn cell(text: &str) -> String {
    let clean = |c: char| if c.is_control() || c == '`' { ' ' } else { c };
    text.chars().map(clean).collect::<String>().replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;")
}

fn front_matter(out: &mut String, written: &Written) {
    let rows: u64 = written.kept.iter().sum();
    out.push_str("---\nlanguage:\n- en\npretty_name: Impossible Distillation pairs\ntask_categories:\n");
    out.push_str("- text-generation\n- summarization\n");
    let _ = writeln!(out, "size_categories:\n- {}", size_category(rows));
    out.push_str("tags:\n- paraphrase\n- summarization\n- synthetic\n- impossible-distillation\n");
    // Dataset loaders refuse a configuration without rows.
    let tasks: Vec<_> = Task::ALL.into_iter().zip(written.kept).filter(|(_, n)| *n > 0).collect();
    if !tasks.is_empty() {
        out.push_str("configs:\n");
        for (i, (task, _)) in tasks.iter().enumerate() {
            let name = task.name();
            let _ = writeln!(out, "- config_name: {name}");
            if i == 0 {
                out.push_str("  default: true\n");
            }
            let _ = writeln!(out, "  data_files:\n  - split: train\n    path: {name}.parquet");
        }
    }
    out.push_str("---\n\n");
}

/// The dataset card, which depends on the plan and the counts only.
///
/// # Errors
/// [`record::Error::Input`] for a plan that TOML cannot represent.
pub fn card(plan: &Plan, plan_hash: &str, written: &Written) -> Result<String> {
    let public = public_plan(plan);
    let mut out = String::new();
    front_matter(&mut out, written);
    out.push_str(
        "# Paraphrase and summary pairs by Impossible Distillation\n\n\
         A language model was sampled many times after the same left context. Pairs of these sentences that mean the \
         same in different words, according to the critics, are the paraphrases; pairs in which the first sentence \
         entails a shorter second one are the summaries. No person wrote or selected a pair. The method is that of \
         Jung et al., *Impossible Distillation* (arXiv 2305.16635).\n\n",
    );
    out.push_str("| configuration | pairs | columns |\n|---|---:|---|\n");
    for (task, n) in Task::ALL.into_iter().zip(written.kept) {
        let name = task.name();
        let _ = writeln!(out, "| `{name}` | {} | `text`, `{name}`, scores, origin |", count(n));
    }
    out.push_str(
        "\nThe Parquet and the JSONL file of a configuration hold the same rows.\n\n\
         | column | meaning |\n|---|---|\n\
         | `text` | x, the source sentence |\n\
         | `paraphrase` / `summary` | y, the target sentence |\n\
         | `length_ratio` | characters of y / characters of x |\n\
         | `rouge_l` | ROUGE-L F1 of x and y |\n\
         | `numbers`, `entities`, `modality` | 1 = they agree as the plan requires |\n\
         | `cosine` | cosine of the sentence embeddings |\n\
         | `forward`, `backward` | p(x entails y), p(y entails x) |\n\
         | `context`, `x`, `y` | the context in the run and the rows of both samples |\n\n\
         A score is null if the plan has no such critic.\n\n",
    );
    out.push_str("## How it was made\n\n");
    let _ = writeln!(out, "| | |\n|---|---|\n| teacher | {} |", cell(&public.models.teacher));
    let _ = writeln!(out, "| entailment critic | {} |", cell(&public.models.critic));
    if !public.models.encoder.is_empty() {
        let _ = writeln!(out, "| sentence encoder | {} |", cell(&public.models.encoder));
    }
    let source = match public.contexts.source {
        Source::News => "news datelines, continued by the teacher".to_owned(),
        Source::Newswire => "datelines and beginnings of news reports, continued by the teacher".to_owned(),
        Source::Biomedical => "section headings of biomedical abstracts, continued by the teacher".to_owned(),
        Source::None => "the start of text, continued by the teacher".to_owned(),
        Source::Seeds => format!("sentences of {}", cell(&public.contexts.seeds)),
    };
    let _ = writeln!(out, "| contexts | {} from {source} |", count(written.contexts));
    let _ = writeln!(out, "| samples of each context | {} |", public.siblings.k);
    let _ = writeln!(out, "| seed, device | {}, {} |", public.seed, cell(&public.device.to_string()));
    let _ = writeln!(out, "| plan sha256 | `{plan_hash}` |\n");
    funnel(&mut out, &written.funnel);
    let _ = write!(
        out,
        "## Limits\n\n\
         - The sentences are a language model's inventions: what they state about people, places and numbers is often \
         false, and they carry the biases of the teacher's training text.\n\
         - The critics are models and rules too. Some kept pairs differ in a detail; every pair has its scores, \
         so that a stricter threshold can be applied.\n\
         - Pairs were filtered by these critics: do not use the same critics to measure how faithful a model trained on \
         them is.\n\
         - English only. The licence depends on the teacher's terms and is for the publisher to state.\n\n\
         ## Plan\n\n````toml\n{}````\n",
        plan_text(&public)?.replace("````", "'")
    );
    Ok(out)
}

fn funnel(out: &mut String, funnel: &Funnel) {
    for task in Task::ALL {
        let steps = funnel.steps(task);
        if steps.is_empty() {
            continue;
        }
        let _ = writeln!(out, "Pairs left after each critic, {}:\n", task.name());
        out.push_str("| critic | seen | left |\n|---|---:|---:|\n");
        for step in steps {
            let _ = writeln!(out, "| {} | {} | {} |", cell(step.critic.name()), count(step.seen), count(step.passed));
        }
        out.push('\n');
    }
    let contexts: Vec<(&str, u64)> = funnel.contexts.iter().map(|(outcome, n)| (outcome.name(), *n)).collect();
    let samples: Vec<(&str, u64)> = funnel.samples.iter().map(|(outcome, n)| (outcome.name(), *n)).collect();
    for (what, counts) in [("Contexts", contexts), ("Samples", samples)] {
        if counts.is_empty() {
            continue;
        }
        let _ = writeln!(out, "| {what} | |\n|---|---:|");
        for (outcome, n) in counts {
            let _ = writeln!(out, "| {} | {} |", cell(&outcome.replace('_', " ")), count(n));
        }
        out.push('\n');
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::super::fixture::{plan, range_data};
    use super::*;

    fn written(kept: [u64; 2]) -> Written {
        Written { contexts: 10, kept, funnel: range_data(&(0..10)).funnel, survey: Default::default() }
    }

    #[test]
    fn card_names_models_but_no_folders() {
        let card = card(&plan(), "abc", &written([10, 5])).unwrap();
        assert!(card.starts_with("---\nlanguage:\n- en\n"));
        assert!(card.contains("| teacher | gpt2 |") && card.contains("teacher = \"gpt2\""), "{card}");
        assert!(!card.contains("/home"), "{card}");
        assert!(card.contains("path: summary.parquet") && card.contains("size_categories:\n- n<1K\n"));
        assert!(card.contains("| entities | 30 | 10 |"), "{card}");
    }

    #[test]
    fn empty_tasks_have_no_configuration() {
        let some = card(&plan(), "abc", &written([0, 5])).unwrap();
        assert!(!some.contains("config_name: paraphrase") && some.contains("config_name: summary\n  default: true"));
        assert!(!card(&plan(), "abc", &written([0, 0])).unwrap().contains("configs:"));
    }

    #[test]
    fn hub_names_stay_whole_and_paths_do_not() {
        let mut p = plan();
        p.models.critic = "owner/nli|x".into();
        p.models.encoder = "C:\\models\\mini\\".into();
        p.contexts.seeds = "private/folder/seeds.txt".into();
        let card = card(&p, "abc", &written([1, 1])).unwrap();
        assert!(card.contains("owner/nli\\|x") && card.contains("| sentence encoder | mini |"), "{card}");
        assert!(!card.contains("private"));
    }
}

//! The page of a run's report: kept pairs, funnel, scores, examples, timings and plan.

use std::fmt::Write;

use record::Result;
use record::plan::Plan;
use record::{Kept, Task};

use super::histogram::Picture;
use crate::html::{self, count, escape};
use crate::run::card::public_plan;
use crate::run::dataset::Written;
use crate::run::planfile::plan_text;
use crate::run::survey::{SCORES, TaskSurvey};
use crate::run::timings::Timings;

/// The report as HTML; `students` is the section about students, as HTML.
///
/// # Errors
/// [`record::Error::Input`] for a plan that TOML cannot represent.
pub fn report(plan: &Plan, plan_hash: &str, written: &Written, timings: &Timings, students: &str) -> Result<String> {
    let mut out = String::new();
    head(&mut out, plan, plan_hash, written);
    for ((task, kept), survey) in Task::ALL.into_iter().zip(written.kept).zip(&written.survey) {
        section(&mut out, plan, task, kept, written, survey);
    }
    out.push_str(students);
    dropped(&mut out, written);
    times(&mut out, timings);
    let _ = writeln!(
        out,
        "<h2>Plan</h2>\n<details><summary>All entries</summary><pre class=\"scroll\">{}</pre></details>",
        escape(&plan_text(&public_plan(plan))?)
    );
    Ok(html::page("Report of a distillation run", &out))
}

fn head(out: &mut String, plan: &Plan, plan_hash: &str, written: &Written) {
    let (public, [paraphrases, summaries]) = (public_plan(plan), written.kept.map(count));
    let _ = writeln!(out, "<h1>{paraphrases} paraphrase pairs, {summaries} summary pairs</h1>");
    let _ = writeln!(
        out,
        "<p>From {} of {} contexts, with {} samples each. Every pair passed all critics of its task.</p>",
        count(written.contexts),
        count(plan.contexts.count as u64),
        plan.siblings.k
    );
    out.push_str("<div class=\"scroll\"><table><caption>The run</caption><tbody>\n");
    let rows = [
        ("teacher", public.models.teacher),
        ("entailment critic", public.models.critic),
        ("sentence encoder", public.models.encoder),
        ("seed", public.seed.to_string()),
        ("device", public.device.to_string()),
        ("plan sha256", plan_hash.to_owned()),
    ];
    for (name, value) in rows.iter().filter(|(_, v)| !v.is_empty()) {
        let _ = writeln!(out, "<tr><th scope=\"row\">{name}</th><td class=\"text\">{}</td></tr>", escape(value));
    }
    out.push_str("</tbody></table></div>\n");
}

fn section(out: &mut String, plan: &Plan, task: Task, kept: u64, written: &Written, survey: &TaskSurvey) {
    let title = match task {
        Task::Paraphrase => "Paraphrases",
        Task::Summary => "Summaries",
    };
    let _ = writeln!(out, "<section aria-labelledby=\"{0}\">\n<h2 id=\"{0}\">{title}</h2>", task.name());
    funnel(out, task, kept, written);
    out.push_str(
        "<h3>Scores</h3>\n<p>Kept and refused pairs have different scales. The dashed line is the \
                  threshold. A pair that one critic refused has no scores of later critics.</p>\n",
    );
    out.push_str("<div class=\"figures\">\n");
    for (((name, label), split), threshold) in SCORES.into_iter().zip(&survey.scores).zip(thresholds(plan, task)) {
        let id = format!("{}-{}", task.name(), name.replace('_', "-"));
        let picture = Picture { id: &id, score: label, kept: &split.kept, refused: &split.refused, threshold };
        out.push_str(&picture.html());
    }
    out.push_str("</div>\n");
    examples(out, &survey.examples);
    out.push_str("</section>\n");
}

/// Thresholds of the plan in the order of [`SCORES`]; `None` if the task has no such threshold.
fn thresholds(plan: &Plan, task: Task) -> [Option<f32>; 4] {
    let (p, s) = (&plan.paraphrase, &plan.summary);
    match task {
        Task::Paraphrase => [Some(p.rouge_max), p.cosine_min, Some(p.entailment_min), Some(p.entailment_min)],
        Task::Summary => [None, s.cosine_min, Some(s.entailment_min), None],
    }
}

fn funnel(out: &mut String, task: Task, kept: u64, written: &Written) {
    let steps = written.funnel.steps(task);
    let _ = write!(
        out,
        "<div class=\"scroll\"><table><caption>Critics in the order in which they run; {} pairs kept</caption>\n<thead><tr>\
         <th scope=\"col\">critic</th><th scope=\"col\">seen</th><th scope=\"col\">refused</th><th scope=\"col\">left</th>\
         <th scope=\"col\">share left</th><td></td></tr></thead>\n<tbody>\n",
        count(kept)
    );
    for step in steps {
        let share = if step.seen == 0 { 0.0 } else { step.passed as f64 / step.seen as f64 };
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{:.1} %</td>\
             <td><meter value=\"{share:.4}\" aria-hidden=\"true\"></meter></td></tr>",
            escape(step.critic.name()),
            count(step.seen),
            count(step.seen.saturating_sub(step.passed)),
            count(step.passed),
            100.0 * share
        );
    }
    out.push_str("</tbody></table></div>\n");
}

fn examples(out: &mut String, examples: &[Kept]) {
    out.push_str("<h3>Kept pairs, drawn at random</h3>\n");
    if examples.is_empty() {
        out.push_str("<p>No pair passed all critics.</p>\n");
        return;
    }
    out.push_str("<ol class=\"pairs\">\n");
    for pair in examples {
        let s = &pair.scored;
        let _ = write!(out, "<li><p>{}</p><p>{}</p><span class=\"soft\">", escape(&pair.text), escape(&pair.target));
        let _ = write!(out, "context {}, ROUGE-L {:.2}", s.context, s.rouge_l);
        for (name, value) in [("cosine", s.cosine), ("forward", s.forward), ("backward", s.backward)] {
            if let Some(value) = value {
                let _ = write!(out, ", {name} {value:.2}");
            }
        }
        out.push_str("</span></li>\n");
    }
    out.push_str("</ol>\n");
}

fn dropped(out: &mut String, written: &Written) {
    out.push_str("<h2>Contexts and samples</h2>\n");
    let funnel = &written.funnel;
    outcomes(out, "Contexts", funnel.contexts.iter().map(|(outcome, n)| (outcome.name(), *n)).collect());
    outcomes(out, "Samples", funnel.samples.iter().map(|(outcome, n)| (outcome.name(), *n)).collect());
}

fn outcomes(out: &mut String, what: &str, counts: Vec<(&str, u64)>) {
    let total: u64 = counts.iter().map(|(_, n)| n).sum();
    let _ = write!(
        out,
        "<div class=\"scroll\"><table><caption>{what}, {} in all</caption>\n<thead><tr><th scope=\"col\">outcome</th>\
         <th scope=\"col\">number</th><th scope=\"col\">share</th></tr></thead>\n<tbody>\n",
        count(total)
    );
    for (outcome, n) in counts {
        let (name, share) = (escape(&outcome.replace('_', " ")), 100.0 * n as f64 / total.max(1) as f64);
        let _ = writeln!(out, "<tr><th scope=\"row\">{name}</th><td>{}</td><td>{share:.1} %</td></tr>", count(n));
    }
    out.push_str("</tbody></table></div>\n");
}

fn times(out: &mut String, timings: &Timings) {
    if timings.stages.is_empty() {
        return;
    }
    out.push_str("<h2>Time</h2>\n<div class=\"scroll\"><table><caption>Total over all sessions of the run</caption>\n");
    out.push_str("<thead><tr><th scope=\"col\">stage</th><th scope=\"col\">seconds</th></tr></thead>\n<tbody>\n");
    for s in &timings.stages {
        let _ = writeln!(out, "<tr><th scope=\"row\">{}</th><td>{:.1}</td></tr>", escape(&s.stage), s.seconds);
    }
    out.push_str("</tbody></table></div>\n");
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::run::RunFolder;
    use crate::run::fixture::{finish_run, plan};

    #[test]
    fn page_is_whole_escaped_and_shows_timings() {
        let dir = tempfile::tempdir().unwrap();
        finish_run(dir.path(), &plan(), 4);
        let folder = RunFolder::create_or_resume(dir.path(), &plan()).unwrap();
        let mut timings = Timings::default();
        timings.add("siblings <1>", 2.0);
        folder.add_timings(&timings).unwrap();
        folder.add_timings(&timings).unwrap();
        crate::report::write(&folder, &folder.write_dataset().unwrap()).unwrap();
        let html = std::fs::read_to_string(dir.path().join("report.html")).unwrap();
        assert!(html.contains("<h1>10 paraphrase pairs, 5 summary pairs</h1>"));
        assert!(html.contains("siblings &lt;1&gt;</th><td>4.0</td>"), "{html}");
        assert!(html.contains("version 1 was &lt;ready&gt;.") && !html.contains("<ready>"));
        assert!(!html.contains("/home") && !html.contains("http") && !html.contains("<script"));
        assert_eq!(html.matches("<svg").count(), 8);
        for tag in ["table", "figure", "section", "li", "div", "details", "svg", "main"] {
            let opened = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }

    #[test]
    fn empty_run_still_has_a_page() {
        let written = Written { contexts: 0, kept: [0, 0], funnel: Default::default(), survey: Default::default() };
        let html = report(&plan(), "abc", &written, &Timings::default(), "").unwrap();
        assert!(html.contains("No pair passed all critics") && !html.contains("NaN"));
    }
}

//! `impossible distill`: contexts, siblings, critics, the dataset, and students if requested.

use std::path::{Path, PathBuf};

use anyhow::Result;
use method::distill::pipeline::Judged;
use record::plan::{Plan, Source};
use record::{ContextOutcome, Error, Kept, Task};
use serde_json::json;

use crate::args::{Distill, Until};
use crate::plans;
use crate::run::view::{Style, render};
use crate::session::Session;
use crate::stages::pairs::{self, Request};
use crate::stages::refine::check_sentences;
use crate::stages::whole;

pub(super) fn run(session: &Session, args: &Distill) -> Result<()> {
    let mut plan = plans::plan(&args.plan, session.spec()?)?;
    let seeds = plans::seeds(&mut plan, &args.plan)?;
    if let Some(limit) = args.preview {
        return preview(session, &pairs::preview(session, &plan, &seeds)?, limit);
    }
    let part = part(args.shard.as_deref())?;
    let out: PathBuf = args.out.clone().unwrap_or_else(|| Path::new("runs").join(args.plan.preset().name()));
    let until = until(args, &plan);
    if matches!(until, Until::Refined | Until::Reworded) {
        // Before the hours of the run, not after them.
        check_sentences(&plan, args.sentences.as_deref())?;
    }
    let (_, written) = pairs::make(session, &Request { plan: &plan, seeds: &seeds, out: &out, part })?;
    if until != Until::Dataset {
        return whole::students(session, args, &plan, &out, until);
    }
    let contexts = written.funnel.contexts(ContextOutcome::Made);
    let [paraphrase, summary] = written.kept;
    let done =
        json!({"run": out.to_string_lossy(), "contexts": contexts, "paraphrase": paraphrase, "summary": summary});
    session.say(&done, || {
        let out = out.display();
        // Some attempts at contexts are refused; the report says why.
        let made = if contexts < written.contexts {
            format!("{contexts} of {} contexts", written.contexts)
        } else {
            format!("{contexts} contexts")
        };
        format!(
            "{paraphrase} paraphrase pairs and {summary} summary pairs from {made}.\n  {out}/dataset/paraphrase.jsonl\n  {out}/dataset/summary.jsonl\n  {out}/report.html\nRead them: impossible inspect {out}\nOther thresholds: impossible filter --run {out} --rouge-max 0.6"
        )
    })
}

/// The last stage to run. By default a plan with its own student model runs all stages, but on the user's texts
/// self-distillation needs `--sentences`.
fn until(args: &Distill, plan: &Plan) -> Until {
    args.until.unwrap_or(match plan.contexts.source {
        _ if plan.models.student.is_empty() || args.shard.is_some() => Until::Dataset,
        Source::Seeds if args.sentences.is_none() => Until::Student,
        _ => Until::Refined,
    })
}

/// Parses `i/N` with i from 1 to `(i - 1, N)`; `(0, 1)` without a value.
fn part(text: Option<&str>) -> record::Result<(u64, u64)> {
    let Some(text) = text else { return Ok((0, 1)) };
    let parsed = text.split_once('/').and_then(|(i, n)| Some((i.parse::<u64>().ok()?, n.parse::<u64>().ok()?)));
    match parsed {
        Some((i, n)) if (1..=n).contains(&i) => Ok((i - 1, n)),
        _ => Err(Error::input("--shard", "i/N with i from 1 to N", format!("\"{text}\""))),
    }
}

fn preview(session: &Session, judged: &Judged, limit: usize) -> Result<()> {
    for task in Task::ALL {
        for s in judged.scored.iter().filter(|s| s.task == task && s.kept()).take(limit) {
            let text = |row| judged.text(s.context, row).to_owned();
            let pair = Kept { text: text(s.x), target: text(s.y), scored: s.clone() };
            session.say(&pair, || render(&pair, Style { width: 100, colour: false }))?;
        }
    }
    session.say(&judged.funnel, || format!("{:#?}", judged.funnel))
}

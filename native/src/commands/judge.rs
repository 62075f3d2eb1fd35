//! `impossible judge`: blind judgement of pairs by a person, and precision with a confidence interval.

use std::io::{BufRead, Write};

use anyhow::Result;
use serde_json::json;

use crate::args::Judge;
use crate::run::RunFolder;
use crate::run::judge::{Answer, Draw, JUDGEMENTS, Judgements};
use crate::session::Session;

pub(super) fn run(session: &Session, args: &Judge) -> Result<()> {
    let folder = RunFolder::open(&args.run)?;
    let task = args.task;
    let mut draw = Draw::new(args.seed, args.sample, args.refused);
    for shard in folder.shards()? {
        for pair in shard?.pairs(|s| s.task == task) {
            draw.offer(&pair);
        }
    }
    let mut answers = Judgements::open(&args.run.join(JUDGEMENTS))?;
    let questions = draw.finish();
    let total = questions.len();
    note!(
        "Is the second sentence a good {} of the first? y = yes, p = partly, n = no, q = stop. Answers are saved.",
        task.name()
    );
    let mut input = std::io::stdin().lock().lines();
    'questions: for (i, question) in questions.iter().enumerate() {
        if answers.get(&question.id()).is_some() {
            continue;
        }
        loop {
            let mut out = std::io::stderr();
            write!(out, "\n[{}/{total}]\n  {}\n  {}\n> ", i + 1, question.text(), question.target())?;
            out.flush()?;
            let answer = match input.next().transpose()?.as_deref().map(str::trim) {
                Some("y" | "yes") => Answer::Yes,
                Some("p" | "partly") => Answer::Partly,
                Some("n" | "no") => Answer::No,
                Some("q") | None => break 'questions,
                Some(_) => continue,
            };
            answers.record(question.judged(answer))?;
            break;
        }
    }
    for kept in [true, false] {
        let tally = answers.tally(task, kept);
        let strict = tally.strict().map(|s| (s.value, s.low, s.high));
        let row = json!({"task": task.name(), "kept": kept, "yes": tally.yes, "partly": tally.partly, "no": tally.no, "yes_share": strict});
        session.say(&row, || {
            let which = if kept { "kept" } else { "refused" };
            match strict {
                Some((v, low, high)) => format!(
                    "{which}: {} yes, {} partly, {} no; yes {:.0} % (95 % interval {:.0} to {:.0} %)",
                    tally.yes,
                    tally.partly,
                    tally.no,
                    v * 100.0,
                    low * 100.0,
                    high * 100.0
                ),
                None => format!("{which}: none judged yet"),
            }
        })?;
    }
    Ok(())
}

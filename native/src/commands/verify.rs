//! `impossible verify`: checking the hashes of a run's files.

use anyhow::Result;
use record::Error;
use serde_json::json;

use crate::args::Verify;
use crate::run::verify::{State, verify};
use crate::session::Session;

pub(super) fn run(session: &Session, args: &Verify) -> Result<()> {
    let seen = verify(&args.run)?;
    let broken: Vec<String> = seen
        .files
        .iter()
        .filter_map(|f| match &f.state {
            State::Ok => None,
            State::Missing => Some(format!("{}: missing", f.path)),
            State::Broken(reason) => Some(format!("{}: {reason}", f.path)),
        })
        .collect();
    let row = json!({"files": seen.files.len(), "broken": broken, "unfinished": seen.unfinished,
        "unchecked": seen.unchecked, "gaps": seen.gaps, "complete": seen.is_complete()});
    session.say(&row, || {
        let mut text = format!("{} files read, {} broken or missing.", seen.files.len(), broken.len());
        for line in &broken {
            text += &format!("\n  {line}");
        }
        for gap in &seen.gaps {
            text += &format!("\nContexts {} to {} are not done yet.", gap.start, gap.end - 1);
        }
        if !seen.unchecked.is_empty() {
            text += &format!("\nNot checked, as no hash is recorded: {}.", seen.unchecked.join(", "));
        }
        text
    })?;
    if seen.is_ok() {
        Ok(())
    } else {
        let reason = format!("{} of its files are broken or missing. {}", broken.len(), advice(&broken));
        Err(Error::broken(args.run.display(), reason).into())
    }
}

/// What to do about broken files.
fn advice(broken: &[String]) -> String {
    let within = |folder: &str| broken.iter().any(|line| line.starts_with(folder));
    let mut steps = Vec::new();
    if within("shards/") {
        steps.push("remove the named folders in shards/");
    }
    if broken.iter().any(|line| line.contains("checkpoints/")) {
        steps.push("remove the folders of the trainings with damaged checkpoints");
    }
    let again = "run the command that made the folder again";
    if steps.is_empty() {
        format!("To write them anew, {again}.")
    } else {
        format!("First {}, then {again}.", steps.join(" and "))
    }
}

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
    let row = json!({"files": seen.files.len(), "broken": broken, "unfinished": seen.unfinished, "gaps": seen.gaps,
        "complete": seen.is_complete()});
    session.say(&row, || {
        let mut text = format!("{} files read, {} broken or missing.", seen.files.len(), broken.len());
        for line in &broken {
            text += &format!("\n  {line}");
        }
        for gap in &seen.gaps {
            text += &format!("\nContexts {} to {} are not done yet.", gap.start, gap.end - 1);
        }
        text
    })?;
    if seen.is_ok() {
        Ok(())
    } else {
        let reason = format!(
            "{} of its files are broken or missing; delete the named shards and run distill again",
            broken.len()
        );
        Err(Error::broken(args.run.display(), reason).into())
    }
}

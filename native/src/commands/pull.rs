//! `impossible pull`: models from the hub.

use anyhow::Result;

use super::Session;
use crate::args::Pull;
use crate::progress::stop_flag;
use crate::pull::{Hub, Options, pull};

pub(super) fn run(session: &Session, args: &Pull) -> Result<()> {
    let hub = Hub::from_environment(args.endpoint.as_deref())?;
    let stop = stop_flag()?;
    let options = Options { store: &session.store, hub: &hub, quiet: session.quiet, stop: &stop };
    for report in pull(&args.what, &options)? {
        session.say(&report, || format!("{} -> {}", report.repo, report.path.display()))?;
    }
    Ok(())
}

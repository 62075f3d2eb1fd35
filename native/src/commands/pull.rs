//! `impossible pull`: downloading models from the Hugging Face hub.

use anyhow::Result;

use crate::args::Pull;
use crate::pull::{Hub, Options, pull};
use crate::session::Session;

pub(super) fn run(session: &Session, args: &Pull) -> Result<()> {
    let hub = Hub::from_environment(args.endpoint.as_deref())?;
    let stop = session.stop()?;
    let options = Options { store: &session.store, hub: &hub, quiet: session.quiet, stop: &stop };
    for report in pull(&args.what, &options)? {
        session.say(&report, || format!("{} -> {}", report.repo, report.path.display()))?;
    }
    Ok(())
}

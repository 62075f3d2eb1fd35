//! Progress on stderr, Ctrl-C, and the seconds each stage took.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use impossible_core::event::{Event, Observer, Signal, Stage};
use impossible_core::{Error, Result};
use indicatif::{ProgressBar, ProgressStyle};

use crate::run::timings::Timings;

/// A flag that Ctrl-C sets. A second Ctrl-C ends the process at once.
///
/// # Errors
/// [`Error::Io`] when the system refuses the handler.
pub fn stop_flag() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    ctrlc::set_handler(move || {
        if set.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("\nStopping after this step. Press Ctrl-C again to stop at once.");
    })
    .map_err(|e| Error::io("watching", "Ctrl-C", e))?;
    Ok(flag)
}

/// Shows events and times stages.
pub struct Progress {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
    start: Instant,
    stage: Stage,
    since: Instant,
    first_done: u64,
    /// Seconds by stage.
    pub timings: Timings,
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Loading => "loading",
        Stage::Contexts => "contexts",
        Stage::Siblings => "siblings",
        Stage::Critics => "critics",
        Stage::Writing => "writing",
    }
}

impl Progress {
    /// A bar over `total` contexts, `done` of which are there already.
    #[must_use]
    pub fn new(total: u64, done: u64, quiet: bool, stop: Arc<AtomicBool>) -> Self {
        Self::of("contexts", total, done, quiet, stop)
    }

    /// A bar over things of another kind.
    #[must_use]
    pub fn of(things: &str, total: u64, done: u64, quiet: bool, stop: Arc<AtomicBool>) -> Self {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(total) };
        let style =
            ProgressStyle::with_template(&format!("{{prefix:>9}} {{bar:24}} {{pos}}/{{len}} {things}  {{msg}}"));
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_position(done);
        let now = Instant::now();
        Self { bar, stop, start: now, stage: Stage::Loading, since: now, first_done: done, timings: Timings::default() }
    }

    /// Ends the current stage.
    pub fn enter(&mut self, stage: Stage) {
        if stage != self.stage {
            let now = Instant::now();
            self.timings.add(stage_name(self.stage), (now - self.since).as_secs_f64());
            (self.stage, self.since) = (stage, now);
        }
    }

    /// Takes the bar away and closes the last stage.
    pub fn finish(&mut self) {
        self.timings.add(stage_name(self.stage), self.since.elapsed().as_secs_f64());
        self.since = Instant::now();
        self.bar.finish_and_clear();
    }
}

impl Observer for Progress {
    fn event(&mut self, event: &Event) -> Signal {
        self.enter(event.stage);
        self.bar.set_prefix(stage_name(event.stage));
        self.bar.set_position(event.done);
        let seconds = self.start.elapsed().as_secs_f64().max(1e-3);
        #[allow(clippy::cast_precision_loss)]
        let (tokens, pairs) = (event.tokens as f64 / seconds, event.pairs as f64 / seconds);
        let new = event.done.saturating_sub(self.first_done);
        #[allow(clippy::cast_precision_loss)]
        let left = if new == 0 {
            "time left: not known yet".to_owned()
        } else {
            let left = seconds / new as f64 * event.total.saturating_sub(event.done) as f64;
            format!("{} left", indicatif::HumanDuration(std::time::Duration::from_secs_f64(left)))
        };
        self.bar.set_message(format!("{} kept, {tokens:.0} tokens/s, {pairs:.1} pairs/s, {left}", event.kept));
        if self.stop.load(Ordering::Relaxed) { Signal::Stop } else { Signal::Continue }
    }
}

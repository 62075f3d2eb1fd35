//! The progress bar on stderr, handling of Ctrl-C, and stage timings.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use record::monitor::{Progress, Signal, Stage, Watch};
use record::{Error, Result};

use crate::run::timings::Timings;

/// Time between the lines of progress where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Installs a Ctrl-C handler and returns the flag that it sets. A second Ctrl-C ends the process at once.
///
/// # Errors
/// [`Error::Io`] when the handler cannot be installed.
pub fn stop_flag() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    ctrlc::set_handler(move || {
        if set.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        note!("\nStopping after this step. Press Ctrl-C again to stop at once.");
    })
    .map_err(|e| Error::io("watching", "Ctrl-C", e))?;
    Ok(flag)
}

/// Text that a bar shows instead of rates; it can be changed while a [`Monitor`](record::Monitor) borrows the bar.
#[derive(Debug, Clone, Default)]
pub struct Note(Rc<RefCell<Option<String>>>);

impl Note {
    /// Shows this text from now on, followed by the remaining time.
    pub fn set(&self, text: String) {
        *self.0.borrow_mut() = Some(text);
    }
}

/// A progress bar that times the stages and stops the work when the Ctrl-C flag is set.
pub struct Bar {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
    start: Instant,
    stage: Stage,
    since: Instant,
    first_done: u64,
    note: Note,
    /// What is counted.
    units: String,
    /// Without a terminal: when the last line was written.
    line: Option<Instant>,
    /// Seconds spent in each stage.
    pub timings: Timings,
}

impl Bar {
    /// A bar over `total` units, of which an earlier run finished `done`; hidden if `quiet`. Without a terminal a line is
    /// written every half minute.
    #[must_use]
    pub fn new(units: &str, done: u64, total: u64, quiet: bool, stop: Arc<AtomicBool>) -> Self {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(total) };
        let style =
            ProgressStyle::with_template(&format!("{{prefix:>9}} {{bar:24}} {{pos}}/{{len}} {units}  {{wide_msg}}"));
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_position(done);
        let now = Instant::now();
        let (stage, timings) = (Stage::default(), Timings::default());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let line = (!quiet && (dumb || !std::io::stderr().is_terminal())).then_some(now);
        if line.is_some() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let (units, note) = (units.to_owned(), Note::default());
        Self { bar, stop, start: now, stage, since: now, first_done: done, note, units, line, timings }
    }

    /// A handle to the text after the position.
    #[must_use]
    pub fn note(&self) -> Note {
        self.note.clone()
    }

    /// Removes the bar and adds the time of the last stage.
    pub fn finish(&mut self) {
        self.timings.add(self.stage.name(), self.since.elapsed().as_secs_f64());
        self.since = Instant::now();
        self.bar.finish_and_clear();
    }

    /// Seconds since the bar was created, at least 0.001.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64().max(1e-3)
    }

    fn enter(&mut self, stage: Stage) {
        if stage != self.stage {
            let now = Instant::now();
            self.timings.add(self.stage.name(), (now - self.since).as_secs_f64());
            (self.stage, self.since) = (stage, now);
            self.bar.set_prefix(stage.name());
        }
    }

    #[allow(clippy::cast_precision_loss)]
    fn message(&self, progress: &Progress) -> String {
        let seconds = self.seconds();
        let new = progress.done.saturating_sub(self.first_done);
        let left = if new == 0 {
            "time left: not known yet".to_owned()
        } else {
            let left = seconds / new as f64 * progress.total.saturating_sub(progress.done) as f64;
            format!("{} left", HumanDuration(Duration::from_secs_f64(left)))
        };
        if let Some(note) = &*self.note.0.borrow() {
            return format!("{note}, {left}");
        }
        let (tokens, pairs) = (progress.tokens as f64 / seconds, progress.pairs as f64 / seconds);
        format!("{} kept, {tokens:.0} tokens/s, {pairs:.1} pairs/s, {left}", progress.kept)
    }
}

impl Watch for Bar {
    fn progress(&mut self, progress: &Progress) -> Signal {
        self.enter(progress.stage);
        self.bar.set_length(progress.total);
        self.bar.set_position(progress.done);
        let message = self.message(progress);
        if self.line.is_some_and(|last| last.elapsed() > LINE_EVERY) {
            self.line = Some(Instant::now());
            note!("{}: {}/{} {}  {message}", progress.stage.name(), progress.done, progress.total, self.units);
        }
        self.bar.set_message(message);
        if self.stop.load(Ordering::Relaxed) { Signal::Stop } else { Signal::Continue }
    }
}

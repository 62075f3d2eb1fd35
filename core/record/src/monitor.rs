//! Progress reports, cancellation and yielding. Long computations take a [`Monitor`], report progress to it and stop
//! when it returns [`Error::Interrupted`]; the program that runs them (the host) implements [`Watch`].

use std::future::{self, Future};
use std::pin::Pin;

use crate::rows::Sample;
use crate::{Error, Result};

/// Stages of work, as shown in the progress bar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stage {
    /// Reading weights.
    #[default]
    Loading,
    /// Generating left contexts with the teacher.
    Contexts,
    /// Sampling siblings from the teacher.
    Siblings,
    /// Rewriting sentences with a student.
    Versions,
    /// Scoring pairs with the critics.
    Critics,
    /// Training a model.
    Training,
    /// Writing files.
    Writing,
}

impl Stage {
    /// The stage's name in the progress bar and in `timings.json`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Contexts => "contexts",
            Self::Siblings => "siblings",
            Self::Versions => "versions",
            Self::Critics => "critics",
            Self::Training => "training",
            Self::Writing => "writing",
        }
    }
}

/// Progress of the work, as reported to the host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// The current stage.
    pub stage: Stage,
    /// Finished units; the caller decides what a unit is (a context, a sentence, a training step).
    pub done: u64,
    /// Number of units in total.
    pub total: u64,
    /// Tokens sampled so far.
    pub tokens: u64,
    /// Directed pairs scored by the entailment critic so far.
    pub pairs: u64,
    /// Pairs kept so far.
    pub kept: u64,
}

/// The host's reply to a progress report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Continue.
    Continue,
    /// Stop: the report returns [`Error::Interrupted`], and the caller saves what is complete.
    Stop,
}

/// A boxed future without a `Send` bound, as models are not shared between threads in a browser.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Yields to the host, so that other tasks of a single-threaded host can run.
pub type Rest<'a> = BoxFuture<'a, ()>;

/// Receives progress reports; implemented by hosts, and by every `FnMut(&Progress) -> Signal`.
pub trait Watch {
    /// Called after every step; it should return quickly.
    fn progress(&mut self, progress: &Progress) -> Signal;

    /// Receives the rows that ended since the last call, just before the [`Self::progress`] call that counts them.
    fn sampled(&mut self, _rows: &[Sample]) {}

    /// Awaited after every step. A browser's worker can receive messages, such as "stop", only while it awaits.
    fn rest(&mut self) -> Rest<'_> {
        Box::pin(future::ready(()))
    }
}

impl<F: FnMut(&Progress) -> Signal> Watch for F {
    fn progress(&mut self, progress: &Progress) -> Signal {
        self(progress)
    }
}

/// Counts work, reports it to the host and turns the host's stop signal into an error.
pub struct Monitor<'a> {
    progress: Progress,
    watch: &'a mut dyn Watch,
}

impl<'a> Monitor<'a> {
    /// A monitor of `total` units, of which an earlier run finished `done`.
    pub fn new(watch: &'a mut dyn Watch, done: u64, total: u64) -> Self {
        Self { progress: Progress { done, total, ..Progress::default() }, watch }
    }

    /// The current progress.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Enters a stage and reports it.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when the host asked to stop.
    pub fn stage(&mut self, stage: Stage) -> Result<()> {
        self.progress.stage = stage;
        self.tell()
    }

    /// Adds finished units without reporting them; the next report includes them.
    pub fn count(&mut self, units: u64) {
        self.progress.done += units;
    }

    /// Sets and reports the stage and its number of finished units and of units in total.
    ///
    /// # Errors
    /// As [`Self::stage`].
    pub fn at(&mut self, stage: Stage, done: u64, total: u64) -> Result<()> {
        (self.progress.stage, self.progress.done, self.progress.total) = (stage, done, total);
        self.tell()
    }

    /// Adds kept pairs without reporting them.
    pub fn kept(&mut self, pairs: u64) {
        self.progress.kept += pairs;
    }

    /// Adds directed pairs that the entailment critic scored, and reports them.
    ///
    /// # Errors
    /// As [`Self::stage`].
    pub fn scored(&mut self, pairs: u64) -> Result<()> {
        self.progress.pairs += pairs;
        self.tell()
    }

    /// Adds the tokens of the rows that ended, passes the rows to the host, and reports.
    ///
    /// # Errors
    /// As [`Self::stage`].
    pub fn sampled(&mut self, rows: &[Sample]) -> Result<()> {
        self.progress.tokens += rows.iter().map(|row| u64::from(row.tokens)).sum::<u64>();
        if !rows.is_empty() {
            self.watch.sampled(rows);
        }
        self.tell()
    }

    /// Yields to the host.
    pub async fn rest(&mut self) {
        self.watch.rest().await;
    }

    /// Reports the current progress.
    ///
    /// # Errors
    /// As [`Self::stage`].
    pub fn tell(&mut self) -> Result<()> {
        match self.watch.progress(&self.progress) {
            Signal::Continue => Ok(()),
            Signal::Stop => Err(Error::Interrupted),
        }
    }
}

/// A host that ignores progress and never stops the work.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn progress(&mut self, _: &Progress) -> Signal {
        Signal::Continue
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Finish;

    #[test]
    fn everything_is_counted_and_a_stop_comes_back() {
        let mut seen = Vec::new();
        let mut watch = |p: &Progress| {
            seen.push(*p);
            if p.pairs < 5 { Signal::Continue } else { Signal::Stop }
        };
        let mut monitor = Monitor::new(&mut watch, 2, 9);
        monitor.stage(Stage::Siblings).unwrap();
        let row = Sample { context: 0, row: 0, text: "A.".into(), tokens: 7, finish: Finish::Sentence };
        monitor.sampled(&[row.clone(), row]).unwrap();
        monitor.kept(1);
        monitor.count(1);
        assert_eq!(monitor.scored(5), Err(Error::Interrupted));
        let last = monitor.progress();
        assert_eq!((last.done, last.total, last.tokens, last.pairs, last.kept), (3, 9, 14, 5, 1));
        assert_eq!(seen.last(), Some(&last));
        assert_eq!(seen[0].stage, Stage::Siblings);
    }
}

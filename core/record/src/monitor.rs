//! Progress, cancellation and rest through one argument: long work takes a [`Monitor`], counts into it and asks it whether
//! to go on; a host implements [`Watch`].

use std::future::{self, Future};
use std::pin::Pin;

use crate::rows::Sample;
use crate::{Error, Result};

/// What is being done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stage {
    /// Reading weights.
    #[default]
    Loading,
    /// The teacher writes left contexts.
    Contexts,
    /// The teacher samples siblings.
    Siblings,
    /// A student writes versions of sentences.
    Versions,
    /// Critics score pairs.
    Critics,
    /// A model is trained.
    Training,
    /// Files are written.
    Writing,
}

impl Stage {
    /// The word in a progress bar and in `timings.json`.
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

/// How far the work is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// The stage.
    pub stage: Stage,
    /// Units finished: contexts, sentences or rows, as the caller counts.
    pub done: u64,
    /// Units in all.
    pub total: u64,
    /// Tokens sampled so far.
    pub tokens: u64,
    /// Directed pairs scored by the entailment critic so far.
    pub pairs: u64,
    /// Pairs kept so far.
    pub kept: u64,
}

/// The host's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Go on.
    Continue,
    /// Stop as soon as the unit at work is whole.
    Stop,
}

/// A future that need not be `Send`: browsers have one thread per model.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A moment in which other tasks of a single-threaded host may run.
pub type Rest<'a> = BoxFuture<'a, ()>;

/// The host's side; any `FnMut(&Progress) -> Signal` is one.
pub trait Watch {
    /// Called after every step; must return quickly.
    fn progress(&mut self, progress: &Progress) -> Signal;

    /// Rows that ended since the last call, before the call of [`Self::progress`] that counts them.
    fn sampled(&mut self, _rows: &[Sample]) {}

    /// Awaited after every step. A browser's worker receives messages, "stop" among them, only while it rests.
    fn rest(&mut self) -> Rest<'_> {
        Box::pin(future::ready(()))
    }
}

impl<F: FnMut(&Progress) -> Signal> Watch for F {
    fn progress(&mut self, progress: &Progress) -> Signal {
        self(progress)
    }
}

/// Counts work and carries the host's answer back.
pub struct Monitor<'a> {
    progress: Progress,
    watch: &'a mut dyn Watch,
}

impl<'a> Monitor<'a> {
    /// A monitor over `total` units, of which `done` were finished by an earlier run.
    pub fn new(watch: &'a mut dyn Watch, done: u64, total: u64) -> Self {
        Self { progress: Progress { done, total, ..Progress::default() }, watch }
    }

    /// How far the work is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Enters a stage.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when the host asked to stop.
    pub fn stage(&mut self, stage: Stage) -> Result<()> {
        self.progress.stage = stage;
        self.tell()
    }

    /// Counts finished units; the host sees them with the next report.
    pub fn count(&mut self, units: u64) {
        self.progress.done += units;
    }

    /// Reports `done` of `total` units of a stage.
    ///
    /// # Errors
    /// As [`Self::stage`].
    pub fn at(&mut self, stage: Stage, done: u64, total: u64) -> Result<()> {
        (self.progress.stage, self.progress.done, self.progress.total) = (stage, done, total);
        self.tell()
    }

    /// Counts kept pairs.
    pub fn kept(&mut self, pairs: u64) {
        self.progress.kept += pairs;
    }

    /// Counts directed pairs that the entailment critic scored.
    ///
    /// # Errors
    /// As [`Self::stage`].
    pub fn scored(&mut self, pairs: u64) -> Result<()> {
        self.progress.pairs += pairs;
        self.tell()
    }

    /// Counts the tokens of rows that ended, and hands the rows to the host.
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

    /// Lets the host's other tasks run.
    pub async fn rest(&mut self) {
        self.watch.rest().await;
    }

    /// Reports the progress as it is.
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

/// A host that shows nothing and never stops.
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

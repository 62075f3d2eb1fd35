//! Progress and cancellation are one thing: an observer that receives events and may answer "stop".

use std::future::{self, Future};
use std::pin::Pin;

use crate::record::Sample;

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading weights.
    Loading,
    /// The teacher writes left contexts.
    Contexts,
    /// The teacher samples siblings.
    Siblings,
    /// Critics read pairs.
    Critics,
    /// Files are written.
    Writing,
}

/// One step forward.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The stage.
    pub stage: Stage,
    /// Contexts (or rows) finished.
    pub done: u64,
    /// Of how many.
    pub total: u64,
    /// Tokens sampled since the start.
    pub tokens: u64,
    /// Directed pairs read by the entailment critic since the start.
    pub pairs: u64,
    /// Pairs kept since the start.
    pub kept: u64,
}

/// The observer's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Go on.
    Continue,
    /// Stop as soon as what is being done is whole.
    Stop,
}

/// A future that need not be `Send`: browsers have one thread per model.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A moment in which others may run: a browser's worker hears "stop" only between two pieces of work.
pub type Rest<'a> = BoxFuture<'a, ()>;

/// No rest, as where others run on threads of their own.
#[must_use]
pub fn no_rest<'a>() -> Rest<'a> {
    Box::pin(future::ready(()))
}

/// Receives events; any `FnMut(&Event) -> Signal` is one.
pub trait Observer {
    /// Called often; must return quickly.
    fn event(&mut self, event: &Event) -> Signal;

    /// Rows that ended since the last call, before the event that counts them.
    fn sampled(&mut self, _rows: &[Sample]) {}

    /// Awaited after events, where the work runs on one thread.
    fn rest(&mut self) -> Rest<'_> {
        no_rest()
    }
}

impl<F: FnMut(&Event) -> Signal> Observer for F {
    fn event(&mut self, event: &Event) -> Signal {
        self(event)
    }
}

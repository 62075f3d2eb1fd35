//! Progress and cancellation are one thing: an observer that receives events and may answer "stop".

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

/// Receives events; any `FnMut(&Event) -> Signal` is one.
pub trait Observer {
    /// Called often; must return quickly.
    fn event(&mut self, event: &Event) -> Signal;
}

impl<F: FnMut(&Event) -> Signal> Observer for F {
    fn event(&mut self, event: &Event) -> Signal {
        self(event)
    }
}

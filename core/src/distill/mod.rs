//! The method: plan, contexts, siblings, pairs, records.

pub mod contexts;
pub mod pipeline;
pub mod prefix;

/// Random streams of different uses are kept apart by these numbers.
pub(crate) mod stage {
    pub(crate) const PREFIX: u32 = 1;
    pub(crate) const CONTEXT: u32 = 2;
    pub(crate) const SIBLINGS: u32 = 3;
}

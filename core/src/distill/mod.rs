//! The method: plan, contexts, siblings, pairs, records.

pub mod event;
pub mod plan;
pub mod record;

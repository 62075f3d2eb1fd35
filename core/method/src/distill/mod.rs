//! The method: plan, contexts, siblings, pairs, records.

pub mod contexts;
pub mod pipeline;
pub mod prefix;

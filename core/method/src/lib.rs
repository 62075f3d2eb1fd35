//! Impossible Distillation (Jung et al., NAACL 2024): contexts, siblings, pairs, critics, students and their evaluation.
//! Hosts feed it bytes and show what it makes; see `ARCHITECTURE.md`.

pub mod critic;
pub mod distill;
pub mod evaluate;
pub mod golden;
pub mod reword;
pub mod student;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tiny;

pub(crate) use record::{Error, Result};

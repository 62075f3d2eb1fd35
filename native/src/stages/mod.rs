//! The stages of the method on a disk: each reads what earlier stages left in folders and goes on where it was stopped.

pub mod audit;
pub mod critic;
pub mod filter;
pub mod pairs;
pub mod pretraining;
pub mod refine;
pub mod rewriting;
pub mod showcase;
pub mod student;
pub mod whole;

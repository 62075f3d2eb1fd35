//! The stages of the method on disk. Each stage reads the folders of earlier ones and resumes where it was interrupted.

pub mod audit;
pub mod critic;
pub mod filter;
pub mod pairs;
pub mod pretraining;
pub mod refine;
pub mod reworder;
pub mod rewriting;
pub mod showcase;
pub mod student;
pub mod whole;

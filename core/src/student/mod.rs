//! The student: what it reads and writes, what it is trained on, and its use: rewriting sentences, judged by the critics.

pub mod examples;
pub mod format;
pub mod rewrite;

pub use format::Format;

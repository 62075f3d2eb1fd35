//! The student: how a task is put to it, what it is trained on, and its use: rewriting sentences, judged by the critics.

pub mod examples;
pub mod format;
pub mod lesson;
pub mod rewrite;

pub use format::Format;
pub use lesson::Lesson;
pub use rewrite::{Rewriter, Rewritten};

//! The student (paper, section 3.3): its prompt format, its training, and rewriting sentences with it.

pub mod examples;
pub mod format;
pub mod lesson;
pub mod likelihood;
pub mod rewording;
pub mod rewrite;

pub use format::Format;
pub use lesson::Lesson;
pub use rewording::Rewording;
pub use rewrite::{Rewriter, Rewritten};

//! The student: what it reads and writes, what it is trained on, and its use: rewriting sentences, judged by the critics.

#[cfg(feature = "models")]
pub mod examples;
#[cfg(feature = "models")]
pub mod format;
#[cfg(feature = "models")]
pub mod rewrite;
pub mod style;

#[cfg(feature = "models")]
pub use format::Format;
pub use style::{Style, Version};

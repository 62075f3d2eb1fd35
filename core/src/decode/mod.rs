//! From logits to text: processors, the sampler, searches, and the batched loop over siblings.

pub mod contrastive;
pub mod drive;
pub mod group;
pub mod process;
pub(crate) mod readout;
pub mod sample;
pub mod search;
pub mod siblings;
mod teacher;

pub use siblings::{Job, Stop};
pub use teacher::Teacher;

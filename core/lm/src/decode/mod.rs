//! Decoding: logit processors, sampling, beam and contrastive search, and the batched sampling loop for siblings.

pub mod contrastive;
pub mod drive;
pub mod group;
pub mod process;
mod readout;
pub mod sample;
pub mod search;
pub mod siblings;
mod text_model;

pub use siblings::{Job, Stop};
pub use text_model::TextModel;

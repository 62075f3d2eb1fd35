//! Text processing that needs no model: sentences, numbers, names, modality, and metrics for generated text.

pub mod entity;
pub mod marks;
pub mod metric;
pub mod modality;
pub mod number;
pub mod sentence;
pub mod word;

pub(crate) use record::{Error, Result};

//! Impossible Distillation: the shared core of the native program and the browser app.
//!
//! A small language model samples many continuations ("siblings") of one context; critics keep the pairs that mean the
//! same but are worded differently. See `ARCHITECTURE.md` for the rooms and the direction of the arrows.

pub mod critic;
pub mod decode;
pub mod device;
pub mod distill;
mod error;
pub mod evaluate;
pub mod event;
pub mod golden;
#[cfg(feature = "threads")]
pub mod lanes;
pub mod metric;
pub mod model;
pub mod plan;
pub mod random;
pub mod record;
pub mod student;
pub mod text;
pub mod train;

pub use error::{Error, ErrorKind, Result};

//! Impossible Distillation: the shared core of the native program and the browser app.
//!
//! A small language model samples many continuations ("siblings") of one context; critics keep the pairs that mean the
//! same but are worded differently. See `ARCHITECTURE.md` for the rooms and the direction of the arrows.
//!
//! Without the feature `models` there are only the types that say what a run is and what it made: a page needs no more.

#[cfg(feature = "models")]
pub mod critic;
#[cfg(feature = "models")]
pub mod decode;
#[cfg(feature = "models")]
pub mod device;
#[cfg(feature = "models")]
pub mod distill;
mod error;
#[cfg(feature = "models")]
pub mod evaluate;
pub mod event;
#[cfg(feature = "models")]
pub mod golden;
#[cfg(feature = "threads")]
pub mod lanes;
#[cfg(feature = "models")]
pub mod metric;
#[cfg(feature = "models")]
pub mod model;
pub mod plan;
#[cfg(feature = "models")]
pub mod random;
pub mod record;
pub mod student;
#[cfg(feature = "models")]
pub mod text;
#[cfg(feature = "models")]
pub mod train;

pub use error::{Error, ErrorKind, Result};

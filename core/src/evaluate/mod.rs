//! Evaluation of systems on a benchmark: columns of scores beside baselines, with bootstrap intervals and paired tests;
//! and the figures of a dataset.
//!
//! [`text::table`] makes the columns that need no model; [`encoder::add`] and [`judge::add`] those of a model;
//! [`report::Report::new`] resamples. A column that cannot be computed is left out with the reason, the others stay.

pub mod baseline;
pub mod benchmark;
pub mod dataset;
pub mod encoder;
pub mod judge;
pub mod measure;
pub mod models;
pub mod report;
pub mod table;
#[cfg(test)]
mod tests;
pub mod text;
pub mod usable;

pub use benchmark::{Benchmark, Item, References, System};
pub use encoder::{Encoded, TokenEncoder};
pub use judge::Judge;
pub use measure::{Better, Measure, Model};
pub use report::{Cell, Report};
pub use table::{Column, LeftOut, Scores, Table};

use crate::event::{Event, Observer, Signal, Stage};
use crate::{Error, Result};

/// Version entry of a signature.
const VERSION: &str = concat!("version:impossible-", env!("CARGO_PKG_VERSION"));

/// `work` of 0 to `n` - 1 in order, on all cores where there are threads.
fn each<T: Send>(n: usize, work: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    #[cfg(feature = "threads")]
    {
        use rayon::prelude::*;
        (0..n).into_par_iter().map(work).collect()
    }
    #[cfg(not(feature = "threads"))]
    (0..n).map(work).collect()
}

/// Tells the observer that a model has read `done` of `total` items, and `read` texts or pairs so far.
fn advance(observer: &mut dyn Observer, done: usize, total: usize, read: usize) -> Result<()> {
    let [done, total, pairs] = [done, total, read].map(|n| n as u64);
    match observer.event(&Event { stage: Stage::Critics, done, total, tokens: 0, pairs, kept: 0 }) {
        Signal::Continue => Ok(()),
        Signal::Stop => Err(Error::Interrupted),
    }
}

/// A model that does not answer each question once.
fn wrong_count(model: &str, expected: usize, found: usize) -> Error {
    Error::Tensor {
        file: model.to_owned(),
        tensor: "answers".to_owned(),
        expected: expected.to_string(),
        found: found.to_string(),
    }
}

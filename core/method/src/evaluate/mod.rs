//! Evaluation of systems on a benchmark: scores next to those of baselines, with bootstrap intervals and paired
//! significance tests; and statistics of datasets.
//!
//! [`surface::table`] computes the columns that need no model, [`encoder::add`] and [`judge::add`] those that do, and
//! [`report::Report::new`] the statistics. A column that cannot be computed is left out, with the reason; the others
//! remain.

pub mod baseline;
pub mod benchmark;
pub mod dataset;
pub mod encoder;
pub mod judge;
pub mod measure;
pub mod models;
pub mod report;
pub mod surface;
pub mod table;
#[cfg(test)]
mod tests;
pub mod usable;

pub use benchmark::{Benchmark, Item, References, System};
pub use encoder::{Encoded, TokenEncoder};
pub use judge::Judge;
pub use measure::{Better, Measure, Model};
pub use report::{Cell, Report};
pub use table::{Column, LeftOut, Scores, Table};

use crate::{Error, Result};
use record::Monitor;
use record::monitor::Stage;

/// The version entry of every signature.
const VERSION: &str = concat!("version:impossible-", env!("CARGO_PKG_VERSION"));

/// The results of `work` for 0 to `n` - 1, in order; computed on all cores where threads are available.
fn each<T: Send>(n: usize, work: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    #[cfg(not(target_family = "wasm"))]
    {
        use rayon::prelude::*;
        (0..n).into_par_iter().map(work).collect()
    }
    #[cfg(target_family = "wasm")]
    (0..n).map(work).collect()
}

/// Reports progress: a model has processed `done` of `total` items.
fn advance(monitor: &mut Monitor<'_>, done: usize, total: usize) -> Result<()> {
    monitor.at(Stage::Critics, done as u64, total as u64)
}

/// The error for a model that does not return exactly one result per input.
fn wrong_count(model: &str, expected: usize, found: usize) -> Error {
    Error::Tensor {
        file: model.to_owned(),
        tensor: "answers".to_owned(),
        expected: expected.to_string(),
        found: found.to_string(),
    }
}

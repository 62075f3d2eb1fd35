//! Encoder states for cross-attention, and attention biases by distance (T5).

use std::ops::Range;

use burn::tensor::{DType, Tensor};

use super::encoder::Batch;
use super::layers::{ids, softmax, to};

/// Computes keys and values, each `[rows, heads, length, head_dim]`, from an encoder's states `[rows * length, hidden]`
/// and the number of rows.
pub type Project<'a> = &'a dyn Fn(Tensor<2>, usize) -> [Tensor<4>; 2];

/// The final states of an encoder, which the decoder attends to.
#[derive(Debug, Clone)]
pub struct Memory {
    /// States, `[rows * length, hidden]`.
    pub states: Tensor<2>,
    rows: usize,
    mask: Option<Tensor<4>>, // [rows, 1, 1, length]; `None` without padding
}

impl Memory {
    /// The memory of a batch with states `[rows * length, hidden]`.
    #[must_use]
    pub fn new(states: Tensor<2>, batch: &Batch) -> Self {
        let mask = batch.scores(&states.device());
        Self { states, rows: batch.rows(), mask }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Row `i` becomes a copy of row `parents[i]`.
    #[must_use]
    pub(super) fn select(self, parents: &[usize]) -> Self {
        let [n, hidden] = self.states.dims();
        let index = ids(parents.iter().copied(), &self.states.device());
        let states = self.states.reshape([self.rows, n / self.rows, hidden]).select(0, index.clone());
        Self {
            states: states.reshape([parents.len() * (n / self.rows), hidden]),
            rows: parents.len(),
            mask: self.mask.map(|m| m.select(0, index)),
        }
    }

    pub(crate) fn keys(&self, project: Project<'_>) -> [Tensor<4>; 2] {
        project(self.states.clone(), self.rows)
    }

    /// Attention of `q`, `[rows, heads, new, head_dim]`, to keys and values of the memory; a memory with one row is
    /// used for all rows.
    pub(crate) fn attend(&self, q: Tensor<4>, [k, v]: [Tensor<4>; 2]) -> Tensor<4> {
        let mut scores = to(q.matmul(k.swap_dims(2, 3)), DType::F32);
        if let Some(mask) = &self.mask {
            scores = scores + mask.clone();
        }
        to(softmax(scores), v.dtype()).matmul(v)
    }
}

/// A bias of attention scores that depends on the distance of a query to an earlier key.
#[derive(Debug, Clone)]
pub struct Bias {
    by_distance: Tensor<2>, // [distances, heads]; the last row is for all larger distances
}

impl Bias {
    /// A bias with values `[distances, heads]`: row 0 is for the query's own position, the last row for all larger
    /// distances.
    #[must_use]
    pub(super) fn new(by_distance: Tensor<2>) -> Self {
        Self { by_distance }
    }

    /// Biases of distances, `[n] -> [n, heads]`.
    pub(super) fn at(&self, distances: Vec<usize>) -> Tensor<2> {
        let last = self.by_distance.dims()[0] - 1;
        let index = ids(distances.into_iter().map(|d| d.min(last)), &self.by_distance.device());
        self.by_distance.clone().select(0, index)
    }

    /// Biases of queries at these positions for keys at all positions from 0 to the last query, `[heads, queries,
    /// keys]`. Keys after a query get the bias of distance 0; they are masked anyway.
    pub(crate) fn of_queries(&self, queries: Range<usize>) -> Tensor<3> {
        let (n, keys) = (queries.len(), queries.end);
        let heads = self.by_distance.dims()[1];
        let distances = queries.flat_map(|q| (0..keys).map(move |k| q.saturating_sub(k)));
        self.at(distances.collect()).reshape([n, keys, heads]).permute([2, 0, 1])
    }
}

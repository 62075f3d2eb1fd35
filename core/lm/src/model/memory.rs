//! What a decoder needs beside its own past: the states of an encoder, and a bias by distance (T5).

use std::ops::Range;

use burn::tensor::{DType, Tensor};

use super::encoder::Batch;
use super::layers::{ids, softmax, to};

/// Makes keys and values, `[rows, heads, length, head_dim]` each, of an encoder's states `[rows * length, hidden]` and
/// the number of rows.
pub type Project<'a> = &'a dyn Fn(Tensor<2>, usize) -> [Tensor<4>; 2];

/// The states of an encoder.
#[derive(Debug, Clone)]
pub struct Memory {
    /// `[rows * length, hidden]`.
    pub states: Tensor<2>,
    rows: usize,
    mask: Option<Tensor<4>>, // [rows, 1, 1, length]; none without padding
}

impl Memory {
    /// The states `[rows * length, hidden]` of a batch.
    #[must_use]
    pub fn new(states: Tensor<2>, batch: &Batch) -> Self {
        let mask = batch.scores(&states.device());
        Self { states, rows: batch.rows(), mask }
    }

    /// Rows.
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

    /// Attention of `q [rows, heads, new, head_dim]` over keys and values of the memory. One row of memory serves all.
    pub(crate) fn attend(&self, q: Tensor<4>, [k, v]: [Tensor<4>; 2]) -> Tensor<4> {
        let mut scores = to(q.matmul(k.swap_dims(2, 3)), DType::F32);
        if let Some(mask) = &self.mask {
            scores = scores + mask.clone();
        }
        to(softmax(scores), v.dtype()).matmul(v)
    }
}

/// What is added to attention scores by the distance from a key forward to its query.
#[derive(Debug, Clone)]
pub struct Bias {
    by_distance: Tensor<2>, // [distances, heads]; the last row stands for all further ones
}

impl Bias {
    /// `by_distance [distances, heads]`: row 0 is the query's own position, the last row holds for all further ones.
    #[must_use]
    pub(super) fn new(by_distance: Tensor<2>) -> Self {
        Self { by_distance }
    }

    /// `[n] -> [n, heads]`
    pub(super) fn at(&self, distances: Vec<usize>) -> Tensor<2> {
        let last = self.by_distance.dims()[0] - 1;
        let index = ids(distances.into_iter().map(|d| d.min(last)), &self.by_distance.device());
        self.by_distance.clone().select(0, index)
    }

    /// The bias of queries at these positions over all positions from 0 to the last of them, `[heads, queries, keys]`.
    /// Keys after a query get that of distance 0: the mask hides them.
    pub(crate) fn of_queries(&self, queries: Range<usize>) -> Tensor<3> {
        let (n, keys) = (queries.len(), queries.end);
        let heads = self.by_distance.dims()[1];
        let distances = queries.flat_map(|q| (0..keys).map(move |k| q.saturating_sub(k)));
        self.at(distances.collect()).reshape([n, keys, heads]).permute([2, 0, 1])
    }
}

//! Attention over cached keys and values. A model passes `(layer, q, k, v)` to a [`Cache`], which decides what is
//! stored and which rows share it.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::layers::{HIDDEN_SCORE, ids, softmax};
use super::memory::{Bias, Memory, Project};

/// Buffers grow in steps of this many positions, so that only few buffer sizes occur.
const BUCKET: usize = 64;

/// Stores keys and values of each layer and attends over them.
pub trait Cache {
    /// Stores the keys and values of the new positions and attends over all visible positions. Scores are `q k^T` plus
    /// the bias of their distance; the model has already scaled `q`.
    ///
    /// # Shapes
    /// `q [rows, heads, new, head_dim]`, `k` and `v` `[rows, kv_heads, new, head_dim]`
    /// `-> [rows, heads, new, head_dim]`
    fn attend(&mut self, layer: usize, q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, bias: Option<&Bias>) -> Tensor<4>;

    /// Cross-attention to the encoder's states. `project` computes their keys and values if they are not in the cache
    /// yet.
    ///
    /// # Shapes
    /// `[rows, heads, new, head_dim] -> [rows, heads, new, head_dim]`
    fn attend_memory(&mut self, layer: usize, q: Tensor<4>, project: Project<'_>) -> Tensor<4>;

    /// Called with what a layer adds to the residual stream, `[rows * new, hidden]`, and returns it, in training with
    /// dropout. `part` is 0 for self-attention, 1 for the feed-forward network and 2 for cross-attention.
    fn residual(&mut self, layer: usize, part: usize, x: Tensor<2>) -> Tensor<2> {
        let _ = (layer, part);
        x
    }
}

/// Buffers of one layer's keys and values.
#[derive(Debug, Clone)]
struct Layer {
    k: Tensor<4>, // [rows, kv_heads, capacity, head_dim]
    v: Tensor<4>,
}

/// A cache for whole sequences, as in prompts, parity tests and beam search. All rows have the same number of
/// positions; left padding is masked.
#[derive(Debug)]
pub struct Sequences {
    layers: Vec<Option<Layer>>,
    len: usize,
    new: usize,
    visible: Vec<Vec<bool>>, // [rows][positions]
    mask: Option<Tensor<5>>, // [rows, 1, 1, new, len]
    biased: bool,            // whether the mask includes the bias: [rows, kv_heads, group, new, len]
    memory: Option<Memory>,
    read: Vec<Option<[Tensor<4>; 2]>>, // keys and values of the memory, per layer
    device: Device,
}

impl Sequences {
    /// An empty cache of a model with this number of layers.
    #[must_use]
    pub fn new(layers: usize, device: &Device) -> Self {
        Self {
            layers: vec![None; layers],
            len: 0,
            new: 0,
            visible: Vec::new(),
            mask: None,
            biased: false,
            memory: None,
            read: vec![None; layers],
            device: device.clone(),
        }
    }

    /// The cache with encoder states for cross-attention: one row for each row of the batch, or one for all.
    #[must_use]
    pub fn with_memory(mut self, memory: Memory) -> Self {
        self.memory = Some(memory);
        self
    }

    /// Adds the next positions of each row, where `false` is padding. Must be called before each forward pass.
    pub fn extend(&mut self, visible: &[Vec<bool>]) {
        self.len += self.new;
        self.new = visible.first().map_or(0, Vec::len);
        self.visible.resize(visible.len(), Vec::new());
        let mut scores = Vec::new();
        let total = self.len + self.new;
        for (row, new) in self.visible.iter_mut().zip(visible) {
            row.extend_from_slice(new);
            for query in self.len..total {
                scores.extend(
                    row.iter().enumerate().map(|(key, &seen)| if seen && key <= query { 0.0 } else { HIDDEN_SCORE }),
                );
            }
        }
        let data = TensorData::new(scores, [visible.len(), 1, 1, self.new, total]);
        self.mask = Some(Tensor::from_data(data, &self.device));
        self.biased = false;
    }

    /// Reorders the rows, as beam search needs: row `i` becomes a copy of row `parents[i]`.
    pub fn reorder(&mut self, parents: &[usize]) {
        let index = ids(parents.iter().copied(), &self.device);
        for layer in self.layers.iter_mut().flatten() {
            layer.k = layer.k.clone().select(0, index.clone());
            layer.v = layer.v.clone().select(0, index.clone());
        }
        if self.memory.as_ref().is_some_and(|m| m.rows() > 1) {
            self.memory = self.memory.take().map(|m| m.select(parents));
            for kv in self.read.iter_mut().flatten() {
                *kv = kv.clone().map(|t| t.select(0, index.clone()));
            }
        }
        self.visible = parents.iter().map(|&p| self.visible[p].clone()).collect();
    }

    /// Keys and values of row 0 for all layers, as a [`Prefix`] that many rows can share.
    #[must_use]
    pub fn into_prefix(self) -> Prefix {
        let len = self.len + self.new;
        let own = |l: Layer| Kept::of([l.k, l.v], len);
        let read = |[k, v]: [Tensor<4>; 2]| {
            let length = k.dims()[2];
            Kept::of([k, v], length)
        };
        Prefix {
            own: self.layers.into_iter().flatten().map(own).collect(),
            memory: self.read.into_iter().flatten().map(read).collect(),
            len,
        }
    }
}

/// A copy in row-major order, because the tensor is read at every step.
fn contiguous(t: Tensor<3>) -> Tensor<3> {
    t.clone() * Tensor::<3>::ones([1, 1, 1], &t.device())
}

/// Writes `new`, `[rows, kv_heads, n, head_dim]`, at position `at` of a buffer, which grows if needed.
fn append(buffer: Option<Tensor<4>>, at: usize, new: Tensor<4>) -> Tensor<4> {
    let [rows, heads, n, dim] = new.dims();
    let capacity = (at + n).next_multiple_of(BUCKET);
    let device = new.device();
    let buffer = match buffer {
        Some(b) if b.dims()[2] >= at + n => b,
        Some(b) => {
            let grown = Tensor::zeros([rows, heads, capacity, dim], &device);
            grown.slice_assign([0..rows, 0..heads, 0..at, 0..dim], b.slice([0..rows, 0..heads, 0..at, 0..dim]))
        }
        None => Tensor::zeros([rows, heads, capacity, dim], &device),
    };
    buffer.slice_assign([0..rows, 0..heads, at..at + n, 0..dim], new)
}

impl Cache for Sequences {
    fn attend(&mut self, layer: usize, q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, bias: Option<&Bias>) -> Tensor<4> {
        let [rows, heads, new, dim] = q.dims();
        let kv = k.dims()[1];
        let group = heads / kv;
        let total = self.len + self.new;
        if let (Some(bias), Some(mask), false) = (bias, &self.mask, self.biased) {
            let bias = bias.of_queries(self.len..total).reshape([1, kv, group, new, total]);
            self.mask = Some(mask.clone() + bias);
            self.biased = true;
        }
        let (old_k, old_v) = self.layers[layer].take().map_or((None, None), |l| (Some(l.k), Some(l.v)));
        let stored = Layer { k: append(old_k, self.len, k), v: append(old_v, self.len, v) };
        let seen = |t: &Tensor<4>| t.clone().slice([0..rows, 0..kv, 0..total, 0..dim]);
        let q = q.reshape([rows, kv, group * new, dim]);
        let mut scores = q.matmul(seen(&stored.k).swap_dims(2, 3)).reshape([rows, kv, group, new, total]);
        if let Some(mask) = &self.mask {
            scores = scores + mask.clone();
        }
        let weights = softmax(scores).reshape([rows, kv, group * new, total]);
        let out = weights.matmul(seen(&stored.v)).reshape([rows, heads, new, dim]);
        self.layers[layer] = Some(stored);
        out
    }

    fn attend_memory(&mut self, layer: usize, q: Tensor<4>, project: Project<'_>) -> Tensor<4> {
        let Some(memory) = &self.memory else { return q.zeros_like() };
        let kv = self.read[layer].take().unwrap_or_else(|| memory.keys(project));
        let out = memory.attend(q, kv.clone());
        self.read[layer] = Some(kv);
        out
    }
}

/// Keys and values of one layer that many rows share, in the layout that their products need.
#[derive(Debug, Clone)]
struct Kept {
    k: Tensor<3>, // [kv_heads, head_dim, len]
    v: Tensor<3>, // [kv_heads, len, head_dim]
}

impl Kept {
    /// The first `len` positions of row 0 of `[rows, kv_heads, capacity, head_dim]`.
    fn of([k, v]: [Tensor<4>; 2], len: usize) -> Self {
        let [_, heads, _, dim] = k.dims();
        let row = |t: Tensor<4>| t.slice([0..1, 0..heads, 0..len, 0..dim]).reshape([heads, len, dim]);
        Self { k: contiguous(row(k).swap_dims(1, 2)), v: row(v) }
    }
}

/// The keys and values of one context, stored once for all rows that continue it.
#[derive(Debug, Clone)]
pub struct Prefix {
    own: Vec<Kept>,    // per layer
    memory: Vec<Kept>, // of the encoder's states, per layer; empty without an encoder
    /// Number of positions.
    pub len: usize,
}

/// Rows that share a prefix.
#[derive(Debug)]
struct Group {
    prefix: Prefix,
    rows: Vec<usize>,      // indices in the batch
    index: Tensor<1, Int>, // `rows` as a tensor
}

/// A cache for many rows that each continue one of a few prefixes. Attention over the prefix and over a row's own
/// positions is computed in two parts, without copies of the prefix.
///
/// The keys and values of own positions are in a ring of slots. In each step all rows write the same slot, and a row
/// attends to the slots written since it joined, so that a new row can replace a finished one without moving data. The
/// ring must have room for the longest row.
#[derive(Debug)]
pub struct SiblingCache {
    own: Vec<Option<Layer>>, // [rows, kv_heads, slots, head_dim]
    rows: usize,
    slots: usize,
    step: usize,
    age: Vec<usize>, // visible own positions of each row, the current one included
    groups: Vec<Group>,
    restore: Option<Tensor<1, Int>>, // permutation from group order to row order; `None` if they are the same
    mask: Option<Tensor<4>>,         // [rows, 1, 1, used slots]; with the bias, [rows, kv_heads, group, used slots]
    prefix_bias: Option<Vec<Tensor<4>>>, // for each group: [rows of the group, kv_heads, group, len]
    device: Device,
}

impl SiblingCache {
    /// An empty cache for `rows` rows of at most `longest` own positions.
    #[must_use]
    pub fn new(layers: usize, rows: usize, longest: usize, device: &Device) -> Self {
        Self {
            own: vec![None; layers],
            rows,
            slots: longest.next_multiple_of(16),
            step: 0,
            age: vec![0; rows],
            groups: Vec::new(),
            restore: None,
            mask: None,
            prefix_bias: None,
            device: device.clone(),
        }
    }

    /// Assigns rows to prefixes: `members` lists (prefix, rows), with every row in exactly one group. Rows in `fresh`
    /// are new, and own positions stored for them are ignored.
    pub fn regroup(&mut self, members: Vec<(Prefix, Vec<usize>)>, fresh: &[usize]) {
        for &row in fresh {
            self.age[row] = 0;
        }
        let order: Vec<usize> = members.iter().flat_map(|(_, rows)| rows.iter().copied()).collect();
        let mut back = vec![0; order.len()];
        for (place, &row) in order.iter().enumerate() {
            back[row] = place;
        }
        let same = order.iter().enumerate().all(|(i, &row)| i == row);
        self.restore = (!same).then(|| ids(back, &self.device));
        self.groups = members
            .into_iter()
            .map(|(prefix, rows)| Group { prefix, index: ids(rows.iter().copied(), &self.device), rows })
            .collect();
    }

    /// Keeps only these rows of the batch, in this order. [`SiblingCache::regroup`] must be called next.
    pub fn keep(&mut self, rows: &[usize]) {
        let ids = ids(rows.iter().copied(), &self.device);
        for layer in self.own.iter_mut().flatten() {
            layer.k = layer.k.clone().select(0, ids.clone());
            layer.v = layer.v.clone().select(0, ids.clone());
        }
        self.age = rows.iter().map(|&r| self.age[r]).collect();
        self.rows = rows.len();
    }

    /// Moves on by one position. Must be called before each forward pass, which has one new position per row.
    pub fn advance(&mut self) {
        let slot = self.step % self.slots;
        self.step += 1;
        let used = self.step.min(self.slots).next_multiple_of(16);
        let mut scores = vec![HIDDEN_SCORE; self.rows * used];
        for (row, age) in self.age.iter_mut().enumerate() {
            *age = (*age + 1).min(self.slots);
            for back in 0..*age {
                scores[row * used + (slot + self.slots - back) % self.slots] = 0.0;
            }
        }
        self.mask = Some(Tensor::from_data(TensorData::new(scores, [self.rows, 1, 1, used]), &self.device));
        self.prefix_bias = None;
    }

    /// Adds this step's bias of own positions to the mask and stores that of the prefixes; all layers share both.
    fn add_bias(&mut self, bias: &Bias, kv: usize, group: usize) {
        let used = self.step.min(self.slots).next_multiple_of(16);
        let slot = (self.step + self.slots - 1) % self.slots;
        let back = |s: usize| (slot + self.slots - s) % self.slots;
        let shaped = |distances: Vec<usize>, rows: usize, keys: usize| {
            bias.at(distances).reshape([rows, keys, kv, group]).permute([0, 2, 3, 1])
        };
        let own = shaped((0..self.rows).flat_map(|_| (0..used).map(back)).collect(), self.rows, used);
        self.mask = Some(self.mask.take().map_or_else(|| own.clone(), |mask| mask + own.clone()));
        let age = |row: usize| self.age[row].saturating_sub(1);
        let of_group = |g: &Group| {
            let len = g.prefix.len;
            let distances = g.rows.iter().flat_map(|&row| (0..len).map(move |j| age(row) + len - j));
            shaped(distances.collect(), g.rows.len(), len)
        };
        self.prefix_bias = Some(self.groups.iter().map(of_group).collect());
    }

    /// Concatenates the groups' parts and puts them into row order.
    fn in_rows(&self, parts: Vec<Tensor<4>>) -> Tensor<4> {
        let t = Tensor::cat(parts, 0);
        match &self.restore {
            Some(index) => t.select(0, index.clone()),
            None => t,
        }
    }

    /// Selects the rows of a group.
    fn of_group(&self, t: Tensor<4>, group: &Group) -> Tensor<4> {
        if self.groups.len() == 1 && self.restore.is_none() { t } else { t.select(0, group.index.clone()) }
    }

    fn write(&self, buffer: Option<Tensor<4>>, new: Tensor<4>) -> Tensor<4> {
        let [rows, heads, _, dim] = new.dims();
        let buffer = buffer.unwrap_or_else(|| Tensor::zeros([rows, heads, self.slots, dim], &self.device));
        let slot = (self.step - 1) % self.slots;
        buffer.slice_assign([0..rows, 0..heads, slot..slot + 1, 0..dim], new)
    }
}

impl Cache for SiblingCache {
    fn attend(&mut self, layer: usize, q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, bias: Option<&Bias>) -> Tensor<4> {
        let [rows, heads, _, dim] = q.dims();
        let kv = k.dims()[1];
        let group = heads / kv;
        if let (Some(bias), None) = (bias, &self.prefix_bias) {
            self.add_bias(bias, kv, group);
        }
        let used = self.step.min(self.slots).next_multiple_of(16);
        let (old_k, old_v) = self.own[layer].take().map_or((None, None), |l| (Some(l.k), Some(l.v)));
        let own = Layer { k: self.write(old_k, k), v: self.write(old_v, v) };
        let seen = |t: &Tensor<4>| t.clone().slice([0..rows, 0..kv, 0..used, 0..dim]);
        let q = q.reshape([rows, kv, group, dim]);
        let mut own_scores = q.clone().matmul(seen(&own.k).swap_dims(2, 3)); // [rows, kv, group, used]
        if let Some(mask) = &self.mask {
            own_scores = own_scores + mask.clone();
        }
        let (mut prefix_out, mut own_weights) = (Vec::new(), Vec::new());
        for (i, g) in self.groups.iter().enumerate() {
            let (n, len, kept) = (g.rows.len(), g.prefix.len, &g.prefix.own[layer]);
            // [kv, rows * group, dim] x [kv, dim, len]: few large products instead of one per row
            let qs = self.of_group(q.clone(), g).swap_dims(0, 1).reshape([kv, n * group, dim]);
            let scores = qs.matmul(kept.k.clone());
            let mut scores = scores.reshape([kv, n, group, len]).swap_dims(0, 1); // [rows, kv, group, len]
            if let Some(bias) = &self.prefix_bias {
                scores = scores + bias[i].clone();
            }
            let weights = softmax(Tensor::cat(vec![scores, self.of_group(own_scores.clone(), g)], 3));
            own_weights.push(weights.clone().slice([0..n, 0..kv, 0..group, len..len + used]));
            let w = weights.slice([0..n, 0..kv, 0..group, 0..len]).swap_dims(0, 1).reshape([kv, n * group, len]);
            let out = w.matmul(kept.v.clone()).reshape([kv, n, group, dim]).swap_dims(0, 1);
            prefix_out.push(out);
        }
        let out = self.in_rows(own_weights).matmul(seen(&own.v)) + self.in_rows(prefix_out); // [rows, kv, group, dim]
        self.own[layer] = Some(own);
        out.reshape([rows, heads, 1, dim])
    }

    fn attend_memory(&mut self, layer: usize, q: Tensor<4>, _project: Project<'_>) -> Tensor<4> {
        let [rows, heads, _, dim] = q.dims();
        let each = self.groups.iter().filter_map(|g| {
            let kept = g.prefix.memory.get(layer)?;
            let n = g.rows.len();
            let qs = self.of_group(q.clone(), g).reshape([n, heads, dim]).swap_dims(0, 1); // [heads, rows, dim]
            let out = softmax(qs.matmul(kept.k.clone())).matmul(kept.v.clone());
            Some(out.swap_dims(0, 1).reshape([n, heads, 1, dim]))
        });
        let parts: Vec<Tensor<4>> = each.collect();
        if parts.is_empty() { Tensor::zeros([rows, heads, 1, dim], &self.device) } else { self.in_rows(parts) }
    }
}

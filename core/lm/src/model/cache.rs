//! Attention over cached keys and values. A model passes `(layer, q, k, v)` to a [`Cache`], which decides what is
//! stored and which rows share it.

use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::layers::{HIDDEN_SCORE, ids, softmax};
use super::memory::{Bias, Memory, Project};

/// Buffers grow in steps of this many positions, so that only few buffer sizes occur.
const BUCKET: usize = 64;

/// How a layer's attention scores differ from `q k^T` over all earlier positions. All layers of a model have the same
/// bias.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scores<'a> {
    /// Added to a score by the distance of query and key.
    pub bias: Option<&'a Bias>,
    /// Number of positions that a query sees, its own included; all earlier ones without a window.
    pub window: Option<usize>,
    /// Limit c of scores, which become `c tanh(score / c)`.
    pub cap: Option<f32>,
}

impl Scores<'_> {
    /// Applies the limit.
    pub(crate) fn capped<const D: usize>(&self, scores: Tensor<D>) -> Tensor<D> {
        match self.cap {
            Some(cap) => (scores / cap).tanh() * cap,
            None => scores,
        }
    }

    /// The window, if it hides any of so many positions.
    pub(crate) fn window_of(&self, positions: usize) -> Option<usize> {
        self.window.filter(|window| *window < positions)
    }
}

/// Stores keys and values of each layer and attends over them.
pub trait Cache {
    /// Stores the keys and values of the new positions and attends over all visible positions. Scores are `q k^T`,
    /// changed as `scores` says; the model has already scaled `q`.
    ///
    /// # Shapes
    /// `q [rows, heads, new, head_dim]`, `k` and `v` `[rows, kv_heads, new, head_dim]`
    /// `-> [rows, heads, new, head_dim]`
    fn attend(&mut self, layer: usize, q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, scores: &Scores<'_>) -> Tensor<4>;

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
    visible: Vec<Vec<bool>>,                   // [rows][positions]
    masks: BTreeMap<Option<usize>, Tensor<5>>, // by window: [rows, 1 or kv_heads, 1 or group, new, len], with the bias
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
            masks: BTreeMap::new(),
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
        for (row, new) in self.visible.iter_mut().zip(visible) {
            row.extend_from_slice(new);
        }
        self.masks.clear();
    }

    /// The mask of the new positions of all rows, which hides padding, later positions and those before the window, and
    /// includes the bias.
    fn mask(&mut self, scores: &Scores<'_>, kv: usize, group: usize) -> Tensor<5> {
        let total = self.len + self.new;
        let window = scores.window_of(total);
        if let Some(mask) = self.masks.get(&window) {
            return mask.clone();
        }
        let mut values = Vec::with_capacity(self.visible.len() * self.new * total);
        for row in &self.visible {
            for query in self.len..total {
                let from = window.map_or(0, |window| (query + 1).saturating_sub(window));
                let seen = |key: usize, seen: bool| seen && key <= query && key >= from;
                let score = |(key, visible): (usize, &bool)| if seen(key, *visible) { 0.0 } else { HIDDEN_SCORE };
                values.extend(row.iter().enumerate().map(score));
            }
        }
        let data = TensorData::new(values, [self.visible.len(), 1, 1, self.new, total]);
        let mut mask = Tensor::from_data(data, &self.device);
        if let Some(bias) = scores.bias {
            mask = mask + bias.of_queries(self.len..total).reshape([1, kv, group, self.new, total]);
        }
        self.masks.insert(window, mask.clone());
        mask
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
    fn attend(&mut self, layer: usize, q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, how: &Scores<'_>) -> Tensor<4> {
        let [rows, heads, new, dim] = q.dims();
        let kv = k.dims()[1];
        let group = heads / kv;
        let total = self.len + self.new;
        let mask = self.mask(how, kv, group);
        let (old_k, old_v) = self.layers[layer].take().map_or((None, None), |l| (Some(l.k), Some(l.v)));
        let stored = Layer { k: append(old_k, self.len, k), v: append(old_v, self.len, v) };
        let seen = |t: &Tensor<4>| t.clone().slice([0..rows, 0..kv, 0..total, 0..dim]);
        let q = q.reshape([rows, kv, group * new, dim]);
        let scores = q.matmul(seen(&stored.k).swap_dims(2, 3)).reshape([rows, kv, group, new, total]);
        let scores = how.capped(scores) + mask;
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

/// What is added to the scores of one step.
#[derive(Debug, Clone)]
struct Masks {
    own: Tensor<4>,                 // [rows, 1 or kv_heads, 1 or group, used slots]
    prefix: Vec<Option<Tensor<4>>>, // for each group: [rows of the group, 1 or kv_heads, 1 or group, len]
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
    masks: BTreeMap<Option<usize>, Masks>, // by window, of this step
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
            masks: BTreeMap::new(),
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
        self.step += 1;
        for age in &mut self.age {
            *age = (*age + 1).min(self.slots);
        }
        self.masks.clear();
    }

    /// The masks of this step, which hide what is before the window and include the bias.
    fn masks(&mut self, scores: &Scores<'_>, kv: usize, group: usize) -> Masks {
        let farthest = |g: &Group| g.prefix.len + g.rows.iter().map(|row| self.age[*row]).max().unwrap_or(0);
        let window = scores.window_of(self.groups.iter().map(farthest).max().unwrap_or(0));
        if let Some(masks) = self.masks.get(&window) {
            return masks.clone();
        }
        let used = self.step.min(self.slots).next_multiple_of(16);
        let slot = (self.step + self.slots - 1) % self.slots;
        let mut values = vec![HIDDEN_SCORE; self.rows * used];
        for (row, age) in self.age.iter().enumerate() {
            for back in 0..window.map_or(*age, |window| window.min(*age)) {
                values[row * used + (slot + self.slots - back) % self.slots] = 0.0;
            }
        }
        let mut own = Tensor::from_data(TensorData::new(values, [self.rows, 1, 1, used]), &self.device);
        let shaped = |bias: &Bias, distances: Vec<usize>, rows: usize, keys: usize| {
            bias.at(distances).reshape([rows, keys, kv, group]).permute([0, 2, 3, 1])
        };
        if let Some(bias) = scores.bias {
            let back = |s: usize| (slot + self.slots - s) % self.slots;
            own = own + shaped(bias, (0..self.rows).flat_map(|_| (0..used).map(back)).collect(), self.rows, used);
        }
        let of_group = |g: &Group| {
            let (n, len) = (g.rows.len(), g.prefix.len);
            // The query's own position has distance 0, and is the last of `age` own ones.
            let distances = g.rows.iter().flat_map(|&row| (0..len).map(move |j| (row, len - j)));
            let distances: Vec<usize> = distances.map(|(row, back)| self.age[row].saturating_sub(1) + back).collect();
            let hidden = window.map(|window| {
                let score = |d: &usize| if *d < window { 0.0 } else { HIDDEN_SCORE };
                let data = TensorData::new(distances.iter().map(score).collect::<Vec<f32>>(), [n, 1, 1, len]);
                Tensor::<4>::from_data(data, &self.device)
            });
            let biased = scores.bias.map(|bias| shaped(bias, distances, n, len));
            match (hidden, biased) {
                (Some(hidden), Some(biased)) => Some(hidden + biased),
                (hidden, biased) => hidden.or(biased),
            }
        };
        let masks = Masks { own, prefix: self.groups.iter().map(of_group).collect() };
        self.masks.insert(window, masks.clone());
        masks
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
    fn attend(&mut self, layer: usize, q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, how: &Scores<'_>) -> Tensor<4> {
        let [rows, heads, _, dim] = q.dims();
        let kv = k.dims()[1];
        let group = heads / kv;
        let masks = self.masks(how, kv, group);
        let used = self.step.min(self.slots).next_multiple_of(16);
        let (old_k, old_v) = self.own[layer].take().map_or((None, None), |l| (Some(l.k), Some(l.v)));
        let own = Layer { k: self.write(old_k, k), v: self.write(old_v, v) };
        let seen = |t: &Tensor<4>| t.clone().slice([0..rows, 0..kv, 0..used, 0..dim]);
        let q = q.reshape([rows, kv, group, dim]);
        let own_scores = q.clone().matmul(seen(&own.k).swap_dims(2, 3)); // [rows, kv, group, used]
        let own_scores = how.capped(own_scores) + masks.own;
        let (mut prefix_out, mut own_weights) = (Vec::new(), Vec::new());
        for (i, g) in self.groups.iter().enumerate() {
            let (n, len, kept) = (g.rows.len(), g.prefix.len, &g.prefix.own[layer]);
            // [kv, rows * group, dim] x [kv, dim, len]: few large products instead of one per row
            let qs = self.of_group(q.clone(), g).swap_dims(0, 1).reshape([kv, n * group, dim]);
            let scores = qs.matmul(kept.k.clone());
            let scores = scores.reshape([kv, n, group, len]).swap_dims(0, 1); // [rows, kv, group, len]
            let mut scores = how.capped(scores);
            if let Some(mask) = masks.prefix[i].clone() {
                scores = scores + mask;
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

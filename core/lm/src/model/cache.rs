//! Attention over cached keys and values. A model hands `(layer, q, k, v)` to a [`Cache`]; what is remembered, and for
//! how many rows, is the cache's business.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::layers::{HIDDEN_SCORE, ids, softmax};
use super::memory::{Bias, Memory, Project};

/// Capacities grow in steps of this many positions, so that buffers of few sizes recur.
const BUCKET: usize = 64;

/// Remembers keys and values, layer by layer, and attends over them.
pub trait Cache {
    /// Adds the keys and values of the new positions and attends over everything visible. Scores are `q k^T`, plus the
    /// bias of their distance; the model has scaled `q`.
    ///
    /// # Shapes
    /// `q [rows, heads, new, head_dim]`, `k` and `v` `[rows, kv_heads, new, head_dim]` `-> [rows, heads, new, head_dim]`
    fn attend(&mut self, layer: usize, q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, bias: Option<&Bias>) -> Tensor<4>;

    /// Attends over what the encoder read. `project` makes keys and values of the encoder's states, where the cache has
    /// none yet.
    ///
    /// # Shapes
    /// `[rows, heads, new, head_dim] -> [rows, heads, new, head_dim]`
    fn attend_memory(&mut self, layer: usize, q: Tensor<4>, project: Project<'_>) -> Tensor<4>;

    /// What a layer adds to the residual stream, `[rows * new, hidden]`: `part` 0 is its attention, 1 its feed-forward
    /// network, 2 its attention over the encoder's states. Training drops some of it.
    fn residual(&mut self, layer: usize, part: usize, x: Tensor<2>) -> Tensor<2> {
        let _ = (layer, part);
        x
    }
}

/// Keys and values of one layer.
#[derive(Debug, Clone)]
struct Layer {
    k: Tensor<4>, // [rows, kv_heads, capacity, head_dim]
    v: Tensor<4>,
}

/// Whole sequences: prompts, parity tests, beams. All rows have the same number of positions; left padding is masked.
#[derive(Debug)]
pub struct Sequences {
    layers: Vec<Option<Layer>>,
    len: usize,
    new: usize,
    visible: Vec<Vec<bool>>, // [rows][positions]
    mask: Option<Tensor<5>>, // [rows, 1, 1, new, len]
    biased: bool,            // the mask holds the bias, [rows, kv_heads, group, new, len]
    memory: Option<Memory>,
    read: Vec<Option<[Tensor<4>; 2]>>, // keys and values of the memory, a layer
    device: Device,
}

impl Sequences {
    /// An empty cache of a model with so many layers.
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

    /// What the encoder read for the rows: one row each, or one for all.
    #[must_use]
    pub fn with_memory(mut self, memory: Memory) -> Self {
        self.memory = Some(memory);
        self
    }

    /// Announces the next positions of each row; `false` = padding. Call before each forward pass.
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

    /// Takes over rows of the past: row `i` continues `parents[i]` (beam search).
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

    /// Keys and values of row 0, for all layers, as a [`Prefix`] shared by many rows.
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

/// A copy in row-major order: read at every step, so worth laying out once.
fn contiguous(t: Tensor<3>) -> Tensor<3> {
    t.clone() * Tensor::<3>::ones([1, 1, 1], &t.device())
}

/// `[rows, kv_heads, n, head_dim]` written at `at`, in a buffer that grows by buckets.
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

/// Keys and values of one layer that many rows read, laid out for that.
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

/// The keys and values of one context, kept once for all rows that continue it.
#[derive(Debug, Clone)]
pub struct Prefix {
    own: Vec<Kept>,    // a layer
    memory: Vec<Kept>, // of the encoder's states; empty without an encoder
    /// Positions.
    pub len: usize,
}

/// Rows that share a prefix.
#[derive(Debug)]
struct Group {
    prefix: Prefix,
    rows: Vec<usize>,      // of the batch
    index: Tensor<1, Int>, // the same
}

/// Many rows, each continuing one of a few prefixes: attention over prefix and own positions in two parts, without
/// copies of the prefix.
///
/// Own keys live in a ring of slots. All rows write the same slot in a step and a row sees the slots written since it
/// joined, so a finished row is replaced by a new one without moving anything. The ring must hold the longest row.
#[derive(Debug)]
pub struct SiblingCache {
    own: Vec<Option<Layer>>, // [rows, kv_heads, slots, head_dim]
    rows: usize,
    slots: usize,
    step: usize,
    age: Vec<usize>, // own positions of each row that are visible, the current one included
    groups: Vec<Group>,
    restore: Option<Tensor<1, Int>>, // from group order to row order; none when it is the same
    mask: Option<Tensor<4>>,         // [rows, 1, 1, used slots]; with the bias, [rows, kv_heads, group, used slots]
    prefix_bias: Option<Vec<Tensor<4>>>, // [rows of the group, kv_heads, group, len] of each group
    device: Device,
}

impl SiblingCache {
    /// A batch of `rows` rows of at most `longest` own positions.
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

    /// Says which prefix each row continues: `members[i] = (prefix, rows)`, every row in exactly one group. Rows in
    /// `fresh` start anew: they forget their own positions.
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

    /// Keeps only these rows of the batch, in this order. Call [`SiblingCache::regroup`] next.
    pub fn keep(&mut self, rows: &[usize]) {
        let ids = ids(rows.iter().copied(), &self.device);
        for layer in self.own.iter_mut().flatten() {
            layer.k = layer.k.clone().select(0, ids.clone());
            layer.v = layer.v.clone().select(0, ids.clone());
        }
        self.age = rows.iter().map(|&r| self.age[r]).collect();
        self.rows = rows.len();
    }

    /// Call before each forward pass of one new position a row.
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

    /// Adds the bias of this step to the mask and keeps that of the prefixes: all layers share it.
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

    /// From group order to row order.
    fn in_rows(&self, parts: Vec<Tensor<4>>) -> Tensor<4> {
        let t = Tensor::cat(parts, 0);
        match &self.restore {
            Some(index) => t.select(0, index.clone()),
            None => t,
        }
    }

    /// The rows of a group.
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
            // [kv, rows * group, dim] x [kv, dim, len]: few fat products instead of one a row
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

//! Layers that several models share.

use std::sync::Arc;

use burn::tensor::{DType, Device, FloatDType, Int, Tensor, TensorData, activation, module};

use super::kernels;

/// Casts a tensor to a floating-point type.
pub(crate) fn to<const D: usize>(x: Tensor<D>, dtype: DType) -> Tensor<D> {
    if x.dtype() == dtype { x } else { x.cast(FloatDType::from(dtype)) }
}

/// Ids or indices as an integer tensor.
pub(crate) fn ids<T: TryInto<i32>>(values: impl IntoIterator<Item = T>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values.into_iter().map(|v| v.try_into().unwrap_or(i32::MAX)).collect();
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), device)
}

/// Runs `f` in f32 even if `x` is in half precision, for functions that need range or accuracy.
pub(crate) fn in_f32<const D: usize>(x: Tensor<D>, f: impl FnOnce(Tensor<D>) -> Tensor<D>) -> Tensor<D> {
    let dtype = x.dtype();
    to(f(to(x, DType::F32)), dtype)
}

/// Added to attention scores of masked positions. It is finite, so that a row without any visible key stays finite.
pub(crate) const HIDDEN_SCORE: f32 = -1e9;

/// Number of outputs of one panel of [`Weight::Panels`], chosen so that the kernel reads a panel from front to back.
/// Measured when decoding 32 rows on two cores: 16 is 1.5 times as fast as 64 without AVX-512; 64 is fastest with
/// AVX-512.
fn panel_width() -> usize {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") {
        return 64;
    }
    if cfg!(target_family = "wasm") { 64 } else { 16 }
}

/// A weight matrix, in the layout that is fastest on its device.
#[derive(Debug, Clone)]
pub(super) enum Weight {
    /// `[in, out]`, for GPUs and for narrow matrices.
    Flat(Tensor<2>),
    /// `[panels, in, panel width]`, padded with zeros: the CPU's kernel reads a panel from front to back without
    /// packing it first. Measured with AVX-512: twice as fast for 4 to 24 rows, at least as fast for more.
    Panels(Tensor<3>),
    /// `[out, in]` for each projection, as in the checkpoint, for parameters in training.
    Rows(Vec<Tensor<2>>),
}

impl Weight {
    /// A weight for a device, where the value for output o and input i is `values[o * strides.0 + i * strides.1]`.
    pub(super) fn new(
        values: Vec<f32>,
        [inputs, outputs]: [usize; 2],
        strides: (usize, usize),
        device: &Device,
    ) -> Self {
        if !crate::device::is_flex(device) || outputs < panel_width() {
            let values = if strides == (1, outputs) { values } else { transposed(&values, outputs, inputs) };
            return Self::Flat(Tensor::from_data(TensorData::new(values, [inputs, outputs]), device));
        }
        const BLOCK: usize = 32;
        let panel_width = panel_width();
        let panels = outputs.div_ceil(panel_width);
        let mut out = vec![0.0; panels * inputs * panel_width];
        for (p, panel) in out.chunks_mut(inputs * panel_width).enumerate() {
            let width = panel_width.min(outputs - p * panel_width);
            for (block, rows) in panel.chunks_mut(BLOCK * panel_width).enumerate() {
                for j in 0..width {
                    let from = (p * panel_width + j) * strides.0 + block * BLOCK * strides.1;
                    for (i, row) in rows.chunks_mut(panel_width).enumerate() {
                        row[j] = values[from + i * strides.1];
                    }
                }
            }
        }
        Self::Panels(Tensor::from_data(TensorData::new(out, [panels, inputs, panel_width]), device))
    }

    /// Multiplies `x`, `[rows, in]`, by the weight and splits the outputs into `[rows, n]` for each n of `parts`.
    fn multiply<const N: usize>(&self, x: Tensor<2>, parts: [usize; N]) -> [Tensor<2>; N] {
        let [rows, inputs] = x.dims();
        let mut from = 0;
        let columns = |y: &Tensor<2>, from: usize, n: usize| {
            if y.dims()[1] == n { y.clone() } else { y.clone().slice([0..rows, from..from + n]) }
        };
        let whole = match self {
            Self::Flat(weight) => x.matmul(weight.clone()),
            Self::Panels(weight) => {
                let [panels, _, panel_width] = weight.dims();
                let y = x.reshape([1, rows, inputs]).matmul(weight.clone()); // [panels, rows, panel width]
                let flat = |y: Tensor<3>, n: usize| y.swap_dims(0, 1).reshape([rows, n * panel_width]);
                if parts.iter().all(|n| n.is_multiple_of(panel_width)) {
                    // The parts consist of whole panels, which need one copy only.
                    return parts.map(|n| {
                        let (start, count) = (from / panel_width, n / panel_width);
                        from += n;
                        flat(y.clone().slice([start..start + count, 0..rows, 0..panel_width]), count)
                    });
                }
                flat(y, panels)
            }
            Self::Rows(weights) => {
                let y = weights.iter().map(|w| x.clone().matmul(w.clone().transpose()));
                Tensor::cat(y.collect(), 1)
            }
        };
        parts.map(|n| {
            let part = columns(&whole, from, n);
            from += n;
            part
        })
    }
}

/// A low-rank adapter (LoRA) of a projection: `y += x A^T B^T scale` (Hu et al., 2021).
#[derive(Debug, Clone)]
pub struct Adapter {
    /// Matrix A, `[rank, in]`.
    pub a: Tensor<2>,
    /// Matrix B, `[out, rank]`.
    pub b: Tensor<2>,
    /// Scale, alpha / rank.
    pub scale: f64,
}

impl Adapter {
    /// `[rows, in] -> [rows, out]`; the scale is applied to the smaller intermediate product.
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        (x.matmul(self.a.clone().transpose()) * self.scale).matmul(self.b.clone().transpose())
    }
}

/// A linear projection `y = x W + b`, or several fused ones with the same input.
#[derive(Debug, Clone)]
pub struct Linear {
    pub(super) weight: Weight,
    pub(super) outputs: usize,
    pub(super) bias: Option<Tensor<2>>,                 // [1, out]
    pub(super) adapters: Vec<(usize, Option<Adapter>)>, // (outputs, adapter) of each projection; empty without any
}

impl Linear {
    /// Applies the projection.
    ///
    /// # Shapes
    /// `[rows, in] -> [rows, out]`
    #[must_use]
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [y] = self.split(x, [self.outputs]);
        y
    }

    /// Applies fused projections and returns their outputs separately.
    ///
    /// # Shapes
    /// `[rows, in] -> [rows, n]` for each n of `parts`, whose sum is the number of outputs
    #[must_use]
    pub fn split<const N: usize>(&self, x: Tensor<2>, parts: [usize; N]) -> [Tensor<2>; N] {
        if let Weight::Rows(weights) = &self.weight
            && weights.iter().map(|w| w.dims()[0]).eq(parts)
        {
            return self.split_rows(x, parts);
        }
        if !self.adapters.is_empty() {
            return self.split_adapted(x, parts);
        }
        let y = self.weight.multiply(x, parts);
        let Some(bias) = &self.bias else { return y };
        let mut from = 0;
        y.map(|y| {
            let n = y.dims()[1];
            from += n;
            y + bias.clone().slice([0..1, from - n..from])
        })
    }

    /// Applies projections in training one by one, as joining and splitting them would cost copies, also for the
    /// gradients.
    fn split_rows<const N: usize>(&self, x: Tensor<2>, parts: [usize; N]) -> [Tensor<2>; N] {
        let (mut i, mut from) = (0, 0);
        parts.map(|n| {
            let mut y = match &self.weight {
                Weight::Rows(weights) => x.clone().matmul(weights[i].clone().transpose()),
                _ => Tensor::zeros([x.dims()[0], n], &x.device()),
            };
            if let Some((_, Some(adapter))) = self.adapters.get(i) {
                y = y + adapter.forward(x.clone());
            }
            if let Some(bias) = &self.bias {
                y = y + bias.clone().slice([0..1, from..from + n]);
            }
            (i, from) = (i + 1, from + n);
            y
        })
    }

    fn split_adapted<const N: usize>(&self, x: Tensor<2>, parts: [usize; N]) -> [Tensor<2>; N] {
        let rows = x.dims()[0];
        let [y] = self.weight.multiply(x.clone(), [self.outputs]);
        let added = self.adapters.iter().map(|(outputs, adapter)| match adapter {
            Some(adapter) => adapter.forward(x.clone()),
            None => Tensor::zeros([rows, *outputs], &x.device()),
        });
        let mut y = y + Tensor::cat(added.collect(), 1);
        if let Some(bias) = &self.bias {
            y = y + bias.clone();
        }
        let mut from = 0;
        parts.map(|n| {
            from += n;
            y.clone().slice([0..rows, from - n..from])
        })
    }
}

/// Layer normalisation over the last dimension.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    pub(super) weight: Tensor<1>,
    pub(super) bias: Tensor<1>,
    pub(super) eps: f64,
}

impl LayerNorm {
    /// A norm without weights.
    #[must_use]
    pub fn plain(n: usize, eps: f64, device: &Device) -> Self {
        Self { weight: Tensor::ones([n], device), bias: Tensor::zeros([n], device), eps }
    }

    /// # Shapes
    /// `[rows, hidden] -> [rows, hidden]`
    #[must_use]
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [weight, bias] = [&self.weight, &self.bias].map(|t| to(t.clone(), DType::F32));
        in_f32(x, |x| module::layer_norm(x, weight, Some(bias), self.eps))
    }
}

/// Root-mean-square normalisation over the last dimension, as in Llama and T5.
#[derive(Debug, Clone)]
pub struct RmsNorm {
    pub(super) weight: Tensor<2>, // [1, hidden]
    pub(super) on_host: Option<Arc<[f32]>>,
    pub(super) eps: f64,
}

impl RmsNorm {
    /// # Shapes
    /// `[rows, hidden] -> [rows, hidden]`
    #[must_use]
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        if let Some(weight) = &self.on_host {
            #[allow(clippy::cast_possible_truncation)]
            return kernels::rms_norm(x, weight, self.eps as f32);
        }
        in_f32(x, |x| {
            let scale = (x.clone().square().mean_dim(1) + self.eps).sqrt().recip();
            x * scale * to(self.weight.clone(), DType::F32)
        })
    }
}

/// An embedding table.
#[derive(Debug, Clone)]
pub struct Embedding {
    pub(super) table: Tensor<2>,     // [entries, hidden]
    pub(super) head: Option<Weight>, // the table as an output projection, if that has a layout of its own
}

impl Embedding {
    /// # Shapes
    /// `[n] -> [n, hidden]`
    #[must_use]
    pub fn forward(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        self.table.clone().select(0, ids)
    }

    /// Logits, with the table as output projection.
    ///
    /// # Shapes
    /// `[n, hidden] -> [n, entries]`
    #[must_use]
    pub fn unembed(&self, hidden: Tensor<2>) -> Tensor<2> {
        match &self.head {
            Some(head) => {
                let [y] = head.multiply(hidden, [self.table.dims()[0]]);
                y
            }
            None => hidden.matmul(self.table.clone().transpose()),
        }
    }
}

/// Activation functions of the supported models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Exact GELU, with erf.
    Gelu,
    /// The tanh approximation of GELU, as in GPT-2.
    GeluTanh,
    /// x * sigmoid(x).
    Silu,
    /// max(x, 0).
    Relu,
    /// Hyperbolic tangent.
    Tanh,
}

impl Activation {
    fn smooth(self) -> Option<kernels::Smooth> {
        match self {
            Self::Gelu => Some(kernels::Smooth::Gelu),
            Self::GeluTanh => Some(kernels::Smooth::GeluTanh),
            Self::Silu => Some(kernels::Smooth::Silu),
            Self::Relu | Self::Tanh => None,
        }
    }

    /// Applies the function to each element, in f32.
    #[must_use]
    pub fn forward(self, x: Tensor<2>) -> Tensor<2> {
        in_f32(x, |x| self.in_f32(x))
    }

    fn in_f32(self, x: Tensor<2>) -> Tensor<2> {
        let device = x.device();
        if let Some(f) = self.smooth() {
            if crate::device::is_flex(&device) {
                return kernels::activate(x, f);
            }
            // On the CPU the autodiff graph gets one product and one sum instead of a chain of elementwise steps.
            if crate::device::is_flex(&device.inner()) {
                let (slope, offset) = kernels::tangent(x.clone().inner(), f);
                return x * Tensor::from_inner(slope) + Tensor::from_inner(offset);
            }
        }
        match self {
            Self::Gelu => activation::gelu(x),
            Self::GeluTanh => activation::gelu_approximate(x),
            Self::Silu => activation::silu(x),
            Self::Relu => activation::relu(x),
            Self::Tanh => x.tanh(),
        }
    }
}

/// Softmax over the last dimension.
#[must_use]
pub fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if crate::device::is_flex(&x.device()) { kernels::softmax(x) } else { activation::softmax(x, D - 1) }
}

/// Transposes `[rows, columns]` to `[columns, rows]`, in blocks that fit the cache.
fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    const BLOCK: usize = 32;
    let mut out = vec![0.0; values.len()];
    for r0 in (0..rows).step_by(BLOCK) {
        for c0 in (0..columns).step_by(BLOCK) {
            for r in r0..(r0 + BLOCK).min(rows) {
                for c in c0..(c0 + BLOCK).min(columns) {
                    out[c * rows + r] = values[r * columns + c];
                }
            }
        }
    }
    out
}

/// Numbers of query heads and key/value heads, and their width.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heads {
    pub query: usize,
    pub key_value: usize,
    pub dim: usize,
}

/// Projects `x`, `[rows * new, hidden]`, to q divided by `scale`, k and v: `[rows, heads or kv_heads, new, head_dim]`.
pub(super) fn split_heads(qkv: &Linear, x: Tensor<2>, rows: usize, heads: Heads, scale: f32) -> [Tensor<4>; 3] {
    let new = x.dims()[0] / rows;
    let (q, kv) = (heads.query * heads.dim, heads.key_value * heads.dim);
    let [q, k, v] = qkv.split(x, [q, kv, kv]);
    #[allow(clippy::float_cmp)]
    let q = if scale == 1.0 { q } else { q / scale };
    [q, k, v].map(|t| {
        let count = t.dims()[1] / heads.dim;
        t.reshape([rows, new, count, heads.dim]).swap_dims(1, 2)
    })
}

/// Joins the heads: `[rows, heads, new, head_dim]` to `[rows * new, heads * head_dim]`.
pub(super) fn merge_heads(x: Tensor<4>) -> Tensor<2> {
    let [rows, heads, new, dim] = x.dims();
    x.swap_dims(1, 2).reshape([rows * new, heads * dim])
}

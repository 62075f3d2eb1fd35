//! Layers that several models share, and the loader that turns a checkpoint's tensors into them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData, activation, module};

use super::kernels;
use super::tensors::Tensors;
use crate::{Error, Result};

/// Outputs of one panel of [`Weight::Panels`].
const PANEL: usize = 64;

/// A weight, laid out as its device multiplies best.
#[derive(Debug, Clone)]
enum Weight {
    /// `[in, out]`: GPUs.
    Flat(Tensor<2>),
    /// `[panels, in, 64]`, zeros where the outputs end: the CPU's kernel reads a panel front to back, without packing it
    /// first. Measured with AVX-512: twice as fast for 4 to 24 rows, as fast or faster for more.
    Panels(Tensor<3>),
}

impl Weight {
    /// `value(o, i)` is at `values[o * strides.0 + i * strides.1]`.
    fn new(values: Vec<f32>, [inputs, outputs]: [usize; 2], strides: (usize, usize), device: &Device) -> Self {
        if !crate::device::is_flex(device) || outputs < PANEL {
            let values = if strides == (1, outputs) { values } else { transposed(&values, outputs, inputs) };
            return Self::Flat(Tensor::from_data(TensorData::new(values, [inputs, outputs]), device));
        }
        const BLOCK: usize = 32;
        let panels = outputs.div_ceil(PANEL);
        let mut out = vec![0.0; panels * inputs * PANEL];
        for (p, panel) in out.chunks_mut(inputs * PANEL).enumerate() {
            let width = PANEL.min(outputs - p * PANEL);
            for (block, rows) in panel.chunks_mut(BLOCK * PANEL).enumerate() {
                for j in 0..width {
                    let from = (p * PANEL + j) * strides.0 + block * BLOCK * strides.1;
                    for (i, row) in rows.chunks_mut(PANEL).enumerate() {
                        row[j] = values[from + i * strides.1];
                    }
                }
            }
        }
        Self::Panels(Tensor::from_data(TensorData::new(out, [panels, inputs, PANEL]), device))
    }

    /// `[rows, in] -> [rows, n]` for each n of `parts`, which together are the outputs.
    fn multiply<const N: usize>(&self, x: Tensor<2>, parts: [usize; N]) -> [Tensor<2>; N] {
        let [rows, inputs] = x.dims();
        let mut from = 0;
        let columns = |y: &Tensor<2>, from: usize, n: usize| {
            if y.dims()[1] == n { y.clone() } else { y.clone().slice([0..rows, from..from + n]) }
        };
        let whole = match self {
            Self::Flat(weight) => x.matmul(weight.clone()),
            Self::Panels(weight) => {
                let panels = weight.dims()[0];
                let y = x.reshape([1, rows, inputs]).matmul(weight.clone()); // [panels, rows, 64]
                let flat = |y: Tensor<3>, n: usize| y.swap_dims(0, 1).reshape([rows, n * PANEL]);
                if parts.iter().all(|n| n.is_multiple_of(PANEL)) {
                    // Whole panels are taken as they are, and copied once.
                    return parts.map(|n| {
                        let (start, count) = (from / PANEL, n / PANEL);
                        from += n;
                        flat(y.clone().slice([start..start + count, 0..rows, 0..PANEL]), count)
                    });
                }
                flat(y, panels)
            }
        };
        parts.map(|n| {
            let part = columns(&whole, from, n);
            from += n;
            part
        })
    }
}

/// `y = x W + b`.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Weight,
    outputs: usize,
    bias: Option<Tensor<2>>, // [1, out]
}

impl Linear {
    /// # Shapes
    /// `[rows, in] -> [rows, out]`
    #[must_use]
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [y] = self.split(x, [self.outputs]);
        y
    }

    /// The outputs of projections that were fused, apart.
    ///
    /// # Shapes
    /// `[rows, in] -> [rows, n]` for each n of `parts`, which together are the outputs
    #[must_use]
    pub fn split<const N: usize>(&self, x: Tensor<2>, parts: [usize; N]) -> [Tensor<2>; N] {
        let y = self.weight.multiply(x, parts);
        let Some(bias) = &self.bias else { return y };
        let mut from = 0;
        y.map(|y| {
            let n = y.dims()[1];
            from += n;
            y + bias.clone().slice([0..1, from - n..from])
        })
    }
}

/// Layer normalisation over the last dimension.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
}

impl LayerNorm {
    /// # Shapes
    /// `[rows, hidden] -> [rows, hidden]`
    #[must_use]
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        module::layer_norm(x, self.weight.clone(), Some(self.bias.clone()), self.eps)
    }
}

/// Root-mean-square normalisation over the last dimension (Llama).
#[derive(Debug, Clone)]
pub struct RmsNorm {
    weight: Tensor<2>, // [1, hidden]
    on_host: Option<Arc<[f32]>>,
    eps: f64,
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
        let scale = (x.clone().square().mean_dim(1) + self.eps).sqrt().recip();
        x * scale * self.weight.clone()
    }
}

/// Rows of a table.
#[derive(Debug, Clone)]
pub struct Embedding {
    table: Tensor<2>,     // [entries, hidden]
    head: Option<Weight>, // the same as an output projection, where it is laid out anew
}

impl Embedding {
    /// # Shapes
    /// `[n] -> [n, hidden]`
    #[must_use]
    pub fn forward(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        self.table.clone().select(0, ids)
    }

    /// Logits with the table as output projection.
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

/// Activations by their names in `config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Exact (erf) GELU.
    Gelu,
    /// GELU by tanh, as GPT-2.
    GeluTanh,
    /// x * sigmoid(x).
    Silu,
}

impl Activation {
    /// Elementwise.
    #[must_use]
    pub fn forward(self, x: Tensor<2>) -> Tensor<2> {
        let flex = crate::device::is_flex(&x.device());
        match self {
            Self::Gelu if flex => kernels::gelu(x),
            Self::GeluTanh if flex => kernels::gelu_tanh(x),
            Self::Silu if flex => kernels::silu(x),
            Self::Gelu => activation::gelu(x),
            Self::GeluTanh => activation::gelu_approximate(x),
            Self::Silu => activation::silu(x),
        }
    }
}

/// Softmax over the last dimension.
#[must_use]
pub fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if crate::device::is_flex(&x.device()) { kernels::softmax(x) } else { activation::softmax(x, D - 1) }
}

/// Hands a checkpoint's tensors to a model, checks their shapes, and remembers which were taken.
pub struct Loader<'a> {
    tensors: &'a Tensors,
    device: &'a Device,
    prefix: &'static str,
    taken: RefCell<BTreeSet<String>>,
}

impl<'a> Loader<'a> {
    /// `prefixes`: the first under which `probe` exists is used ("transformer." or "" for GPT-2).
    ///
    /// # Errors
    /// [`Error::Tensor`] when `probe` exists under none.
    pub fn new(tensors: &'a Tensors, device: &'a Device, prefixes: &[&'static str], probe: &str) -> Result<Self> {
        let found = prefixes.iter().find(|p| tensors.info(&format!("{p}{probe}")).is_some());
        let prefix = found.ok_or_else(|| Error::Tensor {
            file: tensors.place(probe),
            tensor: format!("{}{probe}", prefixes.first().unwrap_or(&"")),
            expected: "a tensor of this name".into(),
            found: "none".into(),
        })?;
        Ok(Self { tensors, device, prefix, taken: RefCell::default() })
    }

    /// The device tensors go to.
    #[must_use]
    pub fn device(&self) -> &Device {
        self.device
    }

    fn name(&self, name: &str) -> String {
        // A leading slash escapes the prefix: classification heads stand beside the body.
        name.strip_prefix('/').map_or_else(|| format!("{}{name}", self.prefix), str::to_owned)
    }

    /// Is there a tensor of this name?
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.tensors.info(&self.name(name)).is_some()
    }

    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let full = self.name(name);
        let wrong = |found: String| Error::Tensor {
            file: self.tensors.place(&full),
            tensor: full.clone(),
            expected: format!("shape {shape:?}"),
            found,
        };
        match self.tensors.info(&full) {
            None => Err(wrong("no such tensor".into())),
            Some(info) if info.shape != shape => Err(wrong(format!("shape {:?}", info.shape))),
            Some(_) => {
                let values = self.tensors.read_f32(&full)?;
                self.taken.borrow_mut().insert(full);
                Ok(values)
            }
        }
    }

    /// A vector.
    ///
    /// # Errors
    /// [`Error::Tensor`], [`Error::NonFinite`] or the file's own.
    pub fn vector(&self, name: &str, n: usize) -> Result<Tensor<1>> {
        Ok(Tensor::from_data(TensorData::new(self.read(name, &[n])?, [n]), self.device))
    }

    /// A matrix as it lies in the file.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Tensor<2>> {
        Ok(Tensor::from_data(TensorData::new(self.read(name, &[rows, columns])?, [rows, columns]), self.device))
    }

    /// An embedding table.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn embedding(&self, name: &str, entries: usize, hidden: usize) -> Result<Embedding> {
        Ok(Embedding { table: self.matrix(name, entries, hidden)?, head: None })
    }

    /// An embedding table that is the output projection as well.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn tied(&self, name: &str, entries: usize, hidden: usize) -> Result<Embedding> {
        let values = self.read(name, &[entries, hidden])?;
        let table = Tensor::from_data(TensorData::new(values.clone(), [entries, hidden]), self.device);
        let head = crate::device::is_flex(self.device)
            .then(|| Weight::new(values, [hidden, entries], (hidden, 1), self.device));
        Ok(Embedding { table, head })
    }

    /// `torch.nn.Linear`: the file holds `[out, in]`. The bias is taken where it exists.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        self.fused(&[(name, outputs)], inputs)
    }

    /// Several projections of one input as one, their outputs side by side. All have a bias, or none.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn fused(&self, parts: &[(&str, usize)], inputs: usize) -> Result<Linear> {
        let outputs = parts.iter().map(|p| p.1).sum();
        let mut values = Vec::new();
        let mut biases = Vec::new();
        for (name, outputs) in parts {
            let part = self.read(&format!("{name}.weight"), &[*outputs, inputs])?;
            if values.is_empty() {
                values = part;
            } else {
                values.extend(part);
            }
            biases.extend(self.bias(name, *outputs)?);
        }
        let weight = Weight::new(values, [inputs, outputs], (inputs, 1), self.device);
        let bias = (biases.len() == parts.len()).then(|| Tensor::cat(biases, 1));
        Ok(Linear { weight, outputs, bias })
    }

    /// GPT-2's `Conv1D`: the file holds `[in, out]`.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn conv1d(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        let values = self.read(&format!("{name}.weight"), &[inputs, outputs])?;
        let weight = Weight::new(values, [inputs, outputs], (1, outputs), self.device);
        Ok(Linear { weight, outputs, bias: self.bias(name, outputs)? })
    }

    fn bias(&self, name: &str, outputs: usize) -> Result<Option<Tensor<2>>> {
        let name = format!("{name}.bias");
        if self.has(&name) { Ok(Some(self.vector(&name, outputs)?.reshape([1, outputs]))) } else { Ok(None) }
    }

    /// Weight and bias of a layer norm.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn layer_norm(&self, name: &str, n: usize, eps: f64) -> Result<LayerNorm> {
        Ok(LayerNorm {
            weight: self.vector(&format!("{name}.weight"), n)?,
            bias: self.vector(&format!("{name}.bias"), n)?,
            eps,
        })
    }

    /// Weight of an RMS norm.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn rms_norm(&self, name: &str, n: usize, eps: f64) -> Result<RmsNorm> {
        let values = self.read(&format!("{name}.weight"), &[n])?;
        let on_host = crate::device::is_flex(self.device).then(|| values.as_slice().into());
        Ok(RmsNorm { weight: Tensor::from_data(TensorData::new(values, [1, n]), self.device), on_host, eps })
    }

    /// Refuses tensors of layers that the config does not have; other leftovers (mask buffers, unused heads) are fine.
    ///
    /// # Errors
    /// [`Error::Tensor`] names the first such tensor.
    pub fn finish(self, layers: usize) -> Result<()> {
        let taken = self.taken.into_inner();
        for name in self.tensors.names() {
            let beyond = name.split('.').filter_map(|part| part.parse::<usize>().ok()).any(|layer| layer >= layers);
            if beyond && !taken.contains(name) {
                return Err(Error::Tensor {
                    file: self.tensors.place(name),
                    tensor: name.to_owned(),
                    expected: format!("tensors of {layers} layers, as config.json says"),
                    found: "one of a further layer".into(),
                });
            }
        }
        Ok(())
    }
}

/// `[rows, columns]` to `[columns, rows]`, in blocks that fit the cache.
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

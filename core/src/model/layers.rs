//! Layers that several models share, and the loader that turns a checkpoint's tensors into them.

use std::cell::RefCell;
use std::collections::BTreeSet;

use burn::tensor::{Device, Int, Tensor, TensorData, activation, module};

use super::tensors::Tensors;
use crate::{Error, Result};

/// `y = x W + b`.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor<2>,       // [in, out]
    bias: Option<Tensor<2>>, // [1, out]
}

impl Linear {
    /// # Shapes
    /// `[rows, in] -> [rows, out]`. Two dimensions only: CPU matrix products of three run batch by batch.
    #[must_use]
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let y = x.matmul(self.weight.clone());
        match &self.bias {
            Some(b) => y + b.clone(),
            None => y,
        }
    }

    /// Several projections of one input as one.
    #[must_use]
    pub fn fused(parts: Vec<Self>) -> Self {
        let bias = parts.iter().map(|p| p.bias.clone()).collect::<Option<Vec<_>>>().map(|b| Tensor::cat(b, 1));
        Self { weight: Tensor::cat(parts.into_iter().map(|p| p.weight).collect(), 1), bias }
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
    eps: f64,
}

impl RmsNorm {
    /// # Shapes
    /// `[rows, hidden] -> [rows, hidden]`
    #[must_use]
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let scale = (x.clone().square().mean_dim(1) + self.eps).sqrt().recip();
        x * scale * self.weight.clone()
    }
}

/// Rows of a table.
#[derive(Debug, Clone)]
pub struct Embedding {
    pub(crate) table: Tensor<2>, // [entries, hidden]
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
        hidden.matmul(self.table.clone().transpose())
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
        match self {
            Self::Gelu => activation::gelu(x),
            Self::GeluTanh => activation::gelu_approximate(x),
            Self::Silu => activation::silu(x),
        }
    }
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
        Ok(Embedding { table: self.matrix(name, entries, hidden)? })
    }

    /// `torch.nn.Linear`: the file holds `[out, in]`; laid out once as `[in, out]`. The bias is taken where it exists.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        let weight = transposed(&self.read(&format!("{name}.weight"), &[outputs, inputs])?, outputs, inputs);
        self.finish_linear(name, weight, inputs, outputs)
    }

    /// GPT-2's `Conv1D`: the file holds `[in, out]` already.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn conv1d(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        let weight = self.read(&format!("{name}.weight"), &[inputs, outputs])?;
        self.finish_linear(name, weight, inputs, outputs)
    }

    fn finish_linear(&self, name: &str, weight: Vec<f32>, inputs: usize, outputs: usize) -> Result<Linear> {
        let bias_name = format!("{name}.bias");
        let bias =
            if self.has(&bias_name) { Some(self.vector(&bias_name, outputs)?.reshape([1, outputs])) } else { None };
        let weight = Tensor::from_data(TensorData::new(weight, [inputs, outputs]), self.device);
        Ok(Linear { weight, bias })
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
        Ok(RmsNorm { weight: self.vector(&format!("{name}.weight"), n)?.reshape([1, n]), eps })
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

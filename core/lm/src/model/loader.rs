//! From a checkpoint's tensors, or from parameters that are being trained, to layers.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{Device, Tensor, TensorData};

use super::layers::{Adapter, Embedding, LayerNorm, Linear, RmsNorm, Weight};
use super::number::unknown;
use super::tensors::Tensors;
use crate::{Error, Result};

/// Parameters on a device, by their names in a checkpoint: what a model is built from while it is trained.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// Biases and norms.
    pub vectors: BTreeMap<String, Tensor<1>>,
    /// Projections and tables, as in the checkpoint.
    pub matrices: BTreeMap<String, Tensor<2>>,
    /// Low-rank additions, by the name of the weight they add to.
    pub adapters: BTreeMap<String, Adapter>,
}

impl Live {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let vector = self.vectors.get(name).map(|t| t.dims().to_vec());
        vector.or_else(|| self.matrices.get(name).map(|t| t.dims().to_vec()))
    }

    fn names(&self) -> Vec<&str> {
        self.vectors.keys().chain(self.matrices.keys()).map(String::as_str).collect()
    }
}

/// What a model is built from.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// A checkpoint.
    Checkpoint(&'a Tensors),
    /// Parameters that are being trained.
    Live(&'a Live),
}

impl Source<'_> {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        match self {
            Self::Checkpoint(tensors) => tensors.info(name).map(|info| info.shape),
            Self::Live(live) => live.shape(name),
        }
    }

    fn names(&self) -> Vec<&str> {
        match self {
            Self::Checkpoint(tensors) => tensors.names(),
            Self::Live(live) => live.names(),
        }
    }

    fn place(&self, name: &str) -> String {
        match self {
            Self::Checkpoint(tensors) => tensors.place(name),
            Self::Live(_) => "the student's parameters".to_owned(),
        }
    }
}

/// Hands a checkpoint's tensors to a model, checks their shapes, and remembers which were taken.
pub struct Loader<'a> {
    source: Source<'a>,
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
        Self::of(Source::Checkpoint(tensors), device, prefixes, probe)
    }

    /// As [`Loader::new`], from any source.
    ///
    /// # Errors
    /// As [`Loader::new`].
    pub fn of(source: Source<'a>, device: &'a Device, prefixes: &[&'static str], probe: &str) -> Result<Self> {
        let found = prefixes.iter().find(|p| source.shape(&format!("{p}{probe}")).is_some());
        let prefix = found.ok_or_else(|| Error::Tensor {
            file: source.place(probe),
            tensor: format!("{}{probe}", prefixes.first().unwrap_or(&"")),
            expected: "a tensor of this name".into(),
            found: "none".into(),
        })?;
        Ok(Self { source, device, prefix, taken: RefCell::default() })
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
        self.source.shape(&self.name(name)).is_some()
    }

    /// The full name of a tensor of this shape; it counts as taken.
    fn take(&self, name: &str, shape: &[usize]) -> Result<String> {
        let full = self.name(name);
        let wrong = |found: String| Error::Tensor {
            file: self.source.place(&full),
            tensor: full.clone(),
            expected: format!("shape {shape:?}"),
            found,
        };
        match self.source.shape(&full) {
            None => Err(wrong("no such tensor".into())),
            Some(found) if found != shape => Err(wrong(format!("shape {found:?}"))),
            Some(_) => {
                self.taken.borrow_mut().insert(full.clone());
                Ok(full)
            }
        }
    }

    /// Values of a checkpoint's tensor.
    fn read(&self, tensors: &Tensors, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        tensors.read_f32(&self.take(name, shape)?)
    }

    /// A vector.
    ///
    /// # Errors
    /// [`Error::Tensor`], [`Error::NonFinite`] or the file's own.
    pub fn vector(&self, name: &str, n: usize) -> Result<Tensor<1>> {
        match self.source {
            Source::Checkpoint(tensors) => {
                Ok(Tensor::from_data(TensorData::new(self.read(tensors, name, &[n])?, [n]), self.device))
            }
            Source::Live(live) => {
                let full = self.take(name, &[n])?;
                live.vectors.get(&full).cloned().ok_or_else(|| unknown(self.source.place(&full), &full))
            }
        }
    }

    /// A matrix as it lies in the file.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Tensor<2>> {
        match self.source {
            Source::Checkpoint(tensors) => {
                let values = self.read(tensors, name, &[rows, columns])?;
                Ok(Tensor::from_data(TensorData::new(values, [rows, columns]), self.device))
            }
            Source::Live(live) => {
                let full = self.take(name, &[rows, columns])?;
                live.matrices.get(&full).cloned().ok_or_else(|| unknown(self.source.place(&full), &full))
            }
        }
    }

    /// Adapters of projections, where any of them has one.
    fn adapters(&self, parts: &[(&str, usize)]) -> Vec<(usize, Option<Adapter>)> {
        let Source::Live(live) = self.source else { return Vec::new() };
        let of = |&(name, outputs): &(&str, usize)| {
            (outputs, live.adapters.get(&self.name(&format!("{name}.weight"))).cloned())
        };
        let all: Vec<_> = parts.iter().map(of).collect();
        if all.iter().any(|a| a.1.is_some()) { all } else { Vec::new() }
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
        let Source::Checkpoint(tensors) = self.source else { return self.embedding(name, entries, hidden) };
        let values = self.read(tensors, name, &[entries, hidden])?;
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
        let mut biases = Vec::new();
        for (name, outputs) in parts {
            biases.extend(self.bias(name, *outputs)?);
        }
        let weight = match self.source {
            Source::Checkpoint(tensors) => {
                let mut values = Vec::new();
                for (name, outputs) in parts {
                    let part = self.read(tensors, &format!("{name}.weight"), &[*outputs, inputs])?;
                    if values.is_empty() {
                        values = part;
                    } else {
                        values.extend(part);
                    }
                }
                Weight::new(values, [inputs, outputs], (inputs, 1), self.device)
            }
            Source::Live(_) => {
                let each = parts.iter().map(|(name, outputs)| self.matrix(&format!("{name}.weight"), *outputs, inputs));
                Weight::Rows(each.collect::<Result<_>>()?)
            }
        };
        let bias = (biases.len() == parts.len()).then(|| Tensor::cat(biases, 1));
        Ok(Linear { weight, outputs, bias, adapters: self.adapters(parts) })
    }

    /// GPT-2's `Conv1D`: the file holds `[in, out]`.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn conv1d(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        let full = format!("{name}.weight");
        let weight = match self.source {
            Source::Checkpoint(tensors) => {
                let values = self.read(tensors, &full, &[inputs, outputs])?;
                Weight::new(values, [inputs, outputs], (1, outputs), self.device)
            }
            Source::Live(_) => Weight::Flat(self.matrix(&full, inputs, outputs)?),
        };
        Ok(Linear { weight, outputs, bias: self.bias(name, outputs)?, adapters: self.adapters(&[(name, outputs)]) })
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
        let name = format!("{name}.weight");
        let Source::Checkpoint(tensors) = self.source else {
            return Ok(RmsNorm { weight: self.vector(&name, n)?.reshape([1, n]), on_host: None, eps });
        };
        let values = self.read(tensors, &name, &[n])?;
        let on_host = crate::device::is_flex(self.device).then(|| values.as_slice().into());
        Ok(RmsNorm { weight: Tensor::from_data(TensorData::new(values, [1, n]), self.device), on_host, eps })
    }

    /// Refuses tensors of layers that the config does not have; other leftovers (mask buffers, unused heads) are fine.
    ///
    /// # Errors
    /// [`Error::Tensor`] names the first such tensor.
    pub fn finish(self, layers: usize) -> Result<()> {
        let taken = self.taken.into_inner();
        for name in self.source.names() {
            let beyond = name.split('.').filter_map(|part| part.parse::<usize>().ok()).any(|layer| layer >= layers);
            if beyond && !taken.contains(name) {
                return Err(Error::Tensor {
                    file: self.source.place(name),
                    tensor: name.to_owned(),
                    expected: format!("tensors of {layers} layers, as config.json says"),
                    found: "one of a further layer".into(),
                });
            }
        }
        Ok(())
    }
}

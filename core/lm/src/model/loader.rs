//! Building layers from a checkpoint's tensors or from parameters in training.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{Device, Tensor, TensorData};

use super::layers::{Adapter, Embedding, LayerNorm, Linear, RmsNorm, Weight};
use super::number::unknown;
use super::tensors::Tensors;
use crate::{Error, Result};

/// Parameters on a device, by their names in a checkpoint, from which a model is built during training.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// Biases and norm weights.
    pub vectors: BTreeMap<String, Tensor<1>>,
    /// Projections and embedding tables, with the shapes of the checkpoint.
    pub matrices: BTreeMap<String, Tensor<2>>,
    /// Low-rank adapters, by the name of the adapted weight.
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

/// The source of a model's weights.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// The tensors of a checkpoint.
    Checkpoint(&'a Tensors),
    /// Parameters in training.
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

/// Reads a model's layers from a source, checks the shapes of tensors, and records which tensors were used.
pub struct Loader<'a> {
    source: Source<'a>,
    device: &'a Device,
    prefix: &'static str,
    taken: RefCell<BTreeSet<String>>,
}

impl<'a> Loader<'a> {
    /// A loader of a checkpoint. Tensor names get the first of `prefixes` with which the tensor `probe` exists, for
    /// example "transformer." or "" for GPT-2.
    ///
    /// # Errors
    /// [`Error::Tensor`] when `probe` exists with none of the prefixes.
    pub fn new(tensors: &'a Tensors, device: &'a Device, prefixes: &[&'static str], probe: &str) -> Result<Self> {
        Self::of(Source::Checkpoint(tensors), device, prefixes, probe)
    }

    /// A loader of any source; see [`Loader::new`].
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

    /// The device that tensors are loaded to.
    #[must_use]
    pub fn device(&self) -> &Device {
        self.device
    }

    fn name(&self, name: &str) -> String {
        // A name with a leading slash gets no prefix, as classification heads are outside the model's body.
        name.strip_prefix('/').map_or_else(|| format!("{}{name}", self.prefix), str::to_owned)
    }

    /// Whether there is a tensor of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.source.shape(&self.name(name)).is_some()
    }

    /// The first of these names with which there is a tensor, or else the first one. Files may have a tied table under the
    /// name of any of its uses.
    #[must_use]
    pub fn first<'n>(&self, names: &[&'n str]) -> &'n str {
        names.iter().find(|name| self.has(name)).or(names.first()).copied().unwrap_or_default()
    }

    /// The full name of a tensor, which must have this shape and is recorded as used.
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

    /// The values of a checkpoint's tensor.
    fn read(&self, tensors: &Tensors, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        tensors.read_f32(&self.take(name, shape)?)
    }

    /// A vector of n values.
    ///
    /// # Errors
    /// [`Error::Tensor`] for a missing tensor or another shape; [`Error::NonFinite`] for NaN or infinity; errors of
    /// reading the file.
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

    /// A matrix, `[rows, columns]` as in the file.
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

    /// The adapters of fused projections; empty if none of these has one.
    fn adapters(&self, parts: &[(&str, usize)]) -> Vec<(usize, Option<Adapter>)> {
        let Source::Live(live) = self.source else { return Vec::new() };
        let of = |&(name, outputs): &(&str, usize)| {
            (outputs, live.adapters.get(&self.name(&format!("{name}.weight"))).cloned())
        };
        let all: Vec<_> = parts.iter().map(of).collect();
        if all.iter().any(|a| a.1.is_some()) { all } else { Vec::new() }
    }

    /// An embedding table, `[entries, hidden]`.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn embedding(&self, name: &str, entries: usize, hidden: usize) -> Result<Embedding> {
        Ok(Embedding { table: self.matrix(name, entries, hidden)?, head: None })
    }

    /// An embedding table that is also the output projection.
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

    /// The embedding table, under the first of the names `tables` that exists, and the output projection `head`, unless
    /// both are tied. Then the file may also have the table under the name of the head only.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn tables(
        &self,
        tables: &[&str],
        head: &str,
        [entries, hidden]: [usize; 2],
        tied: bool,
    ) -> Result<(Embedding, Option<Linear>)> {
        let table = self.first(tables);
        if tied {
            return Ok((self.tied(self.first(&[table, &format!("{head}.weight")]), entries, hidden)?, None));
        }
        Ok((self.embedding(table, entries, hidden)?, Some(self.linear(head, hidden, entries, false)?)))
    }

    /// A `torch.nn.Linear`, whose weight is `[out, in]` in the file. Whether it has a bias is a matter of the architecture
    /// and not of the file, as in the reference.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn linear(&self, name: &str, inputs: usize, outputs: usize, bias: bool) -> Result<Linear> {
        self.fused(&[(name, outputs)], inputs, bias)
    }

    /// Several projections of one input fused into one, with concatenated outputs.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn fused(&self, parts: &[(&str, usize)], inputs: usize, bias: bool) -> Result<Linear> {
        let outputs = parts.iter().map(|p| p.1).sum();
        let mut biases = Vec::new();
        for (name, outputs) in parts.iter().filter(|_| bias) {
            biases.push(self.bias(name, *outputs)?);
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
        let bias = bias.then(|| Tensor::cat(biases, 1));
        Ok(Linear { weight, outputs, bias, adapters: self.adapters(parts) })
    }

    /// GPT-2's `Conv1D`, whose weight is `[in, out]` in the file.
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
        Ok(Linear {
            weight,
            outputs,
            bias: Some(self.bias(name, outputs)?),
            adapters: self.adapters(&[(name, outputs)]),
        })
    }

    fn bias(&self, name: &str, outputs: usize) -> Result<Tensor<2>> {
        Ok(self.vector(&format!("{name}.bias"), outputs)?.reshape([1, outputs]))
    }

    /// A layer norm with weight and bias, which old files call gamma and beta.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn layer_norm(&self, name: &str, n: usize, eps: f64) -> Result<LayerNorm> {
        let [weight, gamma, bias, beta] = ["weight", "gamma", "bias", "beta"].map(|part| format!("{name}.{part}"));
        Ok(LayerNorm {
            weight: self.vector(self.first(&[&weight, &gamma]), n)?,
            bias: self.vector(self.first(&[&bias, &beta]), n)?,
            eps,
        })
    }

    /// A layer norm whose bias, if it has none, is 0.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn norm(&self, name: &str, n: usize, eps: f64, bias: bool) -> Result<LayerNorm> {
        if bias {
            return self.layer_norm(name, n, eps);
        }
        Ok(LayerNorm { weight: self.vector(&format!("{name}.weight"), n)?, ..LayerNorm::plain(n, eps, self.device) })
    }

    /// An RMS norm with its weight, which is stored less `less`.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn rms_norm(&self, name: &str, n: usize, eps: f64, less: f32) -> Result<RmsNorm> {
        let name = format!("{name}.weight");
        let Source::Checkpoint(tensors) = self.source else {
            let weight = self.vector(&name, n)?.reshape([1, n]);
            let weight = if less > 0.0 { weight + less } else { weight };
            return Ok(RmsNorm { weight, on_host: None, eps });
        };
        let mut values = self.read(tensors, &name, &[n])?;
        values.iter_mut().for_each(|value| *value += less);
        let on_host = crate::device::is_flex(self.device).then(|| values.as_slice().into());
        Ok(RmsNorm { weight: Tensor::from_data(TensorData::new(values, [1, n]), self.device), on_host, eps })
    }

    /// Checks that the source has no tensors of layers beyond the configuration's. Other unused tensors, such as mask
    /// buffers and unused heads, are accepted.
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

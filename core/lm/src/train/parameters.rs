//! A model's parameters on a device, by their names in the checkpoint, trained or frozen.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::lora::{self, Lora};
use crate::model::layers::{Adapter, to};
use crate::model::loader::Live;
use crate::model::tensors::{Dtype, Tensors};
use crate::{Error, Result};

/// One parameter tensor.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// One or two dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Values in row-major order, without autodiff.
    pub value: Tensor<1>,
    /// Whether the parameter is trained.
    pub trained: bool,
}

/// All parameters of a model.
#[derive(Debug, Clone)]
pub struct Parameters {
    /// Parameters by name, adapters included.
    pub all: BTreeMap<String, Parameter>,
    /// Settings of low-rank adapters; `None` if all weights are trained.
    pub lora: Option<Lora>,
    /// The device that holds the values, without autodiff.
    pub device: Device,
}

/// Gradients by parameter name, in row-major order.
pub type Gradients = BTreeMap<String, Tensor<1>>;

fn tensor(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), device)
}

impl Parameters {
    /// Reads a checkpoint. With `lora` its weights are frozen and the target weights get adapters whose product is
    /// initially zero. Tensors of integers or of more than two dimensions, such as masks and position ids, are left
    /// out.
    ///
    /// # Errors
    /// Errors of reading the checkpoint; [`Error::Input`] when no weight matches a LoRA target.
    pub fn read(tensors: &Tensors, lora: Option<Lora>, seed: u64, device: &Device) -> Result<Self> {
        let mut all = BTreeMap::new();
        for name in tensors.names() {
            let Some(info) = tensors.info(name) else { continue };
            if matches!(info.dtype, Dtype::Other(_)) || !(1..=2).contains(&info.shape.len()) {
                continue;
            }
            let value = tensor(tensors.read_f32(name)?, device);
            all.insert(name.to_owned(), Parameter { shape: info.shape, value, trained: lora.is_none() });
        }
        let mut this = Self { all, lora: None, device: device.clone() };
        if let Some(lora) = lora {
            this.adapt(lora, seed)?;
        }
        Ok(this)
    }

    fn adapt(&mut self, lora: Lora, seed: u64) -> Result<()> {
        let targets: Vec<String> = self
            .all
            .iter()
            .filter(|(name, p)| p.shape.len() == 2 && lora.targets(name))
            .map(|(n, _)| n.clone())
            .collect();
        if targets.is_empty() {
            return Err(Error::input("lora targets", "a part of a weight's name", lora.targets.join(", ")));
        }
        for (i, name) in targets.iter().enumerate() {
            let shape = &self.all[name].shape;
            let [outputs, inputs] = if lora::is_conv1d(name) { [shape[1], shape[0]] } else { [shape[0], shape[1]] };
            let a = tensor(lora::initial(inputs, lora.rank, seed, i), &self.device);
            let b = Tensor::zeros([outputs * lora.rank], &self.device);
            self.all.insert(lora::a(name), Parameter { shape: vec![lora.rank, inputs], value: a, trained: true });
            self.all.insert(lora::b(name), Parameter { shape: vec![outputs, lora.rank], value: b, trained: true });
        }
        self.lora = Some(lora);
        Ok(())
    }

    /// Names of the trained parameters, sorted.
    pub fn trained(&self) -> impl Iterator<Item = &String> {
        self.all.iter().filter(|(_, p)| p.trained).map(|(name, _)| name)
    }

    /// Number of values in all parameters and in the trained ones.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let size = |p: &Parameter| p.shape.iter().product::<usize>();
        (self.all.values().map(size).sum(), self.all.values().filter(|p| p.trained).map(size).sum())
    }

    /// The parameters as the source of a model, in a number type. With `gradients`, trained parameters are leaves of an
    /// autodiff graph.
    #[must_use]
    pub fn live(&self, gradients: bool, dtype: DType) -> Live {
        let mut live = Live::default();
        let leaf2 = |p: &Parameter| {
            let t = to(p.value.clone().reshape([p.shape[0], p.shape[1]]), dtype);
            if !gradients {
                return t;
            }
            let t = Tensor::from_inner(t);
            if p.trained { t.require_grad() } else { t }
        };
        for (name, p) in &self.all {
            if p.shape.len() == 2 {
                if !lora::is_adapter(name) {
                    live.matrices.insert(name.clone(), leaf2(p));
                }
            } else if gradients {
                let t = Tensor::from_inner(to(p.value.clone(), dtype));
                live.vectors.insert(name.clone(), if p.trained { t.require_grad() } else { t });
            } else {
                live.vectors.insert(name.clone(), to(p.value.clone(), dtype));
            }
        }
        if let Some(lora) = &self.lora {
            for name in live.matrices.keys() {
                if let (Some(a), Some(b)) = (self.all.get(&lora::a(name)), self.all.get(&lora::b(name))) {
                    live.adapters.insert(name.clone(), Adapter { a: leaf2(a), b: leaf2(b), scale: lora.scale() });
                }
            }
        }
        live
    }

    /// The weights as in a checkpoint, with adapters merged into the weights that they adapt.
    ///
    /// # Errors
    /// [`Error::Device`] when the values cannot be read back.
    pub async fn merged(&self) -> Result<BTreeMap<String, (Vec<usize>, Vec<f32>)>> {
        let live = self.live(false, DType::F32);
        let mut out = BTreeMap::new();
        for (name, p) in self.all.iter().filter(|(name, _)| !lora::is_adapter(name)) {
            let value = match live.adapters.get(name) {
                Some(Adapter { a, b, scale }) => {
                    let delta = b.clone().matmul(a.clone()) * *scale; // [out, in]
                    let delta = if lora::is_conv1d(name) { delta.transpose() } else { delta };
                    p.value.clone() + delta.reshape([p.value.dims()[0]])
                }
                None => p.value.clone(),
            };
            out.insert(name.clone(), (p.shape.clone(), host(value).await?));
        }
        Ok(out)
    }
}

/// Reads values back to the host.
pub(super) async fn host(values: Tensor<1>) -> Result<Vec<f32>> {
    let failed = |reason: String| Error::Device { device: "in use".into(), reason };
    let data = values.into_data_async().await.map_err(|e| failed(format!("reading values failed: {e}")))?;
    data.try_into_vec::<f32>().map_err(|e| failed(format!("reading values failed: {e:?}")))
}

/// Adds gradients to `sum`.
pub(super) fn add(sum: &mut Gradients, gradients: Gradients) {
    for (name, gradient) in gradients {
        let total = match sum.remove(&name) {
            Some(before) => before + gradient,
            None => gradient,
        };
        sum.insert(name, total);
    }
}

/// Adds the gradients of the leaves of `live`, converted to f32, to `sink`.
pub(super) fn collect(live: &Live, gradients: &mut burn::tensor::Gradients, sink: &mut Gradients) {
    let mut add = |name: String, gradient: Option<Tensor<1>>| {
        add(sink, gradient.map(|g| (name, to(g, DType::F32))).into_iter().collect());
    };
    let flat = |t: Tensor<2>| {
        let [rows, columns] = t.dims();
        t.reshape([rows * columns])
    };
    for (name, leaf) in live.vectors.iter().filter(|(_, t)| t.is_require_grad()) {
        add(name.clone(), leaf.grad_remove(gradients));
    }
    for (name, leaf) in live.matrices.iter().filter(|(_, t)| t.is_require_grad()) {
        add(name.clone(), leaf.grad_remove(gradients).map(flat));
    }
    for (name, adapter) in &live.adapters {
        add(lora::a(name), adapter.a.grad_remove(gradients).map(flat));
        add(lora::b(name), adapter.b.grad_remove(gradients).map(flat));
    }
}

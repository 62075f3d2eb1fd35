//! Training checkpoints: the trained parameters, the optimiser's moments and the progress, in one safetensors file.
//! Frozen weights are not included.

use std::collections::{BTreeMap, HashMap};

use burn::tensor::{Tensor, TensorData};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::objective::Objective;
use super::parameters::host;
use super::trainer::{State, Trainer};
use crate::{Error, Result};

/// The progress of a training run, and the plan that it belongs to.
#[derive(Serialize, Deserialize)]
struct Place {
    plan: String,
    steps: u64,
    state: State,
}

/// Key of [`Place`] in the metadata of the file.
const PLACE: &str = "training";
const VALUE: &str = "value/";
const MOMENT: [&str; 2] = ["moment0/", "moment1/"];

impl<O: Objective> Trainer<O> {
    /// Serialises everything needed to resume. `plan` is a hash that identifies what the run belongs to.
    ///
    /// # Errors
    /// [`Error::Device`] when values cannot be read.
    pub async fn save(&self, plan: &str) -> Result<Vec<u8>> {
        let mut tensors: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for name in self.parameters.trained() {
            let value = self.parameters.all[name].value.clone();
            tensors.insert(format!("{VALUE}{name}"), bytes(value).await?);
            for (moment, prefix) in self.optimizer.moments.get(name).into_iter().flatten().zip(MOMENT) {
                tensors.insert(format!("{prefix}{name}"), bytes(moment.clone()).await?);
            }
        }
        let failed = |e: String| Error::broken("the checkpoint", e);
        let place = Place { plan: plan.to_owned(), steps: self.optimizer.steps, state: self.state.clone() };
        let place = serde_json::to_string(&place).map_err(|e| failed(e.to_string()))?;
        // Only one entry, as the order of several would be arbitrary.
        let metadata = HashMap::from([(PLACE.to_owned(), place)]);
        let views = tensors
            .iter()
            .map(|(name, data)| Ok((name, TensorView::new(Dtype::F32, vec![data.len() / 4], data)?)))
            .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|e| failed(e.to_string()))?;
        safetensors::serialize(views, Some(metadata)).map_err(|e| failed(e.to_string()))
    }

    /// Resumes from a checkpoint; `file` is its name in messages. If the checkpoint is rejected, nothing changes.
    ///
    /// # Errors
    /// [`Error::Broken`] for anything but a checkpoint; [`Error::Input`] for one of another plan; [`Error::Tensor`] for
    /// one of another model; [`Error::NonFinite`] for NaN.
    pub fn restore(&mut self, file: &str, data: &[u8], plan: &str) -> Result<()> {
        let broken = |reason: String| Error::broken(file, reason);
        let (_, header) = SafeTensors::read_metadata(data).map_err(|e| broken(e.to_string()))?;
        let found = SafeTensors::deserialize(data).map_err(|e| broken(e.to_string()))?;
        let entry = header.metadata().as_ref().and_then(|m| m.get(PLACE));
        let entry = entry.ok_or_else(|| broken("it is no checkpoint of a training".into()))?;
        let place: Place = serde_json::from_str(entry).map_err(|e| broken(e.to_string()))?;
        if place.plan != plan {
            return Err(Error::input(
                file,
                "a checkpoint of this plan (delete the folder to start the training anew)",
                "one of another plan",
            ));
        }
        let device = self.parameters.device.clone();
        let read = |name: &str, size: usize| -> Result<Tensor<1>> {
            let wrong = |found: String| Error::Tensor {
                file: file.to_owned(),
                tensor: name.to_owned(),
                expected: format!("{size} values of F32"),
                found,
            };
            let view = found.tensor(name).map_err(|_| wrong("no such tensor".into()))?;
            if view.dtype() != Dtype::F32 || view.shape() != [size] {
                return Err(wrong(format!("{:?} of {:?}", view.shape(), view.dtype())));
            }
            let values: Vec<f32> = view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            if !crate::model::all_finite(&values) {
                return Err(Error::NonFinite { what: format!("a value of tensor `{name}`"), place: file.to_owned() });
            }
            Ok(Tensor::from_data(TensorData::new(values, [size]), &device))
        };
        let mut values = BTreeMap::new();
        let mut moments = BTreeMap::new();
        for name in self.parameters.trained() {
            let shape = &self.parameters.all[name].shape;
            values.insert(name.clone(), read(&format!("{VALUE}{name}"), shape.iter().product())?);
            // A weight that the model does not use (such as a separate head in a tied model) has no gradient and no
            // moments.
            if found.tensor(&format!("{}{name}", MOMENT[0])).is_ok() {
                let sizes = self.optimizer.moment_sizes(shape);
                let each = sizes.iter().zip(MOMENT).map(|(&size, prefix)| read(&format!("{prefix}{name}"), size));
                moments.insert(name.clone(), each.collect::<Result<Vec<_>>>()?);
            }
        }
        for (name, value) in values {
            if let Some(parameter) = self.parameters.all.get_mut(&name) {
                parameter.value = value;
            }
        }
        (self.optimizer.moments, self.optimizer.steps, self.state) = (moments, place.steps, place.state);
        Ok(())
    }
}

async fn bytes(values: Tensor<1>) -> Result<Vec<u8>> {
    Ok(host(values).await?.into_iter().flat_map(f32::to_le_bytes).collect())
}

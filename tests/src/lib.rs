//! Helpers shared by the tests: golden files, devices, model folders, and calls of the binary.

pub mod hub;
pub mod made;
pub mod program;
pub mod snapshot;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use impossible::models::files::FolderFiles;
use lm::device::{Compute, DeviceSpec};
use lm::model::ModelFolder;
use lm::model::config::Config;
use lm::model::files::Files;
use lm::train::initial::initial;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

pub use lm::lanes::wait;

/// The path of a golden file, given relative to `tests/golden`.
#[must_use]
pub fn golden(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/golden")).join(path)
}

/// The devices of this build and machine: both CPU backends, and with the feature `gpu` Vulkan where an adapter exists.
///
/// # Errors
/// If a CPU device, or the Vulkan adapter, cannot be opened.
pub fn devices() -> Result<Vec<Compute>> {
    let mut devices = vec![Compute::open(DeviceSpec::Flex)?, Compute::open(DeviceSpec::NdArray)?];
    match vulkan() {
        Ok(()) => devices.push(Compute::open(DeviceSpec::Vulkan)?),
        Err(why) => eprintln!("SKIPPED on vulkan: {why}"),
    }
    Ok(devices)
}

#[cfg(feature = "gpu")]
fn vulkan() -> Result<(), &'static str> {
    let here = lm::device::adapters().iter().any(|a| a.spec == DeviceSpec::Vulkan);
    if here { Ok(()) } else { Err("this machine has no Vulkan adapter") }
}

#[cfg(not(feature = "gpu"))]
fn vulkan() -> Result<(), &'static str> {
    Err("this build has no GPU (cargo test --features impossible-tests/gpu)")
}

/// Whether `IMPOSSIBLE_MODELS` contains the models of preset `small`; if not, prints that the test `what` is skipped.
#[must_use]
pub fn models_are_here(what: &str) -> bool {
    let dir = std::env::var_os("IMPOSSIBLE_MODELS").map(PathBuf::from);
    let here = dir.is_some_and(|d| {
        ["smollm2-135m-instruct", "nli-deberta-v3-xsmall", "all-MiniLM-L6-v2"]
            .iter()
            .all(|m| d.join(m).join("model.safetensors").exists())
    });
    if !here {
        eprintln!("SKIPPED {what}: IMPOSSIBLE_MODELS does not have the models of preset small");
    }
    here
}

/// Writes the folder of a small language model: `config`, a tokenizer of `golden/tokenizer`, and initial weights drawn
/// with `seed`.
///
/// # Errors
/// If the config does not describe a supported model, or the folder cannot be written.
pub fn new_model(dir: &std::path::Path, config: &serde_json::Value, tokenizer: &str, seed: u64) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    let text = serde_json::to_vec_pretty(config)?;
    std::fs::write(dir.join("config.json"), &text)?;
    std::fs::copy(golden(&format!("tokenizer/{tokenizer}/tokenizer.json")), dir.join("tokenizer.json"))?;
    let weights = initial(&Config::parse("config.json", &text)?, seed)?;
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = weights
        .into_iter()
        .map(|(name, (shape, values))| (name, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>>>()?;
    std::fs::write(dir.join("model.safetensors"), safetensors::serialize(views, None)?)?;
    Ok(())
}

/// Writes the folder of a small sentence encoder: `golden/models/bert` with the tokenizer `golden/tokenizer/gpt2-bpe`,
/// whose 512 tokens get the embeddings of the golden model, repeated as often as necessary.
///
/// # Errors
/// If a golden file cannot be read, or the folder cannot be written.
pub fn new_encoder(dir: &std::path::Path) -> Result<()> {
    const WORDS: &str = "embeddings.word_embeddings.weight";
    const VOCABULARY: usize = 512;
    std::fs::create_dir_all(dir)?;
    std::fs::copy(golden("tokenizer/gpt2-bpe/tokenizer.json"), dir.join("tokenizer.json"))?;
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(golden("models/bert/config.json"))?)?;
    config["vocab_size"] = VOCABULARY.into();
    std::fs::write(dir.join("config.json"), serde_json::to_vec_pretty(&config)?)?;
    let bytes = std::fs::read(golden("models/bert/model.safetensors"))?;
    let file = SafeTensors::deserialize(&bytes)?;
    let words = file.tensor(WORDS)?;
    let width = words.shape()[1];
    let rows: Vec<u8> = words.data().iter().cycle().take(VOCABULARY * width * 4).copied().collect();
    let mut views: BTreeMap<String, TensorView<'_>> = file.tensors().into_iter().collect();
    views.insert(WORDS.to_owned(), TensorView::new(Dtype::F32, vec![VOCABULARY, width], &rows)?);
    std::fs::write(dir.join("model.safetensors"), safetensors::serialize(views, None)?)?;
    Ok(())
}

/// Opens a model folder.
///
/// # Errors
/// Those of [`ModelFolder::open`].
pub fn folder(path: PathBuf) -> Result<ModelFolder> {
    let files: Arc<dyn Files> = Arc::new(FolderFiles::new(path)?);
    Ok(ModelFolder::open(&files)?)
}

/// The tensors of a safetensors file with expected values: shape and values by name.
pub struct Expected(BTreeMap<String, (Vec<usize>, Vec<f32>)>);

impl Expected {
    /// Reads the file; 64-bit integers are converted to f32.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(path: &std::path::Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let file = SafeTensors::deserialize(&bytes)?;
        let mut all = BTreeMap::new();
        for (name, view) in file.tensors() {
            let data = view.data();
            #[allow(clippy::cast_precision_loss)]
            let values = match view.dtype() {
                Dtype::F32 => data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
                _ => data.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b) as f32).collect(),
            };
            all.insert(name, (view.shape().to_vec(), values));
        }
        Ok(Self(all))
    }

    /// The name of the only tensor of the file.
    ///
    /// # Errors
    /// If the file contains no tensor, or several.
    pub fn only(&self) -> Result<&str> {
        anyhow::ensure!(self.0.len() == 1, "{} tensors", self.0.len());
        self.0.keys().next().map(String::as_str).context("no tensor")
    }

    /// The values of a tensor, in row-major order.
    ///
    /// # Errors
    /// If there is no tensor of this name.
    pub fn values(&self, name: &str) -> Result<&[f32]> {
        Ok(&self.0.get(name).with_context(|| format!("no golden tensor {name}"))?.1)
    }

    /// The shape of a tensor.
    ///
    /// # Errors
    /// If there is no tensor of this name.
    pub fn shape(&self, name: &str) -> Result<&[usize]> {
        Ok(&self.0.get(name).with_context(|| format!("no golden tensor {name}"))?.0)
    }

    /// The rows of a matrix of ids or mask values.
    ///
    /// # Errors
    /// If there is no tensor of this name, or it is a scalar.
    pub fn rows(&self, name: &str) -> Result<Vec<Vec<u32>>> {
        let width = *self.shape(name)?.last().context("a scalar")?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Ok(self.values(name)?.chunks(width).map(|r| r.iter().map(|v| *v as u32).collect()).collect())
    }
}

/// Compares values with the expected ones; each may differ by at most `tolerance`.
///
/// # Errors
/// If the number of values differs, or a difference exceeds the tolerance; the message gives the largest one.
pub fn close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) -> Result<()> {
    anyhow::ensure!(found.len() == expected.len(), "{what}: {} values, expected {}", found.len(), expected.len());
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    let (at, by) = worst.unwrap_or((0, 0.0));
    anyhow::ensure!(
        by <= tolerance,
        "{what}: value {at} is {}, expected {} (tolerance {tolerance})",
        found[at],
        expected[at]
    );
    Ok(())
}

//! The golden Llama on any device, native or in a browser: its logits against the reference, and siblings of one
//! context, which must be the same rows everywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use burn::tensor::TensorData;
use impossible_core::decode::Teacher;
use impossible_core::decode::sample::SampleOptions;
use impossible_core::decode::siblings::{Job, Limits, Stop, sample};
use impossible_core::device::{Compute, DeviceSpec};
use impossible_core::event::{Event, Signal, Stage};
use impossible_core::model::ModelFolder;
use impossible_core::model::cache::Sequences;
use impossible_core::model::files::{Files, MemoryFiles};
use impossible_core::record::Sample;
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

const CONFIG: &[u8] = include_bytes!("../../golden/models/llama/config.json");
const WEIGHTS: &[u8] = include_bytes!("../../golden/models/llama/model.safetensors");
const EXPECTED: &[u8] = include_bytes!("../../golden/models/llama/expected.safetensors");
const TOKENIZER: &[u8] = include_bytes!("../../golden/browser/tokenizer.json");
/// The rows that every device must give.
pub const ROWS: &str = include_str!("../../golden/browser/rows.json");

/// What a device gave.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// The device.
    pub device: String,
    /// Largest difference of a logit from the reference.
    pub worst_logit: f32,
    /// Text of each sibling.
    pub rows: Vec<String>,
}

fn floats(file: &SafeTensors<'_>, name: &str) -> Result<Vec<f32>> {
    Ok(file.tensor(name)?.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
}

fn ids(file: &SafeTensors<'_>, name: &str) -> Result<Vec<u32>> {
    let data = file.tensor(name)?;
    data.data().as_chunks::<8>().0.iter().map(|b| Ok(u32::try_from(i64::from_le_bytes(*b))?)).collect()
}

/// Loads the model, compares its logits and samples siblings.
///
/// # Errors
/// When anything fails on this device; differences are reported, not judged.
pub async fn check(spec: DeviceSpec) -> Result<Report> {
    let compute = spec.open_async().await?;
    let files =
        BTreeMap::from([("config.json", CONFIG), ("model.safetensors", WEIGHTS), ("tokenizer.json", TOKENIZER)]);
    let files: MemoryFiles = files.into_iter().map(|(name, bytes)| (name, bytes.to_vec())).collect();
    let files: Arc<dyn Files> = Arc::new(files);
    let teacher = Teacher::load(&ModelFolder::open(&files)?, &compute)?;
    let worst_logit = worst_logit(&teacher, &compute).await?;
    let rows = siblings(&teacher).await?.into_iter().map(|r| r.text).collect();
    Ok(Report { device: spec.to_string(), worst_logit, rows })
}

async fn worst_logit(teacher: &Teacher, compute: &Compute) -> Result<f32> {
    let expected = SafeTensors::deserialize(EXPECTED)?;
    let (prompt, want) = (ids(&expected, "single.input_ids")?, floats(&expected, "single.logits")?);
    let positions: Vec<u32> = (0..u32::try_from(prompt.len())?).collect();
    let mut cache = Sequences::new(teacher.lm.shape().layers, &compute.device);
    cache.extend(&[vec![true; prompt.len()]]);
    let hidden = teacher.lm.forward(1, &prompt, &positions, &mut cache, &compute.device);
    let data: TensorData =
        teacher.lm.logits(hidden).into_data_async().await.map_err(|e| anyhow::anyhow!("reading logits: {e}"))?;
    let found = data.try_into_vec::<f32>().map_err(|e| anyhow::anyhow!("{e:?}"))?;
    ensure!(found.len() == want.len(), "{} logits, expected {}", found.len(), want.len());
    found.iter().zip(&want).map(|(a, b)| (a - b).abs()).max_by(f32::total_cmp).context("no logits")
}

/// Twelve siblings of one context, in a batch of five.
async fn siblings(teacher: &Teacher) -> Result<Vec<Sample>> {
    let job = Job { context: 0, prompt: vec![5, 9, 30, 17, 80], rows: 0..12, stop: Stop::FirstSentence };
    let sampler = teacher.sampler(SampleOptions { temperature: 0.5, top_p: 0.9, ..SampleOptions::default() })?;
    let limits = Limits { batch: 5, max_tokens: 12 };
    let mut event = Event { stage: Stage::Siblings, done: 0, total: 0, tokens: 0, pairs: 0, kept: 0 };
    let mut observer = |_: &Event| Signal::Continue;
    Ok(sample(teacher, &[job], &sampler, limits, (7, 0), &mut event, &mut observer).await?)
}

#[cfg(target_family = "wasm")]
mod web {
    use wasm_bindgen::prelude::*;

    /// `check` for the page: the report as JSON.
    #[wasm_bindgen]
    pub async fn check(device: String) -> Result<String, JsError> {
        console_error_panic_hook::set_once();
        let spec = device.parse().map_err(|e: impossible_core::Error| JsError::new(&e.to_string()))?;
        let report = super::check(spec).await.map_err(|e| JsError::new(&format!("{e:#}")))?;
        serde_json::to_string(&report).map_err(|e| JsError::new(&e.to_string()))
    }

    /// The rows that the report must have, as JSON.
    #[wasm_bindgen]
    pub fn expected_rows() -> String {
        super::ROWS.to_owned()
    }
}

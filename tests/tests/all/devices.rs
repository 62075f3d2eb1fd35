//! The golden Llama on every device of this machine: its logits are compared with the reference, and the siblings of
//! one
//! context must be the same on all devices. (`tests/browser` compares the web app's own models in a browser.)

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use burn::tensor::TensorData;
use impossible_tests::{devices, wait};
use lm::decode::TextModel;
use lm::decode::sample::SampleOptions;
use lm::decode::siblings::{Job, Limits, Stop, sample};
use lm::device::Compute;
use lm::model::ModelFolder;
use lm::model::cache::Sequences;
use lm::model::files::{Files, MemoryFiles};
use record::Monitor;
use record::Sample;
use record::monitor::Unwatched;
use record::random::Purpose;
use safetensors::SafeTensors;

const CONFIG: &[u8] = include_bytes!("../../golden/models/llama/config.json");
const WEIGHTS: &[u8] = include_bytes!("../../golden/models/llama/model.safetensors");
const EXPECTED: &[u8] = include_bytes!("../../golden/models/llama/expected.safetensors");
const TOKENIZER: &[u8] = include_bytes!("../../golden/browser/tokenizer.json");
/// The texts of the siblings that every device must sample.
const ROWS: &str = include_str!("../../golden/browser/rows.json");

/// The results of one device.
struct Report {
    /// Largest absolute difference between a logit and the reference.
    worst_logit: f32,
    /// The text of each sibling.
    rows: Vec<String>,
}

fn floats(file: &SafeTensors<'_>, name: &str) -> Result<Vec<f32>> {
    Ok(file.tensor(name)?.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
}

fn ids(file: &SafeTensors<'_>, name: &str) -> Result<Vec<u32>> {
    let data = file.tensor(name)?;
    data.data().as_chunks::<8>().0.iter().map(|b| Ok(u32::try_from(i64::from_le_bytes(*b))?)).collect()
}

async fn check(compute: &Compute) -> Result<Report> {
    let files =
        BTreeMap::from([("config.json", CONFIG), ("model.safetensors", WEIGHTS), ("tokenizer.json", TOKENIZER)]);
    let files: MemoryFiles = files.into_iter().map(|(name, bytes)| (name, bytes.to_vec())).collect();
    let files: Arc<dyn Files> = Arc::new(files);
    let teacher = TextModel::load(&ModelFolder::open(&files)?, compute)?;
    let worst_logit = worst_logit(&teacher, compute).await?;
    let rows = siblings(&teacher).await?.into_iter().map(|r| r.text).collect();
    Ok(Report { worst_logit, rows })
}

async fn worst_logit(teacher: &TextModel, compute: &Compute) -> Result<f32> {
    let expected = SafeTensors::deserialize(EXPECTED)?;
    let (prompt, want) = (ids(&expected, "single.input_ids")?, floats(&expected, "single.logits")?);
    let positions: Vec<u32> = (0..u32::try_from(prompt.len())?).collect();
    let mut cache = Sequences::new(teacher.lm.sizes().layers, &compute.device);
    cache.extend(&[vec![true; prompt.len()]]);
    let hidden = teacher.lm.forward(1, &prompt, &positions, &mut cache, &compute.device);
    let data: TensorData =
        teacher.lm.logits(hidden).into_data_async().await.map_err(|e| anyhow::anyhow!("reading logits: {e}"))?;
    let found = data.try_into_vec::<f32>().map_err(|e| anyhow::anyhow!("{e:?}"))?;
    ensure!(found.len() == want.len(), "{} logits, expected {}", found.len(), want.len());
    found.iter().zip(&want).map(|(a, b)| (a - b).abs()).max_by(f32::total_cmp).context("no logits")
}

/// Samples twelve siblings of one context, five at a time.
async fn siblings(teacher: &TextModel) -> Result<Vec<Sample>> {
    let job = Job { context: 0, prompt: vec![5, 9, 30, 17, 80], rows: 0..12, stop: Stop::FirstSentence };
    let sampler = teacher.sampler(SampleOptions { temperature: 0.5, top_p: 0.9, ..SampleOptions::default() })?;
    let limits = Limits { batch: 5, max_tokens: 12 };
    Ok(sample(teacher, &[job], &sampler, limits, (7, Purpose::Other), &mut Monitor::new(&mut Unwatched, 0, 0)).await?)
}

#[test]
fn the_same_rows_on_every_device() -> Result<()> {
    let want: Vec<String> = serde_json::from_str(ROWS)?;
    for compute in devices()? {
        let device = compute.spec;
        let report = wait(check(&compute)).with_context(|| device.to_string())?;
        ensure!(report.worst_logit < 1e-4, "{device}: a logit differs by {}", report.worst_logit);
        ensure!(report.rows == want, "{device}: {:?}", report.rows);
    }
    Ok(())
}

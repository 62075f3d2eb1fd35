//! The models of preset `small` compared with golden files. Each test is skipped if `IMPOSSIBLE_MODELS` lacks its
//! model.

use std::path::PathBuf;

use anyhow::{Context, Result};
use impossible_tests::{Expected, close, folder, golden, wait};
use lm::decode::TextModel;
use lm::device::{Compute, DeviceSpec};
use lm::model::cache::Sequences;
use lm::scoring::{PairModel, TextEncoder};
use record::Monitor;
use record::monitor::Unwatched;
use serde_json::Value;

/// The folder of a model, if its weights are those that the golden file was made with.
fn weights(name: &str, sha256: &Value) -> Result<Option<PathBuf>> {
    let dir = std::env::var_os("IMPOSSIBLE_MODELS").map(|d| PathBuf::from(d).join(name));
    let Some(dir) = dir.filter(|d| d.join("model.safetensors").exists()) else {
        eprintln!("SKIPPED {name}: IMPOSSIBLE_MODELS has no such model");
        return Ok(None);
    };
    let found = impossible::fs::hash_file(&dir.join("model.safetensors"))?.1;
    if sha256.as_str() != Some(&found) {
        eprintln!("SKIPPED {name}: other weights than the golden file's");
        return Ok(None);
    }
    Ok(Some(dir))
}

fn read(name: &str) -> Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(golden(&format!("real/{name}")))?)?)
}

fn floats(value: &Value) -> Result<Vec<f32>> {
    Ok(serde_json::from_value(value.clone())?)
}

#[test]
fn smollm2() -> Result<()> {
    let want = read("smollm2.json")?;
    let Some(dir) = weights("smollm2-135m-instruct", &want["weights_sha256"])? else { return Ok(()) };
    let teacher = TextModel::load(&folder(dir)?, &Compute::open(DeviceSpec::Flex)?)?;
    for case in want["prompts"].as_array().context("prompts")? {
        let ids: Vec<u32> = serde_json::from_value(case["ids"].clone())?;
        anyhow::ensure!(teacher.tokenizer.encode(case["prompt"].as_str().context("prompt")?)? == ids, "ids of {case}");
        let (_, logits) = teacher.lm.prefill(&ids, &teacher.compute.device)?;
        let logits = logits.into_data().try_into_vec::<f32>().map_err(|e| anyhow::anyhow!("{e:?}"))?;
        let top: Vec<usize> = serde_json::from_value(case["top10_ids"].clone())?;
        let found: Vec<f32> = top.iter().map(|&i| logits[i]).collect();
        close("top 10 logits", &found, &floats(&case["top10_logits"])?, 5e-3)?;
        let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
        anyhow::ensure!(best == Some(top[0]), "the best token differs");
    }
    let text = &want["perplexity"];
    let ids: Vec<u32> = serde_json::from_value(text["ids"].clone())?;
    let mut cache = Sequences::new(teacher.lm.sizes().layers, &teacher.compute.device);
    cache.extend(&[vec![true; ids.len()]]);
    let positions: Vec<u32> = (0..u32::try_from(ids.len())?).collect();
    let hidden = teacher.lm.forward(1, &ids, &positions, &mut cache, &teacher.compute.device);
    let log_p = burn::tensor::activation::log_softmax(teacher.lm.logits(hidden), 1);
    let log_p = log_p.into_data().try_into_vec::<f32>().map_err(|e| anyhow::anyhow!("{e:?}"))?;
    let vocabulary = teacher.lm.sizes().vocabulary;
    let nll: Vec<f32> = ids.windows(2).enumerate().map(|(i, w)| -log_p[i * vocabulary + w[1] as usize]).collect();
    close("token losses", &nll, &floats(&text["nll"])?, 5e-3)?;
    #[allow(clippy::cast_precision_loss)]
    let mean = nll.iter().sum::<f32>() / nll.len() as f32;
    close("mean loss", &[mean], &floats(&serde_json::json!([text["mean_nll"]]))?, 1e-3)
}

#[test]
fn entailment_critic() -> Result<()> {
    let want = read("nli.json")?;
    let Some(dir) = weights("nli-deberta-v3-xsmall", &want["weights_sha256"])? else { return Ok(()) };
    let critic = PairModel::load(&folder(dir)?, &Compute::open(DeviceSpec::Flex)?)?;
    let cases = want["pairs"].as_array().context("pairs")?;
    let pairs: Vec<(&str, &str)> = cases
        .iter()
        .map(|c| Ok((c["premise"].as_str().context("premise")?, c["hypothesis"].as_str().context("hypothesis")?)))
        .collect::<Result<_>>()?;
    let found = wait(critic.probabilities(&pairs, &mut Monitor::new(&mut Unwatched, 0, 0)))?;
    for (case, found) in cases.iter().zip(found) {
        close(&case["hypothesis"].to_string(), &found.context("too long")?, &floats(&case["probs"])?, 2e-3)?;
    }
    Ok(())
}

#[test]
fn sentence_encoder() -> Result<()> {
    let want = read("minilm.json")?;
    let Some(dir) = weights("all-MiniLM-L6-v2", &want["weights_sha256"])? else { return Ok(()) };
    let encoder = TextEncoder::load(&folder(dir)?, &Compute::open(DeviceSpec::Flex)?)?;
    let cases = want["sentences"].as_array().context("sentences")?;
    let texts: Vec<&str> = cases.iter().map(|c| c["text"].as_str().context("text")).collect::<Result<_>>()?;
    let found = wait(encoder.embed(&texts, &mut Monitor::new(&mut Unwatched, 0, 0)))?.concat();
    let expected = Expected::read(&golden("real/minilm.safetensors"))?;
    close("embeddings", &found, expected.values(expected.only()?)?, 1e-4)
}

//! Malformed model folders, configs and tokenizers must cause a typed error that names the file, and never a panic.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use impossible::models::files::FolderFiles;
use impossible_tests::{folder, golden};
use lm::decode::drive::drive;
use lm::decode::process::Processors;
use lm::decode::search::{Greedy, GreedyOptions};
use lm::device::{Compute, DeviceSpec, to_host};
use lm::lanes::wait;
use lm::model::config::Config;
use lm::model::files::Files;
use lm::model::tensors::Tensors;
use lm::model::{Batch, LanguageModel, ModelFolder, PairClassifier};
use lm::tokenizer::Tokenizer;
use record::Error;
use serde_json::{Map, Value, json};

#[derive(serde::Deserialize)]
struct Manifest {
    files: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    file: String,
    expect: String,
}

fn cases(prefix: &str) -> Result<Vec<Case>> {
    let manifest: Manifest = serde_json::from_slice(&std::fs::read(golden("bad/manifest.json"))?)?;
    let cases: Vec<Case> = manifest.files.into_iter().filter(|c| c.file.starts_with(prefix)).collect();
    ensure!(!cases.is_empty(), "no case of {prefix}");
    Ok(cases)
}

/// Compares the result of a case with the one that the manifest expects. An error must have an exit code of at least 2,
/// and its message must contain one of `names`.
fn agrees<T: std::fmt::Debug>(case: &Case, names: &[&str], found: &Result<T, Error>) -> Result<()> {
    let Case { file, expect } = case;
    match expect.as_str() {
        "ok" => ensure!(found.is_ok(), "{file}: expected {expect}, found {found:?}"),
        "error" => ensure!(found.is_err(), "{file}: expected {expect}, found {found:?}"),
        // Either is fine: an accepted file has been used for a computation by the caller.
        "error_or_documented" => {}
        other => bail!("{file}: the manifest expects \"{other}\", which is nothing that this test knows"),
    }
    if let Err(error) = found {
        let told = error.to_string();
        ensure!(names.iter().any(|name| told.contains(name)), "{file}: \"{told}\" names none of {names:?}");
        ensure!(error.kind().exit_code() >= 2, "{file}: {told} has exit code 1");
    }
    Ok(())
}

/// Checks that a loaded model gives finite logits, one per token of its vocabulary, and decodes up to 8 tokens
/// greedily.
fn computes(model: &LanguageModel, compute: &Compute) -> Result<Vec<u32>, Error> {
    let (_, logits) = model.prefill(&[1, 2, 3], &compute.device)?;
    let logits = wait(to_host(logits.reshape([1, -1])))?;
    if logits.len() != model.sizes().vocabulary || !logits.iter().all(|logit| logit.is_finite()) {
        return Err(Error::NonFinite { what: format!("{logits:?}"), place: "logits".into() });
    }
    let options =
        GreedyOptions { max_new_tokens: 8, eos: model.sizes().eos.clone(), processors: Processors::default() };
    let mut search = Greedy::new(options, &[1, 2, 3])?;
    wait(drive(model, compute, &[1, 2, 3], &mut search))?;
    Ok(search.finish().tokens)
}

#[test]
fn model_folders() -> Result<()> {
    let compute = Compute::open(DeviceSpec::Flex)?;
    for case in cases("models/")? {
        let folder = case.file.trim_end_matches("/model.safetensors.index.json").trim_end_matches('/');
        let open = || -> Result<Vec<u32>, Error> {
            let files: Arc<dyn Files> = Arc::new(FolderFiles::new(golden("bad").join(folder))?);
            let folder = ModelFolder::open(&files)?;
            computes(&LanguageModel::load(&folder.config, &folder.tensors, &compute.device)?, &compute)
        };
        let found = open();
        agrees(&case, &[folder], &found)?;
        // The manifest allows both, but we refuse non-finite weights and tensors of layers that the config lacks.
        if ["nan_weight", "inf_weight", "extra_tensor"].iter().any(|n| case.file.contains(n)) {
            ensure!(found.is_err(), "{} must be refused", case.file);
        }
        if case.file.contains("missing_tensor") {
            ensure!(format!("{found:?}").contains("h.0.attn.c_proj.weight"), "{found:?}");
        }
    }
    Ok(())
}

#[test]
fn configs() -> Result<()> {
    let compute = Compute::open(DeviceSpec::Flex)?;
    let files: Arc<dyn Files> = Arc::new(FolderFiles::new(golden("bad/models/good"))?);
    let good = ModelFolder::open(&files)?;
    for case in cases("config/")? {
        let bytes = std::fs::read(golden("bad").join(&case.file))?;
        let found = Config::parse(&case.file, &bytes)
            .and_then(|config| LanguageModel::load(&config, &good.tensors, &compute.device))
            .and_then(|model| computes(&model, &compute));
        // If the weights do not match the config, the error names the weights' file.
        agrees(&case, &[&case.file, "models/good/model.safetensors"], &found)?;
    }
    Ok(())
}

#[test]
fn tokenizers() -> Result<()> {
    for case in cases("tokenizer/")? {
        let bytes = std::fs::read(golden("bad").join(&case.file))?;
        let found = Tokenizer::parse(&case.file, &bytes).and_then(|tokenizer| {
            let ids = tokenizer.encode("A test, 123.")?;
            let text = tokenizer.decode(&ids)?;
            Ok((ids, text, tokenizer.table()))
        });
        agrees(&case, &[&case.file], &found)?;
        // An accepted tokenizer must encode with ids of its own table, and decode them to a text of sensible length.
        if let Ok((ids, text, table)) = &found {
            ensure!(ids.iter().all(|id| (*id as usize) < *table), "{}: {ids:?} of {table}", case.file);
            ensure!(text.chars().count() <= 64, "{}: {text:?}", case.file);
        }
    }
    Ok(())
}

/// Token ids of the golden strings, special tokens included; `Tokenizer::parse` ignores the files' padding and
/// truncation.
#[test]
fn golden_tokenizers() -> Result<()> {
    for name in ["gpt2-bpe", "t5-unigram"] {
        let file = golden(&format!("tokenizer/{name}/tokenizer.json"));
        let tokenizer = Tokenizer::parse(name, &std::fs::read(file)?)?;
        let cases: serde_json::Value =
            serde_json::from_slice(&std::fs::read(golden(&format!("tokenizer/{name}.json")))?)?;
        let strings = cases.get("strings").or_else(|| cases.get("cases")).and_then(|v| v.as_array()).cloned();
        let strings = strings.ok_or_else(|| anyhow::anyhow!("no cases in {name}.json"))?;
        ensure!(strings.len() >= 40, "{} cases", strings.len());
        for case in strings {
            let text = case["text"].as_str().unwrap_or_default();
            let want: Vec<u32> = serde_json::from_value(case["ids"].clone())?;
            let found = tokenizer.encode_special(text)?.0;
            ensure!(found == want, "{name}: {text:?}: {found:?}, expected {want:?}");
        }
    }
    Ok(())
}

/// Values that no setting expects, or that are far out of range.
fn hostile() -> Vec<Value> {
    vec![
        Value::Null,
        json!(0),
        json!(-1),
        json!(1),
        json!(1e308),
        json!(9_007_199_254_740_993_u64),
        json!(0.5),
        json!("x"),
        json!(""),
        json!(true),
        json!([]),
        json!([0, "x", null]),
        json!({"rope_type": "yarn", "factor": 1e300, "original_max_position_embeddings": 1e-300}),
        json!({"rope_type": "llama3", "factor": 1, "low_freq_factor": 1, "high_freq_factor": 1}),
    ]
}

/// Loads a model in the roles of its architecture and computes a few tokens, if its configuration is accepted.
fn try_model(place: &str, config: &Value, tensors: &Tensors) -> Result<()> {
    let compute = Compute::open(DeviceSpec::Flex)?;
    let config = Config::parse(place, config.to_string().as_bytes())?;
    let ids = [5, 9, 3, 17, 8, 2];
    let rows: [(&[u32], &[u32]); 2] = [(&ids, &[0; 6]), (&ids[..3], &[0; 3])];
    if let Ok(classifier) = PairClassifier::load(&config, tensors, &compute.device) {
        let _ = (classifier.entailment(&config), classifier.logits(&Batch::new(&rows, classifier.pad())).into_data());
    }
    let lm = LanguageModel::load(&config, tensors, &compute.device)?;
    if lm.sizes().positions > ids.len() {
        let (prefix, logits) = lm.prefill(&ids, &compute.device)?;
        let _ = (prefix.len, logits.into_data());
    }
    Ok(())
}

/// Every setting of every architecture with every hostile value: refused, or computed, and never a panic.
#[test]
fn hostile_settings_end_in_errors() -> Result<()> {
    let (mut tried, mut failures) = (0, Vec::new());
    for entry in std::fs::read_dir(golden("models"))? {
        let place = entry?.path();
        let Ok(bytes) = std::fs::read(place.join("config.json")) else { continue };
        let folder = folder(place.clone())?;
        let whole: Map<String, Value> = serde_json::from_slice(&bytes)?;
        for (field, value) in whole.keys().flat_map(|field| hostile().into_iter().map(move |value| (field, value))) {
            let mut changed = whole.clone();
            changed.insert(field.clone(), value.clone());
            let work = || try_model(&place.display().to_string(), &Value::Object(changed), &folder.tensors);
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err() {
                failures.push(format!("{}: `{field}` = {value}", place.display()));
            }
            tried += 1;
        }
    }
    ensure!(failures.is_empty(), "{} of {tried} panic:\n{}", failures.len(), failures.join("\n"));
    ensure!(tried > 10_000, "only {tried} were tried");
    Ok(())
}

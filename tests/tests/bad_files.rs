//! Malformed model folders, configs and tokenizers: a typed error that names the file, never a panic.

use std::sync::Arc;

use anyhow::Result;
use impossible::models::files::FolderFiles;
use impossible_tests::golden;
use lm::device::{Compute, DeviceSpec};
use lm::model::config::Config;
use lm::model::files::Files;
use lm::model::{LanguageModel, ModelFolder};
use lm::tokenizer::Tokenizer;
use record::Error;

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
    anyhow::ensure!(!cases.is_empty(), "no case of {prefix}");
    Ok(cases)
}

fn agrees(case: &Case, found: &Result<(), Error>) -> bool {
    match case.expect.as_str() {
        "ok" => found.is_ok(),
        "error" => found.is_err(),
        _ => true,
    }
}

#[test]
fn model_folders() -> Result<()> {
    let compute = Compute::open(DeviceSpec::Flex)?;
    for case in cases("models/")? {
        let folder = case.file.trim_end_matches("/model.safetensors.index.json").trim_end_matches('/');
        let open = || -> Result<(), Error> {
            let files: Arc<dyn Files> = Arc::new(FolderFiles::new(golden("bad").join(folder))?);
            let folder = ModelFolder::open(&files)?;
            LanguageModel::load(&folder.config, &folder.tensors, &compute.device).map(|_| ())
        };
        let found = open();
        anyhow::ensure!(agrees(&case, &found), "{}: expected {}, found {found:?}", case.file, case.expect);
        // These we refuse by choice: a checkpoint that is not finite, and tensors of layers the config does not have.
        if ["nan_weight", "inf_weight", "extra_tensor"].iter().any(|n| case.file.contains(n)) {
            anyhow::ensure!(found.is_err(), "{} must be refused", case.file);
        }
        if case.file.contains("missing_tensor") {
            anyhow::ensure!(format!("{found:?}").contains("h.0.attn.c_proj.weight"), "{found:?}");
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
            .and_then(|config| LanguageModel::load(&config, &good.tensors, &compute.device).map(|_| ()));
        anyhow::ensure!(agrees(&case, &found), "{}: expected {}, found {found:?}", case.file, case.expect);
        if let Err(error) = &found {
            anyhow::ensure!(error.kind().exit_code() >= 2, "{}: {error} has exit code 1", case.file);
        }
    }
    Ok(())
}

#[test]
fn tokenizers() -> Result<()> {
    for case in cases("tokenizer/")? {
        let bytes = std::fs::read(golden("bad").join(&case.file))?;
        let found = Tokenizer::parse(&case.file, &bytes).and_then(|t| t.encode("A test, 123.")).map(|_| ());
        anyhow::ensure!(agrees(&case, &found), "{}: expected {}, found {found:?}", case.file, case.expect);
    }
    Ok(())
}

/// Ids and texts of the golden tokenizers, fixed padding and truncation switched off.
#[test]
fn golden_tokenizers() -> Result<()> {
    for name in ["gpt2-bpe", "t5-unigram"] {
        let file = golden(&format!("tokenizer/{name}/tokenizer.json"));
        let tokenizer = Tokenizer::parse(name, &std::fs::read(file)?)?;
        let cases: serde_json::Value =
            serde_json::from_slice(&std::fs::read(golden(&format!("tokenizer/{name}.json")))?)?;
        let strings = cases.get("strings").or_else(|| cases.get("cases")).and_then(|v| v.as_array()).cloned();
        let strings = strings.ok_or_else(|| anyhow::anyhow!("no cases in {name}.json"))?;
        anyhow::ensure!(strings.len() >= 40, "{} cases", strings.len());
        for case in strings {
            let text = case["text"].as_str().unwrap_or_default();
            let want: Vec<u32> = serde_json::from_value(case["ids"].clone())?;
            let found = tokenizer.encode_special(text)?.0;
            anyhow::ensure!(found == want, "{name}: {text:?}: {found:?}, expected {want:?}");
        }
    }
    Ok(())
}

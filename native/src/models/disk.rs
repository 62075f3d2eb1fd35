//! Opening models on disk, and hashing their weights.

use std::path::Path;
use std::sync::Arc;

use lm::model::ModelFolder;
use lm::model::files::Files;
use lm::model::gguf;
use lm::model::safetensors::{self, INDEX, TensorIndex};
use lm::model::tensors::Tensors;
use record::{Error, Result};

use super::files::FolderFiles;
use super::pytorch::{self, PytorchTensors};
use crate::fs::{hash_file, io_error, read_small, sha256};

/// Opens a model folder or a GGUF file by its path.
pub(super) fn open_path(path: &Path) -> Result<ModelFolder> {
    if path.is_dir() {
        let files = Arc::new(FolderFiles::new(path)?);
        if let Some(file) = only_gguf(path, &files)? {
            let files: Arc<dyn Files> = files;
            return ModelFolder::open_gguf(&files, &file);
        }
        let tensors = weights(&files)?;
        let files: Arc<dyn Files> = files;
        return ModelFolder::with_tensors(&files, tensors);
    }
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let file = path
        .file_name()
        .and_then(|n| n.to_str())
        .ok_or_else(|| Error::input(path.display(), "a model folder or a .gguf file", "a name that is not text"))?;
    let files: Arc<dyn Files> = Arc::new(FolderFiles::new(parent)?);
    ModelFolder::open_gguf(&files, file)
}

/// Name of the only GGUF file of a folder without `config.json`, as `pull` creates it; `None` for other folders. The parts
/// of a split file are one, which each of their names opens.
fn only_gguf(folder: &Path, files: &FolderFiles) -> Result<Option<String>> {
    if files.size("config.json")?.is_some() {
        return Ok(None);
    }
    let entries = std::fs::read_dir(folder).map_err(io_error("reading", folder))?;
    let mut found: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf")))
        .collect();
    found.sort_unstable();
    let parts = found.first().map(|first| gguf::parts(first)).unwrap_or_default();
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ if found.iter().all(|name| parts.contains(name)) => Ok(found.pop()),
        _ => Err(Error::input(
            folder.display(),
            "one GGUF file, or the path of the file to use",
            format_args!("{} of them: {}", found.len(), found.join(", ")),
        )),
    }
}

/// The weights of a model folder: safetensors if there are any, else PyTorch's format.
fn weights(files: &Arc<FolderFiles>) -> Result<Tensors> {
    if files.size(safetensors::SINGLE)?.is_some() || files.size(safetensors::INDEX)?.is_some() {
        let files: Arc<dyn Files> = Arc::clone(files) as _;
        return TensorIndex::open(files).map(Tensors::Safetensors);
    }
    match PytorchTensors::open(files)? {
        Some(tensors) => Ok(Tensors::Source(Box::new(tensors))),
        None => Err(Error::Missing {
            what: format!("{}, {} or {}", safetensors::SINGLE, safetensors::INDEX, pytorch::SINGLE),
            place: files.dir().display().to_string(),
            hint: "Choose a folder with the model's weights, or download the model again.".to_owned(),
        }),
    }
}

/// SHA-256 of a model's weights: of the file, or of an index with the names and hashes of its files; of a split GGUF file,
/// of a list of the names and hashes of its parts. `None` without weights.
///
/// # Errors
/// [`Error::Io`] when reading fails; [`Error::Broken`] for an invalid index.
pub fn weights_hash(path: &Path) -> Result<Option<String>> {
    let names = ["model.safetensors", INDEX, "pytorch_model.bin", "pytorch_model.bin.index.json"];
    let files = names.map(|name| path.join(name));
    let file = if path.is_dir() {
        let gguf = || Some(path.join(only_gguf(path, &FolderFiles::new(path).ok()?).ok()??));
        files.into_iter().find(|f| f.is_file()).or_else(gguf)
    } else {
        Some(path.to_owned())
    };
    let Some(file) = file.filter(|f| f.is_file()) else { return Ok(None) };
    let parts = file.file_name().and_then(|name| name.to_str()).map(gguf::parts).unwrap_or_default();
    if parts.len() > 1 {
        let mut all = String::new();
        for part in &parts {
            all += &format!("{part} {}\n", hash_file(&file.with_file_name(part))?.1);
        }
        return Ok(Some(sha256(all.as_bytes())));
    }
    let own = hash_file(&file)?.1;
    if file.extension().is_none_or(|e| e != "json") {
        return Ok(Some(own));
    }
    let broken = |e: String| Error::broken(file.display(), e);
    let index: serde_json::Value =
        serde_json::from_slice(&read_small(&file, 64 << 20)?).map_err(|e| broken(e.to_string()))?;
    let map = index["weight_map"].as_object().ok_or_else(|| broken("a weight_map was expected".into()))?;
    let parts: std::collections::BTreeSet<&str> = map.values().filter_map(serde_json::Value::as_str).collect();
    let mut all = own;
    for part in parts {
        all += &format!("\n{part} {}", hash_file(&path.join(part))?.1);
    }
    Ok(Some(sha256(all.as_bytes())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_with_one_gguf_is_that_file() {
        let temp = tempfile::tempdir().unwrap();
        let open = || open_path(temp.path()).err().unwrap();
        // Too short for a GGUF file; the error must name this file.
        fs::write(temp.path().join("a.gguf"), b"GGUF").unwrap();
        assert!(matches!(open(), Error::Broken { .. }), "{}", open());
        assert!(open().to_string().contains("a.gguf"), "{}", open());
        fs::write(temp.path().join("b.gguf"), b"GGUF").unwrap();
        assert!(open().to_string().contains("a.gguf, b.gguf"), "{}", open());
    }

    #[test]
    fn the_parts_of_a_split_gguf_are_one_file() {
        let temp = tempfile::tempdir().unwrap();
        let [one, two] = [1, 2].map(|n| temp.path().join(format!("m-0000{n}-of-00002.gguf")));
        fs::write(&two, b"GGUF").unwrap();
        // The part that is missing is named, then the one that is too short.
        let open = || open_path(temp.path()).err().unwrap();
        assert!(matches!(open(), Error::Missing { what, .. } if what == "m-00001-of-00002.gguf"), "{}", open());
        assert!(weights_hash(temp.path()).is_err());
        fs::write(&one, b"GGUF").unwrap();
        assert!(matches!(open(), Error::Broken { .. }), "{}", open());
        let hash = || weights_hash(temp.path()).unwrap().unwrap();
        let old = hash();
        assert_eq!(weights_hash(&one).unwrap(), Some(hash()));
        assert_eq!(weights_hash(&two).unwrap(), Some(hash()));
        fs::write(&two, b"GGUF2").unwrap();
        assert_ne!(old, hash());
        fs::write(temp.path().join("other.gguf"), b"GGUF").unwrap();
        assert!(open().to_string().contains("other.gguf"), "{}", open());
    }

    #[test]
    fn safetensors_come_first_then_pytorch_and_the_message_names_all() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
        let temp = tempfile::tempdir().unwrap();
        let copy = |from: &str, to: &str| fs::copy(golden.join(from), temp.path().join(to)).unwrap();
        let open = || weights(&Arc::new(FolderFiles::new(temp.path()).unwrap()));

        let error = open().err().unwrap();
        let names = ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"];
        assert!(
            matches!(&error, Error::Missing { what, .. } if names.iter().all(|name| what.contains(name))),
            "{error}"
        );

        copy("pytorch/pytorch_model.bin", "pytorch_model.bin");
        let pytorch = open().unwrap();
        assert!(matches!(&pytorch, Tensors::Source(_)));
        copy("models/gpt2/model.safetensors", "model.safetensors");
        let safetensors = open().unwrap();
        assert!(matches!(&safetensors, Tensors::Safetensors(_)));
        assert!(!safetensors.names().is_empty());
        for name in safetensors.names() {
            assert_eq!(pytorch.info(name), safetensors.info(name));
            assert_eq!(pytorch.read_f32(name).unwrap(), safetensors.read_f32(name).unwrap(), "{name}");
        }

        // A folder with config and weights, opened by its path.
        copy("models/gpt2/config.json", "config.json");
        fs::remove_file(temp.path().join("model.safetensors")).unwrap();
        let model = open_path(temp.path()).unwrap();
        assert!(matches!(&model.tensors, Tensors::Source(_)));
    }
}

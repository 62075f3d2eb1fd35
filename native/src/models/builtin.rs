//! The three tiny models that are built into the program, so that it works without downloads.

use std::path::{Path, PathBuf};

use record::presets::{TINY_CRITIC, TINY_STUDENT, TINY_TEACHER};
use record::{Error, Result};

use super::origin::{RECORD, Record, RecordedFile, read_record};
use crate::fs::{StagedDir, io_error, sha256};

/// A model folder that is part of the program.
struct Builtin {
    name: &'static str,
    files: &'static [(&'static str, &'static [u8])],
}

macro_rules! carried {
    ($name:expr, $folder:literal, $($more:literal),*) => {
        Builtin {
            name: $name,
            files: &[
                $(carried!(@ $folder, $more),)*
                carried!(@ $folder, "README.md"),
                carried!(@ $folder, "config.json"),
                carried!(@ $folder, "golden.json"),
                carried!(@ $folder, "model.safetensors"),
                carried!(@ $folder, "tokenizer.json"),
                carried!(@ $folder, "tokenizer_config.json"),
            ],
        }
    };
    (@ $folder:literal, $file:literal) => {
        ($file, include_bytes!(concat!("../../../assets/tiny/", $folder, "/", $file)))
    };
}

static ALL: [Builtin; 3] = [
    carried!(TINY_TEACHER, "teacher", "generation_config.json"),
    carried!(TINY_CRITIC, "critic",),
    carried!(TINY_STUDENT, "student", "generation_config.json", "impossible.json"),
];

/// Unpacks the built-in model of that name to a folder in `root`, unless the same version is already there. Returns the
/// folder, or `None` for another name.
///
/// # Errors
/// [`Error::Io`], for example if `root` is not writable.
pub fn unpack(name: &str, root: &Path) -> Result<Option<PathBuf>> {
    let Some(model) = ALL.iter().find(|m| m.name == name) else { return Ok(None) };
    let files: Vec<RecordedFile> = model
        .files
        .iter()
        .map(|(name, bytes)| RecordedFile { name: (*name).to_owned(), size: bytes.len() as u64, sha256: sha256(bytes) })
        .collect();
    let listed: String = files.iter().map(|f| format!("{} {}\n", f.sha256, f.name)).collect();
    let record = Record { repo: "carried by impossible".into(), revision: sha256(listed.as_bytes()), files };
    let dir = root.join(name);
    // An older version of the program may have left other weights with the same name.
    if read_record(&dir).is_some_and(|r| r == record)
        && model
            .files
            .iter()
            .all(|(name, bytes)| dir.join(name).metadata().is_ok_and(|m| m.len() == bytes.len() as u64))
    {
        return Ok(Some(dir));
    }
    std::fs::create_dir_all(root).map_err(io_error("creating", root))?;
    let staged = StagedDir::new(&dir)?;
    let write = |name: &str, bytes: &[u8]| {
        let mut file = staged.file(name)?;
        file.put(bytes)?;
        file.finish()
    };
    for (name, bytes) in model.files {
        write(name, bytes)?;
    }
    let text = serde_json::to_vec_pretty(&record).map_err(|e| Error::broken(RECORD, e.to_string()))?;
    write(RECORD, &text)?;
    staged.commit()?;
    Ok(Some(dir))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn unpacked_once_and_again_when_it_differs() {
        let temp = tempfile::tempdir().unwrap();
        assert_eq!(unpack("gpt2", temp.path()).unwrap(), None);
        for model in &ALL {
            let dir = unpack(model.name, temp.path()).unwrap().unwrap();
            let weights = dir.join("model.safetensors");
            let first = weights.metadata().unwrap().modified().unwrap();
            unpack(model.name, temp.path()).unwrap();
            assert_eq!(weights.metadata().unwrap().modified().unwrap(), first, "written twice");
            std::fs::write(&weights, b"cut").unwrap();
            unpack(model.name, temp.path()).unwrap();
            let carried = model.files.iter().find(|f| f.0 == "model.safetensors").unwrap().1;
            assert_eq!(std::fs::read(&weights).unwrap(), carried);
        }
    }
}

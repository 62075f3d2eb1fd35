//! Models by name or path.

use std::path::Path;
use std::sync::Arc;

use impossible_core::critic::models::{Encoder, Entailment};
use impossible_core::decode::Teacher;
use impossible_core::device::Compute;
use impossible_core::model::ModelFolder;
use impossible_core::model::files::Files;
use impossible_core::{Error, Result};

use crate::files::FolderFiles;
use crate::pull::Store;

/// Opens a model folder or a GGUF file; reads headers only.
///
/// # Errors
/// [`Error::Missing`] when there is none of this name; the files' own.
pub fn open(store: &Store, name: &str) -> Result<ModelFolder> {
    let path = store.resolve(name)?;
    if path.is_dir() {
        let files: Arc<dyn Files> = Arc::new(FolderFiles::new(&path)?);
        return ModelFolder::open(&files);
    }
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let file = path
        .file_name()
        .and_then(|n| n.to_str())
        .ok_or_else(|| Error::input(path.display(), "a model folder or a .gguf file", "a name that is not text"))?;
    let files: Arc<dyn Files> = Arc::new(FolderFiles::new(parent)?);
    ModelFolder::open_gguf(&files, file)
}

/// Loads the teacher.
///
/// # Errors
/// As [`open`], and the model's.
pub fn teacher(store: &Store, name: &str, compute: &Compute) -> Result<Teacher> {
    Teacher::load(&open(store, name)?, compute)
}

/// Loads the entailment critic.
///
/// # Errors
/// As [`open`], and the model's.
pub fn entailment(store: &Store, name: &str, compute: &Compute) -> Result<Entailment> {
    Entailment::load(&open(store, name)?, compute)
}

/// Loads the sentence encoder.
///
/// # Errors
/// As [`open`], and the model's.
pub fn encoder(store: &Store, name: &str, compute: &Compute) -> Result<Encoder> {
    Encoder::load(&open(store, name)?, compute)
}

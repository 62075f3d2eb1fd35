//! Opening students: their folders and prompt formats.

use std::path::{Path, PathBuf};

use lm::decode::TextModel;
use lm::device::Compute;
use method::student::{Format, format};
use record::{Error, Result};

use super::store::Store;
use crate::fs::read_small;

/// The model folder for a path: its subfolder `model` if that has a model (a training folder), else the path itself.
#[must_use]
pub fn model_folder(given: &Path) -> PathBuf {
    let inner = given.join("model");
    if inner.join("config.json").is_file() { inner } else { given.to_owned() }
}

/// Reads the prompt format of a student.
///
/// # Errors
/// [`Error::Missing`] if the file does not exist; [`Error::Broken`] for an invalid file; [`Error::Io`] when reading
/// fails.
pub fn read_format(file: &Path) -> Result<Format> {
    if !file.is_file() {
        return Err(Error::Missing {
            what: file.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned()),
            place: file.parent().unwrap_or(Path::new(".")).display().to_string(),
            hint: "Name the folder of a student (RUN/student/stage0/model), or give the prompt format of this model \
                   with --format."
                .into(),
        });
    }
    Format::parse(&file.display().to_string(), &read_small(file, 1 << 20)?)
}

/// Loads a student from a folder or by a name in the store, with its own prompt format or that of a file.
///
/// # Errors
/// As [`read_format`], [`super::open`] and [`TextModel::load`].
pub fn open_student(
    store: &Store,
    folder: &Path,
    format: Option<&Path>,
    compute: &Compute,
) -> Result<(TextModel, Format)> {
    let folder = model_folder(folder);
    let known = if folder.exists() { None } else { folder.to_str().and_then(|name| store.resolve(name).ok()) };
    let folder = known.unwrap_or(folder);
    let format = read_format(format.unwrap_or(&folder.join(format::FILE)))?;
    let student = TextModel::load(&super::open(store, &folder.display().to_string())?, compute)?;
    Ok((student, format))
}

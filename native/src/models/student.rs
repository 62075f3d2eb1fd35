//! Students among the models: their folders, and how tasks are put to them.

use std::path::{Path, PathBuf};

use lm::decode::TextModel;
use lm::device::Compute;
use method::student::{Format, format};
use record::{Error, Result};

use super::store::Store;
use crate::fs::read_small;

/// A model's folder: the folder itself, or `model` of a training folder.
#[must_use]
pub fn model_folder(given: &Path) -> PathBuf {
    let inner = given.join("model");
    if inner.join("config.json").is_file() { inner } else { given.to_owned() }
}

/// How tasks are put to the model of a folder.
///
/// # Errors
/// [`Error::Missing`] where the file is not there; [`Error::Broken`]; [`Error::Io`].
pub fn read_format(file: &Path) -> Result<Format> {
    if !file.is_file() {
        return Err(Error::Missing {
            what: file.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned()),
            place: file.parent().unwrap_or(Path::new(".")).display().to_string(),
            hint: "Name the folder of a student (RUN/student/stage0/model), or say with --format how tasks are put to \
                   this model."
                .into(),
        });
    }
    Format::parse(&file.display().to_string(), &read_small(file, 1 << 20)?)
}

/// The student of a folder or a name among the models, with its own format or that of a file.
///
/// # Errors
/// Those of [`read_format`] and of [`super::open`], and the model's.
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

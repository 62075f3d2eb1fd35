//! Where a model is: in a folder or file on disk, or in the program itself.

use std::fmt;
use std::path::{Path, PathBuf};

use lm::model::ModelFolder;
use record::{Error, Result};

use super::builtin::Builtin;
use super::disk::{open_path, weights_hash};
use crate::fs::read_small;

/// Where a model is.
#[derive(Debug, Clone)]
pub enum Place {
    /// A model folder or a `.gguf` file.
    Disk(PathBuf),
    /// A model that is built into the program.
    Carried(&'static Builtin),
}

impl Place {
    /// The model's path, if it is on disk.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Disk(path) => Some(path),
            Self::Carried(_) => None,
        }
    }

    /// Opens the model. Of the weights only headers are read.
    ///
    /// # Errors
    /// Errors of reading the files.
    pub fn open(&self) -> Result<ModelFolder> {
        match self {
            Self::Disk(path) => open_path(path),
            Self::Carried(model) => model.open(),
        }
    }

    /// The content of one of the model's files; `None` if it does not exist.
    ///
    /// # Errors
    /// [`Error::Broken`] for a file of more than `limit` bytes; [`Error::Io`] when reading fails.
    pub fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Disk(path) => {
                let file = path.join(name);
                if file.is_file() { read_small(&file, limit).map(Some) } else { Ok(None) }
            }
            Self::Carried(model) => Ok(model.file(name).map(<[u8]>::to_vec)),
        }
    }

    /// SHA-256 of the weights, see [`weights_hash`].
    ///
    /// # Errors
    /// [`Error::Missing`] without weights; errors of reading them.
    pub fn weights_hash(&self) -> Result<String> {
        let hash = match self {
            Self::Disk(path) => weights_hash(path)?,
            Self::Carried(model) => model.weights_hash(),
        };
        hash.ok_or_else(|| Error::Missing {
            what: "weights".to_owned(),
            place: self.to_string(),
            hint: "Choose a folder with the model's weights, or download the model again.".to_owned(),
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(path) => path.display().fmt(f),
            Self::Carried(model) => f.write_str(model.name),
        }
    }
}

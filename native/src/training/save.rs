//! What was trained as a model folder on the disk.

use std::path::Path;

use impossible_core::model::save::{self, Precision as Width};
use impossible_core::{Error, Result};

pub use impossible_core::model::save::Model;
pub use impossible_core::train::initial::Weights;

use crate::run::atomic::{StagedDir, io_error};

/// Number type of the saved weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Precision {
    /// 32 bit, as trained.
    F32,
    /// 16 bit.
    F16,
}

impl From<Precision> for Width {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::F16 => Self::F16,
        }
    }
}

/// Writes the folder; it appears whole, in the place of a former one.
///
/// # Errors
/// [`Error::Io`], a full disk among others; [`Error::NonFinite`] for weights that are not finite in this precision.
pub fn save(dir: &Path, model: &Model<'_>) -> Result<()> {
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(parent).map_err(io_error("creating", parent))?;
    let staged = StagedDir::new(dir)?;
    save::save(&dir.display().to_string(), model, &mut |name, bytes| -> Result<(), Error> {
        let mut sink = staged.file(name)?;
        sink.put(bytes)?;
        sink.finish()?;
        Ok(())
    })?;
    staged.commit()
}

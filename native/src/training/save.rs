//! Saving a trained model as a model folder on disk.

use std::path::Path;

use lm::model::save::{self, Layout, Trained};
use record::Result;

use crate::fs::{StagedDir, io_error};

/// Writes the folder atomically, replacing an existing one.
///
/// # Errors
/// [`record::Error::Io`], for example when the disk is full; [`record::Error::NonFinite`] for weights that are not
/// finite in this precision.
pub fn save(dir: &Path, model: &Trained, layout: Layout) -> Result<()> {
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(parent).map_err(io_error("creating", parent))?;
    let staged = StagedDir::new(dir)?;
    save::save(&dir.display().to_string(), model, layout, &mut |name, bytes| {
        let mut sink = staged.file(name)?;
        sink.put(bytes)?;
        sink.finish().map(drop)
    })?;
    staged.commit()
}

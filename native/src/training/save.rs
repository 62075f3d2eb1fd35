//! Saving a trained model as a model folder on disk.

use std::path::Path;

use lm::model::save::{self, Layout, Trained};
use record::Result;

use crate::fs::{StagedDir, hash_file, io_error};
use crate::output::Manifest;

/// Whether the model of a finished training in `out` is there as it was written. Its card may have been edited.
#[must_use]
pub fn kept(out: &Path) -> bool {
    let Ok(Some(manifest)) = Manifest::read(out) else { return false };
    let mut of_model = manifest.files.iter().filter(|(name, _)| name.starts_with("model/")).peekable();
    of_model.peek().is_some()
        && of_model.all(|(name, entry)| {
            name.ends_with("/README.md") || hash_file(&out.join(name)).is_ok_and(|(_, hash)| hash == entry.sha256)
        })
}

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

//! Pairs to train on: the dataset folder of a run, or any folder with such files.

use std::collections::BTreeMap;
use std::path::Path;

use impossible_core::record::{Kept, Task};
use impossible_core::{Error, Result};

use crate::run::atomic::hash_file;
use crate::run::tables::read_kept;

/// Kept pairs of the tasks, and the sha256 of every file read.
///
/// # Errors
/// [`Error::Missing`] when the folder has neither file; [`Error::Input`] when they hold no pair; the files' own.
pub fn read_pairs(folder: &Path, tasks: &[Task]) -> Result<(Vec<Kept>, BTreeMap<String, String>)> {
    let (mut pairs, mut hashes) = (Vec::new(), BTreeMap::new());
    for &task in tasks {
        let name = format!("{}.parquet", task.name());
        let path = folder.join(&name);
        if path.is_file() {
            pairs.extend(read_kept(&path, task)?);
            hashes.insert(name, hash_file(&path)?.1);
        }
    }
    if hashes.is_empty() {
        return Err(Error::Missing {
            what: tasks.iter().map(|t| format!("{}.parquet", t.name())).collect::<Vec<_>>().join(" or "),
            place: folder.display().to_string(),
            hint: "Make a dataset first: impossible distill --until dataset --out RUN".into(),
        });
    }
    if pairs.is_empty() {
        return Err(Error::input(folder.display(), "at least one pair to train on", "none"));
    }
    Ok((pairs, hashes))
}

//! Pairs to train on: the dataset folder of a run, or any folder with such files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use record::{Error, Result};
use record::{Kept, Task};

use crate::fs::hash_file;
use crate::run::tables::read_kept;

/// Kept pairs of the tasks, and the sha256 of every file read. Contexts of different folders get different numbers.
///
/// # Errors
/// [`Error::Missing`] when a folder has neither file; [`Error::Input`] when they hold no pair; the files' own.
pub fn read_pairs(folders: &[PathBuf], tasks: &[Task]) -> Result<(Vec<Kept>, BTreeMap<String, String>)> {
    let (mut pairs, mut hashes) = (Vec::new(), BTreeMap::new());
    for (i, folder) in folders.iter().enumerate() {
        let before = hashes.len();
        for &task in tasks {
            let name = format!("{}.parquet", task.name());
            let path = folder.join(&name);
            if path.is_file() {
                let mut read = read_kept(&path, task)?;
                read.iter_mut().for_each(|pair| pair.scored.context += (i as u64) << 40);
                pairs.extend(read);
                hashes.insert(if i == 0 { name } else { format!("{i}/{name}") }, hash_file(&path)?.1);
            }
        }
        if hashes.len() == before {
            return Err(Error::Missing {
                what: tasks.iter().map(|t| format!("{}.parquet", t.name())).collect::<Vec<_>>().join(" or "),
                place: folder.display().to_string(),
                hint: "Make a dataset first: impossible distill --until dataset --out RUN".into(),
            });
        }
    }
    if pairs.is_empty() {
        let names: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
        return Err(Error::input(names.join(", "), "at least one pair to train on", "none"));
    }
    Ok((pairs, hashes))
}

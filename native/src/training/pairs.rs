//! Reading training pairs from dataset folders.

use std::collections::BTreeMap;
use std::path::PathBuf;

use record::{Error, Result};
use record::{Kept, Task};

use crate::fs::hash_file;
use crate::run::tables::read_kept;

/// Reads the pairs of the tasks and the SHA-256 of every file. Context numbers are changed so that they differ between
/// folders.
///
/// # Errors
/// [`Error::Missing`] when a folder has no file of the tasks; [`Error::Input`] when there are no pairs; errors of
/// reading the files.
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

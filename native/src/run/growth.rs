//! Runs that grow: the same plan with more contexts. Earlier plans are kept in `plans/`, and shards made under them
//! stay as they are.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use record::plan::Plan;
use record::{Error, Result};

use super::planfile::read_plan;
use super::ranges::ranges;
use crate::fs::{hash_file, io_error, read_small, write_file};

/// The earlier plans of a run, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// SHA-256 of the plan files.
    pub hashes: Vec<String>,
    /// Numbers of contexts.
    pub counts: Vec<u64>,
}

fn folder(dir: &Path) -> PathBuf {
    dir.join("plans")
}

fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let folder = folder(dir);
    let mut out = Vec::new();
    match fs::read_dir(&folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(out),
        Err(e) => return Err(io_error("reading", &folder)(e)),
        Ok(entries) => {
            for entry in entries {
                let path = entry.map_err(io_error("reading", &folder))?.path();
                let number = path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|s| s.parse::<u32>().is_ok());
                if number && path.extension().is_some_and(|e| e == "toml") {
                    out.push(path);
                }
            }
        }
    }
    out.sort();
    Ok(out)
}

impl History {
    /// Reads the earlier plans of a run with this plan.
    ///
    /// # Errors
    /// Errors of [`read_plan`]; [`Error::Broken`] for an earlier plan that this one does not continue.
    pub fn read(dir: &Path, plan: &Plan) -> Result<Self> {
        let mut history = Self::default();
        for file in files(dir)? {
            let earlier = read_plan(&file)?;
            let count = earlier.contexts.count as u64;
            if !same(&earlier, plan) || history.counts.last().is_some_and(|last| *last >= count) {
                return Err(Error::broken(file.display(), "the run's plan.toml does not continue it"));
            }
            // The run was cut off before it took the larger plan.
            if count < plan.contexts.count as u64 {
                history.counts.push(count);
                history.hashes.push(hash_file(&file)?.1);
            }
        }
        Ok(history)
    }

    /// The ranges of a run of `count` contexts, of which machine `part` (from 0) of `parts` makes its share: those of
    /// the earlier plans first, then the rest.
    #[must_use]
    pub fn ranges(&self, count: u64, size: u64, (part, parts): (u64, u64)) -> Vec<Range<u64>> {
        let mut all = Vec::new();
        let mut start = 0;
        for end in self.counts.iter().copied().chain([count]) {
            all.extend(
                ranges(end.saturating_sub(start), size, 0, 1).into_iter().map(|r| start + r.start..start + r.end),
            );
            start = end;
        }
        let mine = (0u64..).zip(all).filter(|(i, _)| i % parts.max(1) == part);
        mine.map(|(_, range)| range).collect()
    }
}

/// Whether two plans differ at most in the number of contexts and in the spelling of paths. (That the models are the
/// same is checked by their hashes.)
#[must_use]
pub fn same(a: &Plan, b: &Plan) -> bool {
    let bare = |plan: &Plan| {
        let mut plan = plan.clone();
        plan.contexts.count = 1;
        for spelled in [
            &mut plan.models.teacher,
            &mut plan.models.critic,
            &mut plan.models.encoder,
            &mut plan.models.student,
            &mut plan.contexts.seeds,
        ] {
            spelled.clear();
        }
        plan
    };
    bare(a) == bare(b)
}

/// Saves the plan of a run that is about to grow.
pub(super) fn keep(dir: &Path, plan: &Path) -> Result<()> {
    let bytes = read_small(plan, 1 << 20)?;
    let earlier = files(dir)?;
    // Saved already if growing was cut off.
    if let Some(last) = earlier.last()
        && read_small(last, 1 << 20)? == bytes
    {
        return Ok(());
    }
    fs::create_dir_all(folder(dir)).map_err(io_error("creating", &folder(dir)))?;
    write_file(&folder(dir).join(format!("{:04}.toml", earlier.len() + 1)), &bytes)
}

/// Copies the earlier plans of a run to another one that has none yet.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    if !files(to)?.is_empty() {
        return Ok(());
    }
    for file in files(from)? {
        fs::create_dir_all(folder(to)).map_err(io_error("creating", &folder(to)))?;
        let name = file.file_name().unwrap_or_default();
        write_file(&folder(to).join(name), &read_small(&file, 1 << 20)?)?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_earlier_plans_stay() {
        let history = History { hashes: Vec::new(), counts: vec![6] };
        assert_eq!(history.ranges(11, 4, (0, 1)), [0..4, 4..6, 6..10, 10..11]);
        assert_eq!(history.ranges(11, 4, (1, 2)), [4..6, 10..11]);
        assert_eq!(History::default().ranges(10, 4, (0, 1)), ranges(10, 4, 0, 1));
    }
}

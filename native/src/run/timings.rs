//! Wall-clock times per stage, summed over all sessions of a run, in `timings.json`. The file is not in the manifest.

use std::path::Path;

use record::Result;
use serde::{Deserialize, Serialize};

use super::manifest::to_json;
use crate::fs::{read_small, write_file};

/// Name of the file in the run folder.
pub const TIMINGS: &str = "timings.json";

/// Seconds per stage, in the order in which the stages first ran.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timings {
    /// The stages.
    pub stages: Vec<StageTime>,
}

/// Time of one stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageTime {
    /// Name of the stage.
    pub stage: String,
    /// Wall-clock seconds.
    pub seconds: f64,
}

impl Timings {
    /// Adds seconds to a stage.
    pub fn add(&mut self, stage: &str, seconds: f64) {
        match self.stages.iter_mut().find(|s| s.stage == stage) {
            Some(s) => s.seconds += seconds,
            None => self.stages.push(StageTime { stage: stage.to_owned(), seconds }),
        }
    }
}

/// Reads the timings of a run folder; empty if there are none yet, or for a damaged file.
///
/// # Errors
/// [`record::Error::Io`] when reading fails.
pub fn read(dir: &Path) -> Result<Timings> {
    let path = dir.join(TIMINGS);
    if !path.exists() {
        return Ok(Timings::default());
    }
    // Times are not worth an error.
    Ok(serde_json::from_slice(&read_small(&path, 1 << 20)?).unwrap_or_default())
}

pub(super) fn add(dir: &Path, more: &Timings) -> Result<()> {
    let mut all = read(dir)?;
    for s in &more.stages {
        all.add(&s.stage, s.seconds);
    }
    let path = dir.join(TIMINGS);
    write_file(&path, &to_json(&all, &path)?)
}

//! `timings.json`: seconds by stage, summed over every sitting of a run. Kept out of the manifest.

use std::path::Path;

use record::{Error, Result};
use serde::{Deserialize, Serialize};

use super::manifest::to_json;
use crate::fs::{read_small, write_file};

/// Name of the file.
pub const TIMINGS: &str = "timings.json";

/// Seconds by stage, in the order the stages first ran.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timings {
    /// The stages.
    pub stages: Vec<StageTime>,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageTime {
    /// Its name.
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

/// The timings of a run folder; none yet = empty.
///
/// # Errors
/// [`Error::Io`]; [`Error::Broken`].
pub fn read(dir: &Path) -> Result<Timings> {
    let path = dir.join(TIMINGS);
    if !path.exists() {
        return Ok(Timings::default());
    }
    serde_json::from_slice(&read_small(&path, 1 << 20)?).map_err(|e| Error::broken(path.display(), e))
}

pub(super) fn add(dir: &Path, more: &Timings) -> Result<()> {
    let mut all = read(dir)?;
    for s in &more.stages {
        all.add(&s.stage, s.seconds);
    }
    let path = dir.join(TIMINGS);
    write_file(&path, &to_json(&all, &path)?)
}

//! The plans of trainings.

use std::collections::BTreeMap;
use std::path::Path;

use lm::train::trainer::Settings;
use method::student::Format;
use record::{DeviceSpec, Error, Result};
use serde::{Deserialize, Serialize};

use crate::fs::{read_small, sha256, write_file};

/// Name of a student's plan.
pub const FILE: &str = "student.toml";

/// Everything needed to repeat the training of a student. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudentPlan {
    /// Seed of its random streams.
    pub seed: u64,
    /// Device kind.
    pub device: DeviceSpec,
    /// The model it starts from: a name in the model folder, or a path.
    pub base: String,
    /// sha256 of the base's weights.
    pub base_sha256: String,
    /// sha256 of every file of pairs.
    pub data: BTreeMap<String, String>,
    /// How tasks are put to it.
    pub format: Format,
    /// Training.
    pub train: Settings,
}

/// The text of a plan.
fn text(plan: &impl Serialize) -> Result<String> {
    toml::to_string(plan).map_err(|e| Error::input("the plan", "values that TOML can hold", e))
}

/// Refuses settings out of range, and a plan that differs from the one that is there, if one is.
///
/// # Errors
/// [`Error::Input`] names the entry, or the first line in which the plans differ; [`Error::Io`].
pub fn check(file: &Path, plan: &impl Serialize, train: &Settings) -> Result<()> {
    train.validate()?;
    let text = text(plan)?;
    if !file.exists() {
        return Ok(());
    }
    let bytes = read_small(file, 1 << 20)?;
    let theirs = String::from_utf8_lossy(&bytes);
    if theirs == text {
        return Ok(());
    }
    let pair = theirs.lines().zip(text.lines()).find(|(a, b)| a != b);
    let (found, wanted) = pair.unwrap_or(("another number of entries", "this plan"));
    Err(Error::input(
        file.display(),
        format!("the plan of this training ({wanted}); give another --out for another training"),
        found,
    ))
}

/// Writes the plan of a training, or checks that the one there is the same. Answers its hash.
///
/// # Errors
/// As [`check`].
pub fn begin(file: &Path, plan: &impl Serialize, train: &Settings) -> Result<String> {
    check(file, plan, train)?;
    let text = text(plan)?;
    if !file.exists() {
        write_file(file, text.as_bytes())?;
    }
    Ok(sha256(text.as_bytes()))
}

//! Plans of trainings.

use std::collections::BTreeMap;
use std::path::Path;

use lm::train::trainer::Settings;
use method::student::Format;
use record::{DeviceSpec, Error, Result};
use serde::{Deserialize, Serialize};

use crate::fs::{read_small, sha256, write_file};

/// Name of the file of a student's plan.
pub const FILE: &str = "student.toml";

/// Everything needed to reproduce the training of a student. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudentPlan {
    /// Seed of the training's random streams.
    pub seed: u64,
    /// Kind of compute device.
    pub device: DeviceSpec,
    /// The model that is fine-tuned: a name in the model folder, or a path.
    pub base: String,
    /// SHA-256 of the base model's weights.
    pub base_sha256: String,
    /// SHA-256 of every file of pairs.
    pub data: BTreeMap<String, String>,
    /// The student's prompt format.
    pub format: Format,
    /// Training settings.
    pub train: Settings,
}

/// A plan as TOML.
fn text(plan: &impl Serialize) -> Result<String> {
    toml::to_string(plan).map_err(|e| Error::input("the plan", "values that TOML can hold", e))
}

/// Checks the ranges of the settings, and that a plan already in the folder is the same.
///
/// # Errors
/// [`Error::Input`] names the invalid entry or the first line in which the plans differ; [`Error::Io`] when reading
/// fails.
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

/// Writes the plan of a training unless the same plan is already there, and returns its hash.
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

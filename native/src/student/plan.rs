//! The plan of a training.

use std::collections::BTreeMap;
use std::path::Path;

use impossible_core::student::Format;
use impossible_core::train::trainer::Settings;
use impossible_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::run::atomic::{read_small, sha256, write_file};

/// Name of the file.
pub const FILE: &str = "student.toml";

/// Everything needed to repeat a training. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudentPlan {
    /// Seed of its random streams.
    pub seed: u64,
    /// Device kind.
    pub device: String,
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

impl StudentPlan {
    /// Writes the plan into `dir`, or checks that the one there is the same. Answers its hash.
    ///
    /// # Errors
    /// [`Error::Input`] names the first line in which they differ; [`Error::Io`].
    pub fn begin(&self, dir: &Path) -> Result<String> {
        self.train.validate()?;
        let text = toml::to_string(self).map_err(|e| Error::input("student plan", "values that TOML can hold", e))?;
        let file = dir.join(FILE);
        if file.exists() {
            let bytes = read_small(&file, 1 << 20)?;
            let theirs = String::from_utf8_lossy(&bytes);
            if theirs != text {
                let pair = theirs.lines().zip(text.lines()).find(|(a, b)| a != b);
                let (found, wanted) = pair.unwrap_or(("another number of entries", "this plan"));
                return Err(Error::input(
                    file.display(),
                    format!("the plan of this training ({wanted}); give another --out to train another student"),
                    found,
                ));
            }
        } else {
            write_file(&file, text.as_bytes())?;
        }
        Ok(sha256(text.as_bytes()))
    }
}

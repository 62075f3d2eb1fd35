//! The models of a run by their hashes, in `models.json`, so that a run goes on under any spelling of their paths, but
//! not with other weights.

use std::collections::BTreeMap;
use std::path::Path;

use record::presets::Role;
use record::{Error, Result};
use serde::{Deserialize, Serialize};

use super::manifest::to_json;
use crate::fs::{read_small, write_file};

/// File name of the hashes.
pub const FILE: &str = "models.json";

/// A model of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// SHA-256 of the weights.
    pub sha256: String,
}

/// The models of a run by role: `teacher`, `critic`, `encoder`.
pub type Identities = BTreeMap<String, Identity>;

/// The models that the run in `dir` was started with; `None` if it has not begun.
///
/// # Errors
/// [`Error::Broken`] for an invalid file; [`Error::Io`] when reading fails.
pub fn read(dir: &Path) -> Result<Option<Identities>> {
    let path = dir.join(FILE);
    if !path.is_file() {
        return Ok(None);
    }
    let parsed = serde_json::from_slice(&read_small(&path, 1 << 20)?);
    let advice = "remove it, and the models are recorded anew";
    parsed.map(Some).map_err(|e| Error::broken(path.display(), format_args!("{e}; {advice}")))
}

/// Saves the models of a run, or checks that they are those that it was started with.
///
/// # Errors
/// [`Error::Input`] for another model; as [`read`].
pub(super) fn settle(dir: &Path, models: &Identities) -> Result<()> {
    let path = dir.join(FILE);
    if read(dir)?.is_none() {
        return write_file(&path, &to_json(models, &path)?);
    }
    check(dir, models)
}

/// Checks that models are those that the run was started with, if it says which.
///
/// # Errors
/// As [`settle`].
pub(super) fn check(dir: &Path, models: &Identities) -> Result<()> {
    let Some(theirs) = read(dir)? else { return Ok(()) };
    for (role, model) in models {
        // A run without cosine thresholds has no encoder of its own.
        let recorded = theirs.get(role).map(|m| m.sha256.as_str());
        if recorded.is_none() && role == Role::Encoder.as_str() {
            continue;
        }
        let expected = recorded.unwrap_or_default();
        if expected != model.sha256 {
            let short = |hash: &str| hash.get(..12).unwrap_or(hash).to_owned();
            return Err(Error::input(
                format_args!("--{role}"),
                format_args!(
                    "the model that {} was started with (weights {}), wherever it is now; for another model choose another \
                     --out",
                    dir.display(),
                    short(expected)
                ),
                format_args!("other weights ({})", short(&model.sha256)),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn other_weights_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let models = |hash: &str| BTreeMap::from([("teacher".to_owned(), Identity { sha256: hash.to_owned() })]);
        settle(dir.path(), &models("aa")).unwrap();
        settle(dir.path(), &models("aa")).unwrap();
        let e = settle(dir.path(), &models("bb")).unwrap_err().to_string();
        assert!(e.starts_with("--teacher") && e.contains("(weights aa)") && e.ends_with("(bb)"), "{e}");
    }
}

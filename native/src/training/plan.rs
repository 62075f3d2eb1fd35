//! Plans of trainings.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lm::train::trainer::Settings;
use method::reword::Damage;
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
    /// How a reworder's sentences are damaged in training; absent for students of pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_damage: Option<Damage>,
    /// Training settings.
    pub train: Settings,
}

/// Names or paths whose model is identified by its hash in the entry `NAME_sha256`.
const SPELLED: [&str; 2] = ["base", "teacher_critic"];

/// A plan as TOML.
fn text(plan: &impl Serialize) -> Result<String> {
    toml::to_string(plan).map_err(|e| Error::input("the plan", "values that TOML can hold", e))
}

/// How a plan stands to the one of its training's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The folder has no plan, or nothing has been made under another one.
    New,
    /// Both are the same, apart from the spelling of paths and file names.
    Same,
    /// They differ in the training data or the base model only.
    OtherInputs,
    /// They differ in this entry: its name, the folder's value, and the given value.
    Other(String, String, String),
}

/// Compares a plan with the one in `file`, and checks the ranges of the settings.
///
/// # Errors
/// [`Error::Input`] names the invalid setting; [`Error::Broken`] for a file that is not a plan; [`Error::Io`] when
/// reading fails.
pub fn standing(file: &Path, plan: &impl Serialize, train: &Settings) -> Result<Standing> {
    train.validate()?;
    if !file.exists() {
        return Ok(Standing::New);
    }
    let bytes = read_small(file, 1 << 20)?;
    let theirs = entries(&String::from_utf8_lossy(&bytes)).map_err(|e| Error::broken(file.display(), e))?;
    let given = entries(&text(plan)?).map_err(|e| Error::broken("the plan", e))?;
    let keys: BTreeSet<&String> = theirs.keys().chain(given.keys()).collect();
    let differing: Vec<&String> = keys.into_iter().filter(|key| theirs.get(*key) != given.get(*key)).collect();
    if differing.is_empty() {
        return Ok(Standing::Same);
    }
    if !begun(file) {
        return Ok(Standing::New);
    }
    let input = |key: &&&String| key.starts_with(DATA) || **key == "base_sha256";
    let Some(first) = differing.iter().find(|key| !input(key)) else { return Ok(Standing::OtherInputs) };
    let value = |of: &BTreeMap<String, String>| of.get(*first).map_or_else(|| "off".to_owned(), Clone::clone);
    Ok(Standing::Other((*first).clone(), value(&theirs), value(&given)))
}

/// Prefix of the entries with the hashes of training files.
const DATA: &str = "data.";

/// The entries of a plan by dotted name. Spelled names are left out if there is a hash, and training files are numbered.
fn entries(text: &str) -> std::result::Result<BTreeMap<String, String>, String> {
    fn add(out: &mut BTreeMap<String, String>, prefix: &str, table: toml::Table) {
        for (i, (key, value)) in table.into_iter().enumerate() {
            let name = if prefix == DATA { format!("{DATA}{i}") } else { format!("{prefix}{key}") };
            match value {
                toml::Value::Table(inner) => add(out, &format!("{name}."), inner),
                value => drop(out.insert(name, value.to_string())),
            }
        }
    }
    let mut out = BTreeMap::new();
    add(&mut out, "", toml::from_str(text).map_err(|e| e.message().to_owned())?);
    for name in SPELLED {
        if out.contains_key(&format!("{name}_sha256")) {
            out.remove(name);
        }
    }
    Ok(out)
}

/// Whether a training has made anything under the plan in `file`.
fn begun(file: &Path) -> bool {
    let dir = file.parent().unwrap_or_else(|| Path::new("."));
    ["checkpoints", "model"]
        .iter()
        .any(|name| std::fs::read_dir(dir.join(name)).is_ok_and(|mut entries| entries.next().is_some()))
}

/// Checks the ranges of the settings, and that the folder's plan, if it has one, is the same.
///
/// # Errors
/// [`Error::Input`] names the invalid setting, or the first entry in which the plans differ; errors of [`standing`].
pub fn check(file: &Path, plan: &impl Serialize, train: &Settings) -> Result<()> {
    let folder = file.parent().map(Path::to_path_buf).unwrap_or_default();
    match standing(file, plan, train)? {
        Standing::New | Standing::Same => Ok(()),
        Standing::OtherInputs => Err(Error::input(
            "the training data and the base model",
            format_args!("those with which {} was started; choose another --out for others", folder.display()),
            "others",
        )),
        Standing::Other(entry, theirs, given) => Err(Error::input(
            flag(&entry),
            format_args!("{theirs}, with which {} was started; choose another --out", folder.display()),
            format_args!("{given}, as requested now"),
        )),
    }
}

/// The flag that sets an entry of a training's plan, or else the entry's name.
fn flag(entry: &str) -> String {
    let name = entry.strip_prefix("train.").unwrap_or(entry);
    match name {
        "batch" => "--train-batch".to_owned(),
        "base_sha256" => "--base".to_owned(),
        "teacher_critic_sha256" => "--teacher-critic".to_owned(),
        "tokenizer_sha256" => "--tokenizer".to_owned(),
        "seed" | "device" | "length" | "field" | "task" | "epochs" | "batch_tokens" | "learning_rate" | "warmup"
        | "schedule" | "optimizer" | "weight_decay" | "clip" | "dropout" | "label_smoothing" | "compute"
        | "validation" | "evaluate_every" | "checkpointing" => format!("--{}", name.replace('_', "-")),
        _ if name.starts_with("lora") => format!("--{}", name.replace(['.', '_'], "-")),
        _ => format!("plan entry {entry}"),
    }
}

/// Writes the plan of a training unless the same plan is already there, and returns the hash of the file.
///
/// # Errors
/// As [`check`].
pub fn begin(file: &Path, plan: &impl Serialize, train: &Settings) -> Result<String> {
    check(file, plan, train)?;
    if standing(file, plan, train)? == Standing::New {
        write_file(file, text(plan)?.as_bytes())?;
    }
    Ok(sha256(&read_small(file, 1 << 20)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Clone, Serialize)]
    struct Plan {
        base: String,
        base_sha256: String,
        data: BTreeMap<String, String>,
        train: Settings,
    }

    #[test]
    fn a_plan_is_the_same_by_hashes_not_by_spelling() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE);
        let data = BTreeMap::from([("0/a.jsonl".to_owned(), "11".to_owned())]);
        let train = Settings::default();
        let plan = Plan { base: "/home/me/x".into(), base_sha256: "aa".into(), data, train: train.clone() };
        let standing = |plan: &Plan| standing(&file, plan, &train).unwrap();
        assert_eq!(standing(&plan), Standing::New);
        let hash = begin(&file, &plan, &train).unwrap();
        std::fs::create_dir_all(dir.path().join("checkpoints/x")).unwrap();
        let mut spelled = plan.clone();
        spelled.base = "../x".into();
        spelled.data = BTreeMap::from([("0/b.jsonl".to_owned(), "11".to_owned())]);
        assert_eq!(standing(&spelled), Standing::Same);
        assert_eq!(begin(&file, &spelled, &train).unwrap(), hash);
        spelled.data = BTreeMap::from([("0/b.jsonl".to_owned(), "12".to_owned())]);
        assert_eq!(standing(&spelled), Standing::OtherInputs);
        let mut other = plan.clone();
        other.train.epochs = 77;
        let e = check(&file, &other, &train).unwrap_err().to_string();
        assert!(e.starts_with("--epochs: expected ") && e.ends_with("found 77, as requested now"), "{e}");
        // Before anything was trained, another plan takes its place.
        std::fs::remove_dir_all(dir.path().join("checkpoints")).unwrap();
        assert_eq!((standing(&other), standing(&spelled)), (Standing::New, Standing::New));
    }
}

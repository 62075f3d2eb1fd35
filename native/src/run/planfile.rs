//! Reading and writing `plan.toml`, its hash, and the first entry in which two plans differ.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use record::plan::Plan;
use record::{Error, Result};

use crate::fs::{read_small, sha256};

const MOST_BYTES: u64 = 1 << 20;

/// The plan as TOML, as it is written to `plan.toml`.
///
/// # Errors
/// [`Error::Input`] for a value that TOML cannot represent (a seed of 2^63 or more).
pub fn plan_text(plan: &Plan) -> Result<String> {
    toml::to_string(plan).map_err(|e| Error::input("plan", "values that TOML can hold (seed below 2^63)", e))
}

/// SHA-256 of [`plan_text`], in hexadecimal; equals `sha256sum plan.toml` of a run folder of this version.
///
/// # Errors
/// As [`plan_text`].
pub fn plan_hash(plan: &Plan) -> Result<String> {
    Ok(sha256(plan_text(plan)?.as_bytes()))
}

/// Reads and validates a plan.
///
/// # Errors
/// [`Error::Line`] with file, line and key for an invalid plan, for example an unknown key; [`Error::Input`] from
/// [`Plan::validate`]; [`Error::Io`] when reading fails.
pub fn read_plan(path: &Path) -> Result<Plan> {
    if !path.exists() {
        let hint = "Name an existing plan.".to_owned();
        return Err(Error::Missing { what: "the plan".to_owned(), place: path.display().to_string(), hint });
    }
    let bytes = read_small(path, MOST_BYTES)?;
    let file = path.display().to_string();
    let text = std::str::from_utf8(&bytes).map_err(|e| Error::Line {
        file: file.clone(),
        line: line_at(&bytes, e.valid_up_to()),
        reason: "is not UTF-8".to_owned(),
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let plan: Plan = toml::from_str(text).map_err(|e| Error::Line {
        file,
        line: line_at(text.as_bytes(), e.span().map_or(0, |s| s.start)),
        reason: e.message().replace('\n', " "),
    })?;
    plan.validate()?;
    Ok(plan)
}

fn line_at(bytes: &[u8], offset: usize) -> usize {
    1 + bytes[..offset.min(bytes.len())].iter().filter(|b| **b == b'\n').count()
}

/// The first entry (in alphabetical order) in which two plans differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Dotted name, such as `contexts.count`.
    pub entry: String,
    /// TOML value of the first plan.
    pub left: String,
    /// TOML value of the second plan.
    pub right: String,
}

/// Compares two plans entry by entry; `None` if they are equal.
///
/// # Errors
/// As [`plan_text`].
pub fn first_difference(left: &Plan, right: &Plan) -> Result<Option<Difference>> {
    let (left, right) = (entries(left)?, entries(right)?);
    // Entries that are off are not written: a plan may lack one that the other has.
    let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let value = |of: &BTreeMap<String, String>, key: &String| of.get(key).cloned().unwrap_or_else(|| "off".to_owned());
    Ok(keys.into_iter().find(|key| left.get(*key) != right.get(*key)).map(|key| Difference {
        entry: key.clone(),
        left: value(&left, key),
        right: value(&right, key),
    }))
}

/// The flag that sets an entry of the plan, or else the entry's name.
#[must_use]
pub fn flag(entry: &str) -> String {
    let flag = match entry {
        "seed" => "--seed",
        "device" => "--device",
        "models.teacher" => "--teacher",
        "models.critic" => "--critic",
        "models.encoder" => "--encoder",
        "contexts.count" => "--contexts",
        "contexts.seeds" | "contexts.seeds_sha256" => "--seeds",
        "siblings.k" => "--k",
        "siblings.temperature" => "--temperature",
        "siblings.top_p" => "--top-p",
        "siblings.batch" => "--batch",
        "paraphrase.rouge_min" => "--rouge-min",
        "paraphrase.rouge_max" => "--rouge-max",
        "paraphrase.cosine_min" => "--cosine-min",
        "paraphrase.entailment_min" => "--entailment-min",
        "summary.entailment_min" => "--summary-entailment-min",
        "summary.cosine_min" => "--summary-cosine-min",
        "summary.length_max" => "--summary-length-max",
        "paraphrase.modality" | "summary.modality" => "--modality",
        "paraphrase.diversity" | "summary.diversity" => "--diversity",
        _ => return format!("plan entry {entry}"),
    };
    flag.to_owned()
}

/// The error for a plan that differs from the folder's.
pub(super) fn other_plan(dir: &Path, theirs: &Plan, given: &Plan) -> Result<Error> {
    let mut given = given.clone();
    if given.contexts.count >= theirs.contexts.count {
        // A run may grow.
        given.contexts.count = theirs.contexts.count;
    }
    // Paths may be spelled differently.
    given.models.clone_from(&theirs.models);
    given.contexts.seeds.clone_from(&theirs.contexts.seeds);
    Ok(match first_difference(theirs, &given)? {
        Some(d) => Error::input(
            flag(&d.entry),
            format_args!("{}, with which {} was started; choose another --out for another plan", d.left, dir.display()),
            format_args!("{}, as requested now", d.right),
        ),
        None => Error::broken(dir.join(super::PLAN).display(), "it does not match its own hash"),
    })
}

/// The error for two runs that cannot be merged.
pub(super) fn not_mergeable(first: (&Path, &Plan), other: (&Path, &Plan)) -> Result<Error> {
    let ((a, first), (b, other)) = (first, other);
    let mut spelled = other.clone();
    spelled.models.clone_from(&first.models);
    spelled.contexts.seeds.clone_from(&first.contexts.seeds);
    Ok(match first_difference(first, &spelled)? {
        Some(d) => Error::input(
            format_args!("plan entry {} of {}", d.entry, b.display()),
            format_args!("{}, as in {} (runs to merge have the same plan)", d.left, a.display()),
            d.right,
        ),
        None => Error::broken(b.join(super::PLAN).display(), "it does not match its own hash"),
    })
}

fn entries(plan: &Plan) -> Result<BTreeMap<String, String>> {
    let text = plan_text(plan)?;
    let table: toml::Table = toml::from_str(&text).map_err(|e| Error::broken("plan", e.message()))?;
    let mut out = BTreeMap::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => {
                out.extend(inner.into_iter().map(|(k, v)| (format!("{key}.{k}"), v.to_string())));
            }
            other => {
                out.insert(key, other.to_string());
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::super::fixture::plan;
    use super::*;

    #[test]
    fn text_and_hash_survive_a_round_trip() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.toml");
        let mut plan = plan();
        plan.paraphrase.length_max = f32::MAX;
        plan.siblings.temperature = 0.7;
        let text = plan_text(&plan).unwrap();
        assert!(text.contains("temperature = 0.7\n"), "{text}");
        std::fs::write(&path, format!("\u{feff}{}", text.replace('\n', "\r\n"))).unwrap();
        assert_eq!(read_plan(&path).unwrap(), plan);
        assert_eq!(plan_hash(&read_plan(&path).unwrap()).unwrap(), sha256(text.as_bytes()));
    }

    #[test]
    fn unknown_key_names_file_line_and_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.toml");
        let text = plan_text(&plan()).unwrap().replace("top_k = ", "topk = ");
        let expected = 1 + text.lines().position(|l| l.starts_with("topk")).unwrap();
        std::fs::write(&path, text).unwrap();
        match read_plan(&path).unwrap_err() {
            Error::Line { file, line, reason } => {
                assert_eq!(file, path.display().to_string());
                assert_eq!(line, expected);
                assert!(reason.contains("`topk`"), "{reason}");
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn difference_names_the_entry() {
        let (mut a, mut b) = (plan(), plan());
        assert_eq!(first_difference(&a, &b).unwrap(), None);
        b.siblings.k = 9;
        let d = first_difference(&a, &b).unwrap().unwrap();
        assert_eq!((d.entry.as_str(), d.right.as_str()), ("siblings.k", "9"));
        // An entry that only one of the plans has.
        b = a.clone();
        a.paraphrase.rouge_min = 0.0;
        b.paraphrase.rouge_min = 0.65;
        let d = first_difference(&a, &b).unwrap().unwrap();
        assert_eq!((d.entry.as_str(), d.left.as_str(), d.right.as_str()), ("paraphrase.rouge_min", "off", "0.65"));
    }

    #[test]
    fn huge_seed_is_refused_or_kept_whole() {
        let mut p = plan();
        p.seed = u64::MAX;
        if let Ok(text) = plan_text(&p) {
            assert_eq!(toml::from_str::<Plan>(&text).unwrap(), p);
        }
    }
}

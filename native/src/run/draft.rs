//! Drafts in `drafts/`: contexts and samples of a range before its critics have run. A draft is removed when its shard
//! is written; an unusable one is ignored and generated again.

use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

use method::distill::pipeline::Draft;
use record::Result;
use serde::{Deserialize, Serialize};

use crate::fs::{io_error, read_small, sha256, write_file};

/// Largest accepted draft in bytes: four contexts of 4,096 sentences, each far below 16 kB.
const LIMIT: u64 = 256 << 20;

#[derive(Serialize, Deserialize)]
struct Saved {
    plan: String,
    sha256: String,
    draft: Draft,
}

pub(super) fn folder(dir: &Path) -> PathBuf {
    dir.join("drafts")
}

fn file(dir: &Path, range: &Range<u64>) -> PathBuf {
    folder(dir).join(format!("{:08}-{:08}.json", range.start, range.end))
}

pub(super) fn save(dir: &Path, plan: &str, range: &Range<u64>, draft: &Draft) -> Result<()> {
    let path = file(dir, range);
    fs::create_dir_all(folder(dir)).map_err(io_error("creating", &folder(dir)))?;
    let json = |e: serde_json::Error| io_error("writing", &path)(e.into());
    let sha256 = sha256(&serde_json::to_vec(draft).map_err(json)?);
    let saved = Saved { plan: plan.to_owned(), sha256, draft: draft.clone() };
    write_file(&path, &serde_json::to_vec(&saved).map_err(json)?)
}

/// The draft of a range; `None` if it is missing, damaged or of none of these plans.
pub(super) fn load(dir: &Path, plans: &[&str], range: &Range<u64>) -> Option<Draft> {
    let bytes = read_small(&file(dir, range), LIMIT).ok()?;
    let saved: Saved = serde_json::from_slice(&bytes).ok()?;
    let whole = serde_json::to_vec(&saved.draft).is_ok_and(|bytes| sha256(&bytes) == saved.sha256);
    (plans.contains(&saved.plan.as_str()) && whole).then_some(saved.draft)
}

/// Ranges that have a draft.
pub(super) fn ranges(dir: &Path) -> Vec<Range<u64>> {
    let parse = |name: String| {
        let (start, end) = name.strip_suffix(".json")?.split_once('-')?;
        Some(start.parse().ok()?..end.parse().ok()?)
    };
    let entries = fs::read_dir(folder(dir)).into_iter().flatten().flatten();
    entries.filter_map(|entry| parse(entry.file_name().into_string().ok()?)).collect()
}

/// Removes the draft of a range, and the folder if it is then empty.
pub(super) fn remove(dir: &Path, range: &Range<u64>) -> Result<()> {
    let path = file(dir, range);
    match fs::remove_file(&path) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(io_error("removing", &path)(e)),
        _ => {}
    }
    // Fails while there are other drafts.
    let _ = fs::remove_dir(folder(dir));
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use record::{Finish, Sample};

    use super::*;

    fn load_bytes(temp: &tempfile::TempDir, bytes: &[u8]) -> Option<Draft> {
        fs::write(file(temp.path(), &(4..8)), bytes).unwrap();
        load(temp.path(), &["plan"], &(4..8))
    }

    #[test]
    fn a_draft_comes_back_unless_damaged_or_of_another_plan() {
        let temp = tempfile::tempdir().unwrap();
        let sample = Sample { context: 4, row: 0, text: "A sentence.".into(), tokens: 3, finish: Finish::Sentence };
        let draft = Draft { samples: Some(vec![sample]), ..Draft::default() };
        save(temp.path(), "plan", &(4..8), &draft).unwrap();
        assert_eq!(load(temp.path(), &["plan"], &(4..8)), Some(draft));
        assert_eq!(load(temp.path(), &["other"], &(4..8)), None);
        assert_eq!(load(temp.path(), &["plan"], &(0..4)), None);
        let path = file(temp.path(), &(4..8));
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("A sentence", "B sentence")).unwrap();
        assert_eq!(load(temp.path(), &["plan"], &(4..8)), None);
        let whole = load_bytes(&temp, text.as_bytes());
        for i in 0..text.len() {
            let mut bad = text.clone().into_bytes();
            bad[i] ^= 1;
            let found = load_bytes(&temp, &bad);
            assert!(found.is_none() || found == whole, "byte {i} gave another draft");
            assert_eq!(load_bytes(&temp, &text.as_bytes()[..i]), None, "cut at {i}");
        }
        remove(temp.path(), &(4..8)).unwrap();
        remove(temp.path(), &(4..8)).unwrap();
        assert!(!folder(temp.path()).exists());
    }
}

//! Writing the dataset of a run: kept pairs as Parquet and JSONL, the dataset card, the funnel and the manifest.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use record::plan::Plan;
use record::{Error, Result, json_line};
use record::{Funnel, Kept, Task};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::manifest::{DatasetManifest, FORMAT, FileEntry, MANIFEST, Sealed, to_json};
use super::parquet::{ROW_GROUP, TableWriter};
use super::shard::put;
use super::survey::Survey;
use super::tables::{kept_columns, kept_fields};
pub use super::written::Written;
use super::{RunFolder, card};
use crate::fs::{Batch, Sink, io_error};

/// Serialises a kept pair as a JSON object with the columns of the Parquet file, in order.
pub struct JsonRow<'a>(pub &'a Kept);

impl Serialize for JsonRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kept, s) = (self.0, &self.0.scored);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("text", &kept.text)?;
        map.serialize_entry(s.task.name(), &kept.target)?;
        map.serialize_entry("length_ratio", &s.length_ratio)?;
        map.serialize_entry("rouge_l", &s.rouge_l)?;
        map.serialize_entry("numbers", &s.numbers)?;
        map.serialize_entry("entities", &s.entities)?;
        map.serialize_entry("modality", &s.modality)?;
        map.serialize_entry("cosine", &s.cosine)?;
        map.serialize_entry("forward", &s.forward)?;
        map.serialize_entry("backward", &s.backward)?;
        map.serialize_entry("context", &s.context)?;
        map.serialize_entry("x", &s.x)?;
        map.serialize_entry("y", &s.y)?;
        if s.nll.is_some() {
            map.serialize_entry("nll", &s.nll)?;
        }
        map.end()
    }
}

/// The Parquet and the JSONL file of a task. Row groups have a fixed number of rows, so that the bytes do not depend on
/// how the run was split into shards.
struct TaskFiles {
    table: TableWriter<Sink>,
    /// Whether the table has the column `nll`.
    nll: bool,
    lines: Sink,
    waiting: Vec<Kept>,
}

impl TaskFiles {
    fn new(dataset: &Path, batch: &mut Batch, task: Task, nll: bool) -> Result<Self> {
        let path = |ext: &str| dataset.join(format!("{}.{ext}", task.name()));
        let (parquet, jsonl) = (path("parquet"), path("jsonl"));
        let fields = kept_fields(task);
        let fields = &fields[..fields.len() - usize::from(!nll)];
        let table = TableWriter::new(batch.file(&parquet)?, fields, &parquet)?;
        Ok(Self { table, nll, lines: batch.file(&jsonl)?, waiting: Vec::new() })
    }

    fn add(&mut self, kept: Kept) -> Result<()> {
        let line = serde_json::to_string(&JsonRow(&kept)).map_err(|e| Error::io("writing", "dataset", e))?;
        self.lines.put(json_line(line).as_bytes())?;
        self.waiting.push(kept);
        if self.waiting.len() == ROW_GROUP { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let columns = kept_columns(&self.waiting);
        self.table.write(&columns[..columns.len() - usize::from(!self.nll)])?;
        self.waiting.clear();
        Ok(())
    }

    /// Finishes both files; returns the manifest entries of the Parquet and the JSONL file.
    fn finish(mut self) -> Result<[FileEntry; 2]> {
        self.flush()?;
        let (sink, rows) = self.table.finish()?;
        let (bytes, sha256) = sink.finish()?;
        let parquet = FileEntry { bytes, sha256, rows };
        let (bytes, sha256) = self.lines.finish()?;
        Ok([parquet, FileEntry { bytes, sha256, rows }])
    }
}

pub(super) fn write(folder: &RunFolder) -> Result<Written> {
    let dir = folder.dir();
    let dataset = dir.join("dataset");
    fs::create_dir_all(&dataset).map_err(io_error("creating", &dataset))?;
    let mut batch = Batch::default();
    let mut files = [
        TaskFiles::new(&dataset, &mut batch, Task::ALL[0], false)?,
        TaskFiles::new(&dataset, &mut batch, Task::ALL[1], false)?,
    ];
    let (mut survey, mut funnel, mut contexts) = (Survey::new(folder.plan().seed), Funnel::default(), 0);
    for shard in folder.shards()? {
        let shard = shard?;
        contexts += shard.range.end - shard.range.start;
        funnel.add(&shard.funnel);
        for scored in &shard.scored {
            survey.score(scored);
        }
        for (task, out) in Task::ALL.into_iter().zip(&mut files) {
            for kept in shard.pairs(move |s| s.task == task && s.kept()) {
                survey.kept(&kept);
                out.add(kept)?;
            }
        }
    }

    let mut entries = BTreeMap::new();
    let mut kept = [0; 2];
    for ((task, out), n) in Task::ALL.into_iter().zip(files).zip(&mut kept) {
        let [parquet, jsonl] = out.finish()?;
        *n = parquet.rows;
        entries.insert(format!("dataset/{}.parquet", task.name()), parquet);
        entries.insert(format!("dataset/{}.jsonl", task.name()), jsonl);
    }
    let written = Written { contexts, kept, funnel, survey: survey.finish() };
    let card = card::card(folder.plan(), folder.hash(), &written)?;
    entries.insert("dataset/README.md".into(), put(batch.file(&dataset.join("README.md"))?, card.as_bytes(), 0)?);
    let path = dir.join("funnel.json");
    entries.insert("funnel.json".into(), put(batch.file(&path)?, &to_json(&written.funnel, &path)?, 0)?);
    let path = dir.join(MANIFEST);
    let manifest =
        DatasetManifest { format: FORMAT, plan_hash: folder.hash().to_owned(), contexts, files: entries, seal: None };
    put(batch.file(&path)?, &manifest.sealed(&path)?, 0)?;
    batch.commit()?;
    Ok(written)
}

/// File of the plan and thresholds of a dataset without a run folder.
pub const FILTER: &str = "filter.toml";

/// Writes a dataset without a run folder: both files of each task, the plan with its thresholds, and the funnel.
///
/// # Errors
/// [`Error::Io`] when writing fails; existing files then keep their content.
pub fn write_pairs(dir: &Path, plan: &Plan, kept: &[Vec<Kept>; 2], funnel: &impl Serialize) -> Result<()> {
    fs::create_dir_all(dir).map_err(io_error("creating", dir))?;
    let mut batch = Batch::default();
    for (task, pairs) in Task::ALL.into_iter().zip(kept) {
        let nll = pairs.iter().any(|pair| pair.scored.nll.is_some());
        let mut files = TaskFiles::new(dir, &mut batch, task, nll)?;
        for pair in pairs {
            files.add(pair.clone())?;
        }
        files.finish()?;
    }
    put(batch.file(&dir.join("funnel.json"))?, &to_json(funnel, &dir.join("funnel.json"))?, 0)?;
    put(batch.file(&dir.join(FILTER))?, super::planfile::plan_text(plan)?.as_bytes(), 0)?;
    batch.commit()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::super::fixture::{finish_run, plan};
    use super::super::tables::read_kept;
    use super::*;

    #[test]
    fn both_formats_hold_the_kept_pairs_in_order() {
        let dir = tempfile::tempdir().unwrap();
        finish_run(dir.path(), &plan(), 3);
        for (task, n) in [(Task::Paraphrase, 10), (Task::Summary, 5)] {
            let base = dir.path().join("dataset").join(task.name());
            let rows = read_kept(&base.with_extension("parquet"), task).unwrap();
            assert_eq!(rows.len(), n);
            assert!(rows.windows(2).all(|w| w[0].scored.context < w[1].scored.context));
            assert_eq!(rows[0].text, "In 1900, the mayor of town 0 said version 0 was <ready>.");
            let lines = fs::read_to_string(base.with_extension("jsonl")).unwrap();
            let first = format!("{{\"text\":\"{}\",\"{}\":\"", rows[0].text, task.name());
            assert!(lines.starts_with(&first), "{lines}");
            assert_eq!(lines.lines().count(), n);
            for (line, row) in lines.lines().zip(&rows) {
                let v: serde_json::Value = serde_json::from_str(line).unwrap();
                assert_eq!(v[task.name()], row.target.as_str());
                assert_eq!(v["backward"].is_null(), row.scored.backward.is_none());
            }
        }
    }

    #[test]
    fn pairs_of_a_reworder_have_one_more_column() {
        let dir = tempfile::tempdir().unwrap();
        finish_run(dir.path(), &plan(), 3);
        let file = dir.path().join("dataset/paraphrase.parquet");
        let mut pairs = read_kept(&file, Task::Paraphrase).unwrap();
        let out = dir.path().join("pairs");
        let again = |pairs: &[Kept]| {
            write_pairs(&out, &plan(), &[pairs.to_vec(), Vec::new()], &Funnel::default()).unwrap();
            let lines = fs::read_to_string(out.join("paraphrase.jsonl")).unwrap();
            (read_kept(&out.join("paraphrase.parquet"), Task::Paraphrase).unwrap(), lines)
        };
        assert_eq!(again(&pairs).0, pairs);
        assert_eq!(fs::read(&file).unwrap(), fs::read(out.join("paraphrase.parquet")).unwrap());
        pairs[1].scored.nll = Some(0.75);
        let (read, lines) = again(&pairs);
        assert_eq!(read, pairs);
        assert!(lines.lines().nth(1).unwrap().ends_with(",\"nll\":0.75}"), "{lines}");
    }

    #[test]
    fn failed_merge_leaves_the_former_one() {
        let dir = tempfile::tempdir().unwrap();
        finish_run(dir.path(), &plan(), 5);
        let before = fs::read(dir.path().join("dataset/paraphrase.jsonl")).unwrap();
        let path = dir.path().join("shards/00000005/scored.parquet");
        let mut bytes = fs::read(&path).unwrap();
        bytes[30] ^= 1;
        fs::write(&path, bytes).unwrap();
        let folder = RunFolder::create_or_resume(dir.path(), &plan()).unwrap();
        assert!(matches!(folder.write_dataset(), Err(Error::Broken { .. })));
        assert_eq!(fs::read(dir.path().join("dataset/paraphrase.jsonl")).unwrap(), before);
        assert_eq!(fs::read_dir(dir.path().join("dataset")).unwrap().count(), 5, "no temporary file stays");
    }
}

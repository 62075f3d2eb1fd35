//! Writing a finished range of contexts atomically as a shard folder with a manifest.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use method::critic::Link;
use record::{Context, Funnel, Sample, Scored};
use record::{Error, Result, json_line};

use super::manifest::{FORMAT, FileEntry, MANIFEST, SHARD_FILES, Sealed, ShardManifest, to_json};
use super::parquet::{Column, Field, ROW_GROUP, TableWriter};
use super::tables::{SAMPLES, SCORED, sample_columns, scored_columns};
use crate::fs::{Sink, StagedDir};

/// Path of a shard, `DIR/shards/NNNNNNNN`, named after the first context of its range.
#[must_use]
pub fn shard_dir(dir: &Path, first_context: u64) -> PathBuf {
    dir.join("shards").join(format!("{first_context:08}"))
}

/// The results of one range of contexts.
#[derive(Debug, Clone, Copy)]
pub struct ShardData<'a> {
    /// Accepted contexts of the range.
    pub contexts: &'a [Context],
    /// Samples of these contexts.
    pub samples: &'a [Sample],
    /// Scored pairs of both tasks.
    pub scored: &'a [Scored],
    /// Entailments that the diversity filter needed in addition, stored so that thresholds can be changed later.
    pub links: &'a [Link],
    /// Counts of outcomes.
    pub funnel: &'a Funnel,
}

/// Writes the shard. Contexts, samples and pairs are sorted first, so that their order does not matter.
pub(super) fn write(dir: &Path, plan_hash: &str, range: &Range<u64>, data: ShardData<'_>) -> Result<()> {
    let target = shard_dir(dir, range.start);
    check(range, data)?;
    let mut contexts = data.contexts.to_vec();
    contexts.sort_by_key(|c| c.id);
    let mut samples = data.samples.to_vec();
    samples.sort_by_key(|s| (s.context, s.row));
    let mut scored = data.scored.to_vec();
    scored.sort_by_key(|s| (s.task, s.context, s.x, s.y));

    let staged = StagedDir::new(&target)?;
    let lines = jsonl(&contexts, &target)?;
    let links = jsonl(data.links, &target)?;
    let funnel = to_json(data.funnel, &target.join(SHARD_FILES[1]))?;
    let entries = [
        put(staged.file(SHARD_FILES[0])?, &lines, contexts.len())?,
        put(staged.file(SHARD_FILES[1])?, &funnel, 0)?,
        put(staged.file(SHARD_FILES[2])?, &links, data.links.len())?,
        table(staged.file(SHARD_FILES[3])?, &target.join(SHARD_FILES[3]), &SAMPLES, &samples, sample_columns)?,
        table(staged.file(SHARD_FILES[4])?, &target.join(SHARD_FILES[4]), &SCORED, &scored, scored_columns)?,
    ];
    let files: BTreeMap<_, _> = SHARD_FILES.iter().map(|n| (*n).to_owned()).zip(entries).collect();
    let manifest = ShardManifest {
        format: FORMAT,
        plan_hash: plan_hash.to_owned(),
        first_context: range.start,
        last_context: range.end - 1,
        files,
        seal: None,
    };
    put(staged.file(MANIFEST)?, &manifest.sealed(&target.join(MANIFEST))?, 0)?;
    staged.commit()
}

fn jsonl<T: serde::Serialize>(rows: &[T], target: &Path) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    for row in rows {
        let line = serde_json::to_string(row).map_err(|e| Error::io("writing", target.display(), e))?;
        lines.extend(json_line(line).into_bytes());
    }
    Ok(lines)
}

fn check(range: &Range<u64>, data: ShardData<'_>) -> Result<()> {
    let name = format!("shard of contexts {} to {}", range.start, range.end.saturating_sub(1));
    if range.is_empty() {
        return Err(Error::input(name, "at least one context", "an empty range"));
    }
    let ids = data.contexts.iter().map(|c| c.id).chain(data.samples.iter().map(|s| s.context));
    if let Some(id) = ids.chain(data.scored.iter().map(|s| s.context)).find(|id| !range.contains(id)) {
        return Err(Error::input(name, "rows of its own contexts", format!("context {id}")));
    }
    let rows: std::collections::HashSet<_> = data.samples.iter().map(|s| (s.context, s.row)).collect();
    if rows.len() != data.samples.len() {
        return Err(Error::input(name, "each sample once", "two samples of the same context and row"));
    }
    match data.scored.iter().find(|s| !rows.contains(&(s.context, s.x)) || !rows.contains(&(s.context, s.y))) {
        Some(s) => Err(Error::input(name, "pairs of its own samples", format!("{}/{}/{}", s.context, s.x, s.y))),
        None => Ok(()),
    }
}

pub(super) fn put(mut sink: Sink, bytes: &[u8], rows: usize) -> Result<FileEntry> {
    sink.put(bytes)?;
    let (bytes, sha256) = sink.finish()?;
    Ok(FileEntry { bytes, sha256, rows: rows as u64 })
}

fn table<T>(
    sink: Sink,
    shown: &Path,
    fields: &[Field],
    rows: &[T],
    columns: impl Fn(&[T]) -> Vec<Column>,
) -> Result<FileEntry> {
    let mut writer = TableWriter::new(sink, fields, shown)?;
    for group in rows.chunks(ROW_GROUP) {
        writer.write(&columns(group))?;
    }
    let (sink, rows) = writer.finish()?;
    let (bytes, sha256) = sink.finish()?;
    Ok(FileEntry { bytes, sha256, rows })
}

//! Reading finished shards, in the order of contexts.

use std::ops::Range;
use std::path::{Path, PathBuf};

use method::critic::Link;
use record::{Context, Funnel, Kept, Sample, Scored};
use record::{Error, Result};

use super::manifest::{MANIFEST, SHARD_FILES, ShardManifest, check_file, sizes_match};
use super::shard::shard_dir;
use super::tables::{read_samples, read_scored};
use crate::fs::io_error;

/// The content of a finished shard.
#[derive(Debug, Clone, PartialEq)]
pub struct Shard {
    /// Range of contexts that the shard covers, refused ones included.
    pub range: Range<u64>,
    /// Accepted contexts, ordered by id.
    pub contexts: Vec<Context>,
    /// Samples, ordered by context and row.
    pub samples: Vec<Sample>,
    /// Scored pairs, ordered by task, context, x and y.
    pub scored: Vec<Scored>,
    /// Counts of outcomes.
    pub funnel: Funnel,
    /// Entailments that the diversity filter needed in addition.
    pub links: Vec<Link>,
}

impl Shard {
    /// The text of a sample, if there is one with this context and row.
    #[must_use]
    pub fn text(&self, context: u64, row: u32) -> Option<&str> {
        let at = self.samples.binary_search_by_key(&(context, row), |s| (s.context, s.row)).ok()?;
        Some(&self.samples[at].text)
    }

    /// The scored pairs that `wanted` selects, kept or refused, with their texts.
    pub fn pairs<'a>(&'a self, wanted: impl Fn(&Scored) -> bool + 'a) -> impl Iterator<Item = Kept> + 'a {
        self.scored.iter().filter(move |s| wanted(s)).filter_map(|s| {
            let (text, target) = (self.text(s.context, s.x)?, self.text(s.context, s.y)?);
            Some(Kept { text: text.to_owned(), target: target.to_owned(), scored: s.clone() })
        })
    }
}

/// Whether a shard folder is complete and belongs to one of the plans, by its manifest, range and file lengths.
pub(super) fn is_done(dir: &Path, plans: &[&str], range: &Range<u64>) -> bool {
    let shard = shard_dir(dir, range.start);
    ShardManifest::read(&shard)
        .is_ok_and(|m| plans.contains(&m.plan_hash.as_str()) && m.range() == *range && sizes_match(&shard, &m.files))
}

/// First context and path of the folders in `DIR/shards`, finished or not, without temporary ones.
pub(super) fn folders(dir: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let shards = dir.join("shards");
    let entries = match std::fs::read_dir(&shards) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(io_error("reading", &shards)(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(io_error("reading", &shards))?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if let Ok(first) = name.parse::<u64>()
            && shard_dir(dir, first) == path
        {
            found.push((first, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Manifests of the finished shards of the plans, in the order of contexts.
///
/// # Errors
/// [`Error::Broken`] when two shards cover the same context; [`Error::Io`] when a manifest cannot be read.
pub(super) fn finished(dir: &Path, plans: &[&str]) -> Result<Vec<ShardManifest>> {
    let mut out: Vec<ShardManifest> = Vec::new();
    for (first, path) in folders(dir)? {
        if !path.join(MANIFEST).exists() {
            continue;
        }
        let manifest = match ShardManifest::read(&path) {
            Ok(manifest) => manifest,
            // That it could not be read now does not mean that it is not finished.
            Err(error @ Error::Io { .. }) => return Err(error),
            Err(_) => continue,
        };
        let ours = manifest.first_context == first && plans.contains(&manifest.plan_hash.as_str());
        if !ours || !sizes_match(&path, &manifest.files) {
            continue;
        }
        if let Some(last) = out.last()
            && last.last_context >= first
        {
            let reason = format!("it and the shard of context {} both cover context {first}", last.first_context);
            return Err(Error::broken(path.display(), reason));
        }
        out.push(manifest);
    }
    Ok(out)
}

/// Reads a finished shard after checking the hash of every file.
pub(super) fn read(dir: &Path, manifest: &ShardManifest) -> Result<Shard> {
    let shard = shard_dir(dir, manifest.first_context);
    for (name, entry) in &manifest.files {
        check_file(&shard.join(name), entry)?;
    }
    let [contexts, funnel, links, samples, scored] = SHARD_FILES.map(|name| shard.join(name));
    let out = Shard {
        range: manifest.range(),
        contexts: lines(&contexts)?,
        samples: read_samples(&samples)?,
        scored: read_scored(&scored)?,
        funnel: parse(&funnel, &bytes(&funnel)?)?,
        links: lines(&links)?,
    };
    match out.scored.iter().find(|s| out.text(s.context, s.x).is_none() || out.text(s.context, s.y).is_none()) {
        Some(s) => {
            let reason = format!("pair {}/{}/{} has no sample in samples.parquet", s.context, s.x, s.y);
            Err(Error::broken(scored.display(), reason))
        }
        None => Ok(out),
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(io_error("reading", path))
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| Error::broken(path.display(), e))
}

fn lines<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let bytes = bytes(path)?;
    bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(|line| parse(path, line)).collect()
}

/// Iterator over finished shards, which reads each shard when it is reached.
#[derive(Debug)]
pub struct Shards {
    dir: PathBuf,
    manifests: std::vec::IntoIter<ShardManifest>,
}

impl Shards {
    pub(super) fn new(dir: &Path, plans: &[&str]) -> Result<Self> {
        Ok(Self { dir: dir.into(), manifests: finished(dir, plans)?.into_iter() })
    }
}

impl Iterator for Shards {
    type Item = Result<Shard>;

    fn next(&mut self) -> Option<Self::Item> {
        self.manifests.next().map(|m| read(&self.dir, &m))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.manifests.size_hint()
    }
}

impl ExactSizeIterator for Shards {}

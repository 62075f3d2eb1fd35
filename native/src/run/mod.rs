//! The run folder: `plan.toml`, one folder per shard, the dataset of all shards, and reports.
//!
//! ```text
//! DIR/plan.toml                 the plan; its SHA-256 is the plan hash
//! DIR/plans/0001.toml           earlier plans of a run that has grown, with fewer contexts
//! DIR/models.json               SHA-256 of the weights of the run's models
//! DIR/shards/00000000/          contexts.jsonl links.jsonl samples.parquet scored.parquet funnel.json manifest.json
//! DIR/drafts/                   contexts and samples of unfinished ranges; removed when the run is finished
//! DIR/dataset/                  paraphrase.parquet paraphrase.jsonl summary.parquet summary.jsonl README.md
//! DIR/funnel.json DIR/manifest.json      counts of the whole run; length and SHA-256 of every merged file
//! DIR/report.html DIR/timings.json       depend on the clock and are therefore not in the manifest
//! DIR/judgements.jsonl          answers of people, if any
//! ```
//! All files but those of the last two lines have the same bytes for the same plan and kind of device, no matter how
//! the
//! run was split, killed or resumed.

pub mod card;
pub mod dataset;
mod draft;
pub mod growth;
pub mod identity;
pub mod jsonl;
pub mod judge;
pub mod manifest;
pub mod merge;
pub mod parquet;
pub mod planfile;
mod ranges;
pub mod read;
pub mod shard;
pub mod survey;
pub mod tables;
pub mod timings;
pub mod verify;
pub mod view;
pub mod written;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
pub(crate) mod fixture;

use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

use method::distill::pipeline::{Draft, Judged, Store};
use record::plan::Plan;
use record::{Error, Result};

pub use planfile::{plan_hash, read_plan};
pub use ranges::ranges;
pub use read::{Shard, Shards};
pub use shard::ShardData;

use crate::fs::{hash_file, io_error, sweep, write_file};
use crate::output::{self, Kind, Lock};
use growth::History;
use manifest::ShardManifest;
use ranges::gaps;
use timings::Timings;

/// Name of the plan's file.
pub const PLAN: &str = "plan.toml";

/// Name of the report's file.
pub const REPORT: &str = "report.html";

/// A run folder, open for reading, or locked and open for writing.
#[derive(Debug)]
pub struct RunFolder {
    dir: PathBuf,
    plan: Plan,
    plan_hash: String,
    history: History,
    lock: Option<Lock>,
}

impl RunFolder {
    /// Starts a run in `dir`, resumes one with the same plan, or lets it grow to the plan's larger number of contexts.
    /// Acquires the folder's lock and removes temporary files of a killed run.
    ///
    /// # Errors
    /// [`Error::Input`] when `dir` holds something else, when another run is using it, or when it was started with
    /// another plan, with the first entry that differs; errors of [`read_plan`] for its `plan.toml`; [`Error::Io`] when
    /// the folder is not writable.
    pub fn create_or_resume(dir: &Path, plan: &Plan) -> Result<Self> {
        plan.validate()?;
        let text = planfile::plan_text(plan)?;
        let lock = output::claim(dir, Kind::Run)?;
        let (file, shards) = (dir.join(PLAN), dir.join("shards"));
        for sub in [dir, &shards, &dir.join("dataset"), &draft::folder(dir)] {
            sweep(sub)?;
        }
        let plan = if file.exists() {
            take_up(dir, &file, plan)?
        } else {
            write_file(&file, text.as_bytes())?;
            plan.clone()
        };
        fs::create_dir_all(&shards).map_err(io_error("creating", &shards))?;
        let (plan_hash, history) = (hash_file(&file)?.1, History::read(dir, &plan)?);
        let this = Self { dir: dir.into(), plan, plan_hash, history, lock: Some(lock) };
        check_plan(dir, &this.hashes())?;
        // Drafts left by a run that was killed between writing a shard and removing its draft.
        for range in draft::ranges(dir).into_iter().filter(|range| this.shard_done(range)) {
            draft::remove(dir, &range)?;
        }
        Ok(this)
    }

    /// Opens a run folder for reading, even while a run is writing to it.
    ///
    /// # Errors
    /// [`Error::Missing`] when `dir` has no `plan.toml`; errors of [`read_plan`].
    pub fn open(dir: &Path) -> Result<Self> {
        let file = dir.join(PLAN);
        if file.metadata().is_err_and(|e| matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)) {
            if let Some(other) = output::kind_of(dir) {
                return Err(Error::input(dir.display(), "the folder of a run", other.title()));
            }
            let hint = "The folder of a run has one; name the --out of `impossible distill`.".to_owned();
            return Err(Error::Missing { what: PLAN.to_owned(), place: dir.display().to_string(), hint });
        }
        let plan = read_plan(&file)?;
        let (plan_hash, history) = (hash_file(&file)?.1, History::read(dir, &plan)?);
        Ok(Self { dir: dir.into(), plan, plan_hash, history, lock: None })
    }

    /// Path of the folder, as the user gave it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The plan of the run.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// SHA-256 of `plan.toml`.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.plan_hash
    }

    /// The run's earlier plans.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// SHA-256 of `plan.toml` and of the run's earlier plans.
    #[must_use]
    pub fn hashes(&self) -> Vec<&str> {
        self.history.hashes.iter().chain([&self.plan_hash]).map(String::as_str).collect()
    }

    /// The ranges of at most `size` contexts that the run consists of, of which machine `part` (from 0) of `parts`
    /// makes its share.
    #[must_use]
    pub fn ranges(&self, size: u64, share: (u64, u64)) -> Vec<Range<u64>> {
        self.history.ranges(self.plan.contexts.count as u64, size, share)
    }

    /// The parts of these ranges that no finished shard covers.
    ///
    /// # Errors
    /// As [`Self::finished`].
    pub fn todo(&self, ranges: &[Range<u64>]) -> Result<Vec<Range<u64>>> {
        let gaps = self.gaps()?;
        let within = |range: &Range<u64>| {
            let parts = gaps.iter().map(|gap| gap.start.max(range.start)..gap.end.min(range.end));
            parts.filter(|part| !part.is_empty()).collect::<Vec<_>>()
        };
        Ok(ranges.iter().flat_map(within).collect())
    }

    /// Takes over the earlier plans of another run of the same plan, if there are none yet.
    ///
    /// # Errors
    /// [`Error::Input`] if the folder was opened for reading; [`Error::Io`] when reading or writing fails.
    pub fn adopt(mut self, other: &Self) -> Result<Self> {
        self.writable()?;
        growth::copy(&other.dir, &self.dir)?;
        self.history = History::read(&self.dir, &self.plan)?;
        Ok(self)
    }

    /// Uses the models under the names of another plan for the same run.
    #[must_use]
    pub fn spelled_as(mut self, plan: &Plan) -> Self {
        if growth::same(&self.plan, plan) {
            self.plan.models.clone_from(&plan.models);
        }
        self
    }

    /// Saves the models of the run, or checks that they are those that it was started with.
    ///
    /// # Errors
    /// [`Error::Input`] for another model, or if the folder was opened for reading; [`Error::Broken`] for an invalid
    /// `models.json`; [`Error::Io`] when reading or writing fails.
    pub fn settle_models(&self, models: &identity::Identities) -> Result<()> {
        self.writable()?;
        identity::settle(&self.dir, models)
    }

    /// Checks that models are those that the run was started with; runs of older versions do not say.
    ///
    /// # Errors
    /// [`Error::Input`] for another model; [`Error::Broken`] for an invalid `models.json`; [`Error::Io`] when reading
    /// fails.
    pub fn check_models(&self, models: &identity::Identities) -> Result<()> {
        identity::check(&self.dir, models)
    }

    /// Whether the range's shard is complete and of this plan. Only file lengths are compared; [`verify::verify`]
    /// compares hashes.
    #[must_use]
    pub fn shard_done(&self, range: &Range<u64>) -> bool {
        read::is_done(&self.dir, &self.hashes(), range)
    }

    /// Writes a range's shard atomically, replacing an unfinished one, and removes its draft. Several threads may write
    /// different ranges.
    ///
    /// # Errors
    /// [`Error::Io`], for example when the disk is full; [`Error::Input`] for rows outside the range, or if the folder
    /// was opened for reading.
    pub fn write_shard(&self, range: &Range<u64>, data: ShardData<'_>) -> Result<()> {
        self.writable()?;
        shard::write(&self.dir, &self.plan_hash, range, data)?;
        draft::remove(&self.dir, range)
    }

    /// Saves the contexts, and the samples if complete, of an unfinished range.
    ///
    /// # Errors
    /// As [`Self::write_shard`].
    pub fn save_draft(&self, range: &Range<u64>, draft: &Draft) -> Result<()> {
        self.writable()?;
        draft::save(&self.dir, &self.plan_hash, range, draft)
    }

    /// The saved draft of an unfinished range of this plan, if there is one.
    #[must_use]
    pub fn draft(&self, range: &Range<u64>) -> Option<Draft> {
        draft::load(&self.dir, &self.hashes(), range)
    }

    /// Manifests of the finished shards, in the order of contexts.
    ///
    /// # Errors
    /// [`Error::Broken`] when two of them overlap; [`Error::Io`] when the folder cannot be listed.
    pub fn finished(&self) -> Result<Vec<ShardManifest>> {
        read::finished(&self.dir, &self.hashes())
    }

    /// The finished shards in the order of contexts, read one at a time, with a check of their hashes.
    ///
    /// # Errors
    /// As [`Self::finished`]; an item is [`Error::Broken`] if its files have changed since they were written.
    pub fn shards(&self) -> Result<Shards> {
        Shards::new(&self.dir, &self.hashes())
    }

    /// Contexts of the plan that no finished shard covers.
    ///
    /// # Errors
    /// As [`Self::finished`].
    pub fn gaps(&self) -> Result<Vec<Range<u64>>> {
        Ok(gaps(self.finished()?.iter().map(ShardManifest::range), self.plan.contexts.count as u64))
    }

    /// Merges the finished shards into `dataset/`, `funnel.json` and `manifest.json`.
    ///
    /// # Errors
    /// [`Error::Io`] when writing fails; existing files then keep their content. [`Error::Broken`] for a damaged shard.
    pub fn write_dataset(&self) -> Result<dataset::Written> {
        self.writable()?;
        dataset::write(self)
    }

    /// Adds the seconds of each stage to `timings.json`, which `report.html` shows.
    ///
    /// # Errors
    /// [`Error::Io`] when reading or writing fails.
    pub fn add_timings(&self, timings: &Timings) -> Result<()> {
        self.writable()?;
        timings::add(&self.dir, timings)
    }

    fn writable(&self) -> Result<()> {
        if self.lock.is_some() {
            return Ok(());
        }
        Err(Error::input(self.dir.display(), "a run folder opened for writing", "one opened for reading"))
    }
}

/// The plan of an existing run that continues with `given`: its own, with more contexts if `given` has more.
fn take_up(dir: &Path, file: &Path, given: &Plan) -> Result<Plan> {
    // Plans are compared by value: the file may have been written by an older version with other default entries.
    let theirs = read_plan(file)?;
    // Without `shards` the plan may be a file of the user's own.
    let begun = dir.join("shards").is_dir();
    if begun && nothing_made(dir)? {
        // A run that failed before it made anything takes another plan and other models.
        match fs::remove_file(dir.join(identity::FILE)) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                return Err(io_error("removing", &dir.join(identity::FILE))(e));
            }
            _ => {}
        }
        if theirs != *given {
            write_file(file, planfile::plan_text(given)?.as_bytes())?;
        }
        return Ok(given.clone());
    }
    if !begun && theirs != *given {
        let expected = "a new or empty folder, or a run of this program";
        return Err(Error::input(dir.display(), expected, "a plan.toml of another plan"));
    }
    if growth::same(&theirs, given) && given.contexts.count >= theirs.contexts.count {
        let grown = Plan {
            contexts: record::plan::Contexts { count: given.contexts.count, ..theirs.contexts.clone() },
            ..theirs.clone()
        };
        if grown != theirs {
            growth::keep(dir, file)?;
            write_file(file, planfile::plan_text(&grown)?.as_bytes())?;
        }
        return Ok(grown);
    }
    Err(planfile::other_plan(dir, &theirs, given)?)
}

/// Whether a run has neither a shard, nor a draft, nor anything made of them.
fn nothing_made(dir: &Path) -> Result<bool> {
    let made = dir.join(manifest::MANIFEST).exists() || dir.join("dataset").exists() || dir.join("plans").exists();
    Ok(!made && read::folders(dir)?.is_empty() && draft::ranges(dir).is_empty())
}

/// Refuses a plan that was edited: shards are there, but all of them belong to another plan.
fn check_plan(dir: &Path, hashes: &[&str]) -> Result<()> {
    let mut other = None;
    for (_, path) in read::folders(dir)? {
        match ShardManifest::read(&path) {
            Ok(manifest) if hashes.contains(&manifest.plan_hash.as_str()) => return Ok(()),
            Ok(manifest) => other = Some(manifest.plan_hash),
            Err(_) => {}
        }
    }
    other.map_or(Ok(()), |hash| {
        let reason =
            format!("the run's shards were made under another plan, whose SHA-256 is {hash}; put that plan back");
        Err(Error::broken(dir.join(PLAN).display(), reason))
    })
}

impl Store for RunFolder {
    fn draft(&mut self, range: &Range<u64>) -> Result<Option<Draft>> {
        Ok(Self::draft(self, range))
    }

    fn keep_draft(&mut self, range: &Range<u64>, draft: &Draft) -> Result<()> {
        self.save_draft(range, draft)
    }

    fn keep(&mut self, range: &Range<u64>, judged: Judged) -> Result<()> {
        let Judged { contexts, samples, scored, links, funnel } = &judged;
        self.write_shard(range, ShardData { contexts, samples, scored, links, funnel })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::single_range_in_vec_init)]
mod tests {
    use super::fixture::{finish_run, plan, range_data};
    use super::*;

    #[test]
    fn ranges_share_everything_once() {
        assert_eq!(ranges(10, 4, 0, 1), [0..4, 4..8, 8..10]);
        let mut all: Vec<_> = (0..3).flat_map(|part| ranges(100, 7, part, 3)).collect();
        all.sort_by_key(|r| r.start);
        assert_eq!(all, ranges(100, 7, 0, 1));
        assert_eq!(gaps([2..4, 4..5].into_iter(), 8), [0..2, 5..8]);
        assert!(gaps(std::iter::once(0..8), 8).is_empty());
    }

    #[test]
    fn shards_come_back_as_written_whatever_the_order() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::create_or_resume(dir.path(), &plan()).unwrap();
        let range = 0..4;
        let mut data = range_data(&range);
        folder.write_shard(&range, data.view()).unwrap();
        let first = fs::read(dir.path().join("shards/00000000/scored.parquet")).unwrap();
        let shard = folder.shards().unwrap().next().unwrap().unwrap();
        assert_eq!((&shard.contexts, &shard.samples), (&data.contexts, &data.samples));
        assert_eq!((&shard.scored, &shard.funnel, shard.range), (&data.scored, &data.funnel, 0..4));
        data.scored.reverse();
        data.samples.reverse();
        folder.write_shard(&range, data.view()).unwrap();
        assert_eq!(fs::read(dir.path().join("shards/00000000/scored.parquet")).unwrap(), first);
    }

    #[test]
    fn killed_shard_is_redone_and_its_rest_swept() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::create_or_resume(dir.path(), &plan()).unwrap();
        folder.write_shard(&(0..4), range_data(&(0..4)).view()).unwrap();
        folder.write_shard(&(4..8), range_data(&(4..8)).view()).unwrap();
        drop(folder);
        let half = dir.path().join("shards/.00000008.impossible-tmp");
        fs::create_dir(&half).unwrap();
        fs::write(half.join("contexts.jsonl"), "{").unwrap();
        fs::remove_file(dir.path().join("shards/00000004/manifest.json")).unwrap();
        let folder = RunFolder::create_or_resume(dir.path(), &plan()).unwrap();
        assert!(!half.exists());
        assert!(folder.shard_done(&(0..4)));
        assert!(!folder.shard_done(&(0..3)), "another range is another shard");
        assert!(!folder.shard_done(&(4..8)));
        assert_eq!(folder.gaps().unwrap(), [4..10]);
        folder.write_shard(&(4..8), range_data(&(4..8)).view()).unwrap();
        assert!(folder.shard_done(&(4..8)));
        let cut = dir.path().join("shards/00000004/samples.parquet");
        let bytes = fs::read(&cut).unwrap();
        fs::write(&cut, &bytes[..bytes.len() - 1]).unwrap();
        assert!(!folder.shard_done(&(4..8)), "a cut file is no finished shard");
    }

    #[test]
    fn another_plan_is_refused_with_the_entry_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut other = plan();
        other.siblings.k = 7;
        // Before anything is made, another plan takes the place of the first.
        drop(RunFolder::create_or_resume(dir.path(), &other).unwrap());
        let folder = RunFolder::create_or_resume(dir.path(), &plan()).unwrap();
        folder.write_shard(&(0..4), range_data(&(0..4)).view()).unwrap();
        drop(folder);
        let e = RunFolder::create_or_resume(dir.path(), &other).unwrap_err().to_string();
        assert!(e.starts_with("--k: expected 4, with which ") && e.ends_with("found 7, as requested now"), "{e}");
        // A plan that was edited does not make the shards those of nobody.
        let file = dir.path().join(PLAN);
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("/home/someone/gpt2", "/elsewhere/gpt2")).unwrap();
        let mut moved = plan();
        "/elsewhere/gpt2".clone_into(&mut moved.models.teacher);
        let e = RunFolder::create_or_resume(dir.path(), &moved).unwrap_err();
        assert!(matches!(&e, Error::Broken { .. }) && e.to_string().contains("put that plan back"), "{e}");
        assert!(dir.path().join("shards/00000000/manifest.json").is_file());
        fs::write(&file, text).unwrap();
        drop(RunFolder::create_or_resume(dir.path(), &plan()).unwrap());
        let mut text = fs::read_to_string(dir.path().join(PLAN)).unwrap();
        text.insert_str(0, "sed = 1\n");
        fs::write(dir.path().join(PLAN), text).unwrap();
        let e = RunFolder::create_or_resume(dir.path(), &plan()).unwrap_err();
        assert!(matches!(&e, Error::Line { line: 1, reason, .. } if reason.contains("`sed`")), "{e}");
    }

    #[test]
    fn a_run_grows_and_keeps_its_shards() {
        let dir = tempfile::tempdir().unwrap();
        let mut small = plan();
        small.contexts.count = 6;
        let folder = RunFolder::create_or_resume(dir.path(), &small).unwrap();
        for range in folder.ranges(4, (0, 1)) {
            folder.write_shard(&range, range_data(&range).view()).unwrap();
        }
        drop(folder);
        let folder = RunFolder::create_or_resume(dir.path(), &plan()).unwrap();
        assert_eq!(folder.gaps().unwrap(), [6..10]);
        let todo: Vec<_> = folder.ranges(4, (0, 1)).into_iter().filter(|range| !folder.shard_done(range)).collect();
        assert_eq!(todo, [6..10]);
        folder.write_shard(&(6..10), range_data(&(6..10)).view()).unwrap();
        drop(folder);
        let folder = RunFolder::create_or_resume(dir.path(), &plan()).unwrap();
        assert!(folder.gaps().unwrap().is_empty());
        assert_eq!(folder.hash(), plan_hash(&plan()).unwrap(), "the plan of a run that began with ten contexts");
        drop(folder);
        let e = RunFolder::create_or_resume(dir.path(), &small).unwrap_err().to_string();
        assert!(e.starts_with("--contexts: expected 10"), "{e}");
    }

    #[test]
    fn a_draft_whose_shard_is_there_goes() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::create_or_resume(dir.path(), &plan()).unwrap();
        folder.write_shard(&(0..4), range_data(&(0..4)).view()).unwrap();
        for range in [0..4, 4..8] {
            folder.save_draft(&range, &Draft::default()).unwrap();
        }
        drop(folder);
        let folder = RunFolder::create_or_resume(dir.path(), &plan()).unwrap();
        assert!(folder.draft(&(0..4)).is_none() && folder.draft(&(4..8)).is_some());
    }

    #[test]
    fn a_plan_without_newer_entries_stays_the_runs_own() {
        let dir = tempfile::tempdir().unwrap();
        let mut old = plan();
        (old.paraphrase.quotes, old.summary.quotes) = (false, false);
        drop(RunFolder::create_or_resume(dir.path(), &old).unwrap());
        let file = dir.path().join(PLAN);
        let text = fs::read_to_string(&file).unwrap().replace("quotes = false\n", "");
        fs::write(&file, &text).unwrap();
        let folder = RunFolder::create_or_resume(dir.path(), &old).unwrap();
        folder.write_shard(&(0..4), range_data(&(0..4)).view()).unwrap();
        let reader = RunFolder::open(dir.path()).unwrap();
        assert_eq!(reader.hash(), crate::fs::sha256(text.as_bytes()));
        assert!(reader.shard_done(&(0..4)) && reader.shards().unwrap().count() == 1);
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }

    #[test]
    fn two_writers_and_unusable_folders_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let first = RunFolder::create_or_resume(dir.path(), &plan()).unwrap();
        let e = RunFolder::create_or_resume(dir.path(), &plan()).unwrap_err().to_string();
        assert!(e.contains("which is writing a run"), "{e}");
        let reader = RunFolder::open(dir.path()).unwrap();
        assert_eq!(reader.hash(), first.hash());
        assert!(reader.write_shard(&(0..4), range_data(&(0..4)).view()).is_err());
        let file = dir.path().join(PLAN);
        assert!(matches!(RunFolder::create_or_resume(&file.join("x"), &plan()), Err(Error::Input { .. })));
        assert!(matches!(RunFolder::open(&dir.path().join("nothing")), Err(Error::Missing { .. })));
    }

    #[test]
    fn rows_of_other_contexts_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::create_or_resume(dir.path(), &plan()).unwrap();
        assert!(matches!(folder.write_shard(&(0..3), range_data(&(0..4)).view()), Err(Error::Input { .. })));
        let mut data = range_data(&(0..3));
        data.scored[0].x = 99;
        assert!(matches!(folder.write_shard(&(0..3), data.view()), Err(Error::Input { .. })));
        assert!(!dir.path().join("shards/00000000").exists());
    }

    #[test]
    fn one_shard_and_five_give_the_same_dataset() {
        let (one, five) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        finish_run(one.path(), &plan(), 10);
        finish_run(five.path(), &plan(), 2);
        let files = manifest::DatasetManifest::read(one.path()).unwrap().files;
        assert_eq!(files.len(), 6);
        for name in files.keys().map(String::as_str).chain(["manifest.json", PLAN]) {
            let read = |dir: &Path| fs::read(dir.join(name)).unwrap();
            assert!(read(one.path()) == read(five.path()), "{name}");
        }
    }
}

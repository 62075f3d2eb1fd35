//! `impossible pull`: downloads models from a hub into the store.
//!
//! Only files that this program reads are fetched. An interrupted pull is resumed. A complete model is left unchanged,
//! so that runs stay reproducible, unless a revision is specified.

mod address;
pub mod choose;
pub mod fetch;
pub mod hub;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use record::{Error, Preset, Result, presets};
use serde::Serialize;

use crate::fs::{sweep, temporary, write_file};
use crate::models::origin::{RECORD, Record, RecordedFile, UNDERWAY, read_json, read_record};
use crate::models::store::{self, Store};
pub use choose::Target;
use choose::{INDEX, choose, listed_shards};
pub use hub::Hub;
use hub::{RemoteFile, Snapshot};

/// Disk space in bytes that must remain free after the download.
const MARGIN: u64 = 64 << 20;

/// Settings of a pull.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Where models are stored.
    pub store: &'a Store,
    /// Where models are downloaded from.
    pub hub: &'a Hub,
    /// Whether to suppress progress on stderr.
    pub quiet: bool,
    /// Set by Ctrl-C; checked between reads.
    pub stop: &'a AtomicBool,
}

/// The result of pulling one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The requested repository.
    pub repo: String,
    /// Folder of the model.
    #[serde(serialize_with = "crate::fs::lossy")]
    pub path: PathBuf,
    /// The commit that is now in the folder; empty for a model that was placed there by hand.
    pub revision: String,
    /// Origin of the files: the repository, or `pip:PACKAGE`; empty for a model that was placed there by hand.
    pub source: String,
    /// Size of the model in bytes.
    pub bytes: u64,
    /// Number of bytes received over the network in this pull.
    pub received: u64,
}

/// Pulls a preset (`small`, `paper`, `biomedical`) or one repository ([`Target`]).
///
/// # Errors
/// [`Error::Input`] for a wrong name, denied access, or a folder that holds another model; [`Error::Missing`] for an
/// unknown repository or one without weights; [`Error::Unsupported`] for weights in another format; [`Error::Io`] for
/// network and disk (the message says what to do without a hub); [`Error::Broken`] for bytes that fail their check;
/// [`Error::Interrupted`].
pub fn pull(what: &str, options: &Options<'_>) -> Result<Vec<Report>> {
    if let Some(preset) = Preset::DOWNLOADED.into_iter().find(|preset| preset.name() == what) {
        let target = |repo: &str| Target { repo: repo.into(), revision: None, gguf: None };
        return preset.models().iter().map(|model| pull_one(&target(model.repo), options)).collect();
    }
    Ok(vec![pull_one(&what.parse()?, options)?])
}

/// Pulls one repository.
///
/// # Errors
/// Those of [`pull`].
pub fn pull_one(target: &Target, options: &Options<'_>) -> Result<Report> {
    let name = presets::folder_of(&target.repo);
    let root = options.store.root();
    fs::create_dir_all(root).map_err(|error| Error::io("creating", root.display(), error))?;
    let _lock = lock(root, &name)?;
    let folder = options.store.find(&name).unwrap_or_else(|| root.join(&name));
    let earlier = match claim(target, &folder)? {
        Claim::Keep(report) => {
            say(options, &format!("{} is complete in {}", target.repo, folder.display()));
            return Ok(report);
        }
        Claim::Take(earlier) => earlier,
    };
    if let Some((variable, value)) = offline() {
        let expected = format!("unset or 0, to download {}", target.repo);
        return Err(Error::input(variable, expected, value));
    }

    let asked = target.revision.as_deref().unwrap_or("main");
    let snapshot = options.hub.snapshot(&target.repo, asked, options.stop)?;
    let mut wanted = choose(target, &snapshot)?;
    let mut job = Job {
        target,
        options,
        folder: &folder,
        snapshot: &snapshot,
        earlier: earlier.as_ref(),
        done: Vec::new(),
        received: 0,
    };
    job.begin(&wanted)?;
    if let Some(at) = wanted.iter().position(|file| file.name == INDEX) {
        let index = wanted.remove(at);
        job.get(&index, &ProgressBar::hidden(), 0)?;
        wanted.extend(listed_shards(target, &snapshot, &folder.join(INDEX))?);
    }
    job.run(&wanted)?;
    job.end()
}

/// The environment variable that forbids downloads, with its value.
fn offline() -> Option<(&'static str, String)> {
    let on = |value: &String| !matches!(value.trim().to_ascii_lowercase().as_str(), "" | "0" | "off" | "no" | "false");
    ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]
        .into_iter()
        .find_map(|variable| Some((variable, std::env::var(variable).ok().filter(on)?)))
}

enum Claim {
    Keep(Report),
    Take(Option<Record>),
}

/// Whether the folder can be used, and which files of this repository it already has.
fn claim(target: &Target, folder: &Path) -> Result<Claim> {
    let finished = read_record(folder);
    let earlier = finished.clone().or_else(|| read_json(&folder.join(UNDERWAY)));
    let taken = |found: String| {
        Error::input(
            folder.display(),
            format!("{}, or a free folder (choose another with --models DIR)", target.repo),
            found,
        )
    };
    // A pull that was cut off at its first write leaves a temporary file.
    let ours = |entry: std::io::Result<fs::DirEntry>| entry.is_ok_and(|e| temporary(&e.file_name().to_string_lossy()));
    let empty = fs::read_dir(folder).map_or(true, |mut entries| entries.all(ours));
    let inspected = store::inspect(folder);
    let complete = !empty && inspected.lacks.is_none();
    let has_file = target.gguf.as_ref().is_none_or(|file| folder.join(file).is_file());
    if complete && target.revision.is_none() && has_file {
        let source = earlier.as_ref().map(|record| record.repo.clone()).unwrap_or_default();
        let ours = source.is_empty() || source.starts_with("pip:") || source.eq_ignore_ascii_case(&target.repo);
        if ours {
            let revision = earlier.map(|record| record.revision).unwrap_or_default();
            let (repo, path) = (target.repo.clone(), folder.to_path_buf());
            return Ok(Claim::Keep(Report { repo, path, revision, source, bytes: inspected.bytes, received: 0 }));
        }
    }
    match earlier {
        Some(record) if record.repo.eq_ignore_ascii_case(&target.repo) => Ok(Claim::Take(Some(record))),
        // a complete model from wheels is replaced only if a revision is specified, a damaged one always
        Some(record) if record.repo.starts_with("pip:") => Ok(Claim::Take(Some(record))),
        Some(record) => Err(taken(format!("files of {}", record.repo))),
        None if empty => Ok(Claim::Take(None)),
        None => Err(taken("files that were not put there by a pull".into())),
    }
}

/// The pull of one model.
struct Job<'a> {
    target: &'a Target,
    options: &'a Options<'a>,
    folder: &'a Path,
    snapshot: &'a Snapshot,
    earlier: Option<&'a Record>,
    done: Vec<RecordedFile>,
    received: u64,
}

impl Job<'_> {
    /// Marks the folder as being pulled, with a list of all files that may be in it, so that stale ones are removed at
    /// the end.
    fn begin(&self, wanted: &[RemoteFile]) -> Result<()> {
        fs::create_dir_all(self.folder).map_err(|error| Error::io("creating", self.folder.display(), error))?;
        sweep(self.folder)?;
        let mut files = self.earlier.map(|record| record.files.clone()).unwrap_or_default();
        let new = wanted.iter().filter(|file| !files.iter().any(|old| old.name == file.name));
        let new: Vec<_> =
            new.map(|file| RecordedFile { name: file.name.clone(), size: 0, sha256: String::new() }).collect();
        files.extend(new);
        // the old commit is kept: it determines which of the old files are still valid
        let revision = self.earlier.map_or_else(String::new, |record| record.revision.clone());
        write_json(&self.folder.join(UNDERWAY), &Record { repo: self.target.repo.clone(), revision, files })?;
        fetch::remove(&self.folder.join(RECORD));
        Ok(())
    }

    fn run(&mut self, wanted: &[RemoteFile]) -> Result<()> {
        let total = wanted.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size.unwrap_or(0)));
        let here = |file: &RemoteFile| {
            let part = self.folder.join(format!("{}.part", file.name));
            let path = self.folder.join(&file.name);
            let present = [part, path].iter().filter_map(|path| path.metadata().ok()).map(|meta| meta.len()).max();
            present.unwrap_or(0).min(file.size.unwrap_or(0))
        };
        let present = wanted.iter().fold(0_u64, |sum, file| sum.saturating_add(here(file)));
        room_for(self.folder, total.saturating_sub(present))?;
        say(
            self.options,
            &format!(
                "pulling {} ({} files, {:.1} MB) into {}",
                self.target.repo,
                wanted.len(),
                total as f64 / 1e6,
                self.folder.display()
            ),
        );
        let bar = bar(self.options, total);
        let mut before = 0;
        for file in wanted {
            bar.set_message(file.name.clone());
            let size = self.get(file, &bar, before)?;
            before += size;
            bar.set_position(before);
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Fetches one file unless it is complete already; returns its size.
    fn get(&mut self, file: &RemoteFile, bar: &ProgressBar, before: u64) -> Result<u64> {
        let path = self.folder.join(&file.name);
        let stop = self.options.stop;
        if let Some(there) = self.finished(file, &path)? {
            fetch::remove_parts(&path);
            self.done.push(there);
            return Ok(self.done.last().map_or(0, |file| file.size));
        }
        let url = self.options.hub.file_url(&self.target.repo, &self.snapshot.revision, &file.name);
        let mut first = true;
        let mut progress = |bytes: u64| {
            bar.set_position(before + bytes);
            if std::mem::take(&mut first) {
                bar.reset_eta(); // bytes fetched by an earlier call say nothing about the current speed
            }
        };
        let fetched = fetch::fetch(self.options.hub, &self.target.repo, &url, file, &path, &mut progress, stop)?;
        self.received += fetched.received;
        self.done.push(RecordedFile { name: file.name.clone(), size: fetched.size, sha256: fetched.sha256 });
        Ok(fetched.size)
    }

    /// The record of a file that need not be fetched, as its sha256 is that of the listing or of an earlier pull of the
    /// same commit.
    fn finished(&self, file: &RemoteFile, path: &Path) -> Result<Option<RecordedFile>> {
        let Some(size) = path.metadata().ok().filter(fs::Metadata::is_file).map(|meta| meta.len()) else {
            return Ok(None);
        };
        if file.size.is_some_and(|expected| expected != size) {
            return Ok(None);
        }
        let recorded = self.earlier.filter(|record| record.revision == self.snapshot.revision);
        let recorded =
            recorded.and_then(|record| record.files.iter().find(|old| old.name == file.name && old.size == size));
        let expected = file.sha256.as_ref().or(recorded.map(|old| &old.sha256)).filter(|sha| !sha.is_empty());
        let Some(expected) = expected else {
            return Ok(None);
        };
        let sha256 = fetch::sha256_of(path, self.options.stop)?;
        Ok((sha256 == *expected).then(|| RecordedFile { name: file.name.clone(), size, sha256 }))
    }

    fn end(self) -> Result<Report> {
        let Self { target, folder, snapshot, earlier, mut done, received, .. } = self;
        let stale = earlier
            .into_iter()
            .flat_map(|record| &record.files)
            .filter(|old| !done.iter().any(|new| new.name == old.name));
        for file in stale.filter(|file| address::is_inside(&file.name)) {
            fetch::remove(&folder.join(&file.name));
        }
        for file in &done {
            // Again, as removing may have failed before.
            fetch::remove_parts(&folder.join(&file.name));
        }
        done.sort_by(|a, b| a.name.cmp(&b.name));
        let bytes = done.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size));
        let record = Record { repo: target.repo.clone(), revision: snapshot.revision.clone(), files: done };
        write_json(&folder.join(RECORD), &record)?;
        fetch::remove(&folder.join(UNDERWAY));
        let (repo, source) = (record.repo.clone(), record.repo);
        Ok(Report { repo, path: folder.to_path_buf(), revision: record.revision, source, bytes, received })
    }
}

/// A lock held during a pull, as two pulls would write to the same partial file.
fn lock(root: &Path, name: &str) -> Result<File> {
    let path = root.join(format!(".{name}.lock"));
    let file = File::create(&path).map_err(|error| Error::io("writing", path.display(), error))?;
    match file.try_lock() {
        // pulling must also work on file systems without locks
        Ok(()) | Err(fs::TryLockError::Error(_)) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            Err(Error::io("writing", root.join(name).display(), "another `impossible pull` is running there"))
        }
    }
}

/// Fails if there is not enough disk space.
fn room_for(folder: &Path, bytes: u64) -> Result<()> {
    let free = fs4::available_space(folder).map_err(|error| Error::io("reading", folder.display(), error))?;
    if bytes > 0 && bytes.saturating_add(MARGIN) > free {
        let (needed, free) = (bytes as f64 / 1e9, free as f64 / 1e9);
        let reason = format!(
            "{needed:.2} GB remain to be downloaded, but only {free:.2} GB are free; make room or name another disk with --models DIR"
        );
        return Err(Error::io("writing", folder.display(), reason));
    }
    Ok(())
}

fn write_json(path: &Path, record: &Record) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(record).map_err(|error| Error::io("writing", path.display(), error))?;
    text.push(b'\n');
    write_file(path, &text)
}

fn say(options: &Options<'_>, text: &str) {
    if !options.quiet {
        note!("{text}");
    }
}

fn bar(options: &Options<'_>, total: u64) -> ProgressBar {
    if options.quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    let template = "  {wide_bar} {decimal_bytes}/{decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left  {msg}";
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

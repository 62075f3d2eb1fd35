//! Outputs that are written in full before they take their place: exported models, filtered pairs, evaluations.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use record::{Error, Result};

use super::claim::{entries, foreign, no_folder};
use super::kind::Kind;
use super::lock::Lock;
use super::manifest::{MANIFEST, Manifest};

use crate::fs::{io_error, rename, sweep, sync_dir};

/// Subfolder in which an output is written.
const WORK: &str = ".new.impossible-tmp";
/// Subfolder of a complete output whose files are being moved to their place.
const READY: &str = ".ready.impossible-out";

/// Whether an earlier output of the same kind is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// It is not.
    Never,
    /// It is if nobody has changed its files, because the new ones are known to be the same.
    Unchanged,
    /// It is (`--force`).
    Always,
}

impl Replace {
    /// As a `--force` flag says.
    #[must_use]
    pub fn forced(force: bool) -> Self {
        if force { Self::Always } else { Self::Never }
    }
}

/// An output that is being written into a hidden subfolder of its folder. Without [`Staged::commit`] nothing changes.
#[derive(Debug)]
pub struct Staged {
    dir: PathBuf,
    kind: Kind,
    work: PathBuf,
    /// The earlier output that is replaced.
    before: Option<Manifest>,
    /// Whether the folder was created for this output.
    made: bool,
    lock: Option<Lock>,
}

impl Staged {
    /// Starts an output in `dir`, which must be new or empty, or an earlier output of the same kind that may be replaced.
    ///
    /// # Errors
    /// [`Error::Input`] for any other folder, and when another process is writing to it; [`Error::Io`] when it is not
    /// writable.
    pub fn begin(dir: &Path, kind: Kind, replace: Replace) -> Result<Self> {
        earlier(dir, kind, replace)?;
        let made = !dir.exists();
        fs::create_dir_all(dir).map_err(io_error("creating", dir))?;
        let lock = Lock::take(dir, kind)?.removed();
        // The command whose output was cut off on its way here ended with an error and is being repeated.
        let completed = place(dir)?;
        let before = earlier(dir, kind, if completed { Replace::Always } else { replace })?;
        sweep(dir)?;
        let work = dir.join(WORK);
        fs::create_dir(&work).map_err(io_error("creating", &work))?;
        Ok(Self { dir: dir.to_owned(), kind, work, before, made, lock: Some(lock) })
    }

    /// The folder to write the files to.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.work
    }

    /// Moves the files to their place and removes those of the earlier output. If this is cut off, the next output to
    /// the folder completes it first, and may then replace it.
    ///
    /// # Errors
    /// [`Error::Input`] if a file that this program did not write is in the way; [`Error::Io`] when writing fails.
    pub fn commit(self) -> Result<()> {
        let manifest = Manifest::write(&self.work, self.kind)?;
        let known = |name: &str| self.before.as_ref().is_some_and(|m| m.files.contains_key(name));
        if let Some(name) = manifest.files.keys().find(|name| !known(name) && self.dir.join(name).exists()) {
            let found = format!("{name}, which this program did not write");
            return Err(Error::input(self.dir.display(), "a folder without a file of that name", found));
        }
        sync_dir(&self.work);
        let ready = self.dir.join(READY);
        rename(&self.work, &ready).map_err(io_error("writing", &self.dir))?;
        sync_dir(&self.dir);
        place(&self.dir).map(drop)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.work);
        self.lock = None;
        if self.made {
            // Fails if there is anything in it.
            let _ = fs::remove_dir(&self.dir);
        }
    }
}

/// The earlier output in `dir`, if it may be replaced.
fn earlier(dir: &Path, kind: Kind, replace: Replace) -> Result<Option<Manifest>> {
    let Some(names) = entries(dir)? else { return Ok(None) };
    if names.is_empty() || dir.join(READY).is_dir() {
        return Ok(None);
    }
    match Manifest::read(dir) {
        Ok(Some(manifest)) if manifest.kind == kind => {
            let unchanged = || Manifest::of_files(dir, &manifest).is_ok_and(|now| now == manifest);
            if replace == Replace::Always || (replace == Replace::Unchanged && unchanged()) {
                return Ok(Some(manifest));
            }
            let expected = "a new or empty folder, or --force to replace what is there";
            Err(Error::input(dir.display(), expected, kind.title()))
        }
        Err(error @ Error::Io { .. }) => Err(error),
        _ => Err(foreign(dir, kind, &names)),
    }
}

/// Moves the files of a complete output to their place; returns whether there was one.
fn place(dir: &Path) -> Result<bool> {
    let ready = dir.join(READY);
    if !ready.is_dir() {
        return Ok(false);
    }
    // Without its manifest, which is moved last, every file is in its place.
    if let Some(manifest) = Manifest::read(&ready)? {
        let before = Manifest::read(dir).ok().flatten().map(|m| m.files).unwrap_or_default();
        for old in before.keys().filter(|name| !manifest.files.contains_key(*name)) {
            remove(&dir.join(old))?;
        }
        let mut folders = BTreeSet::from([dir.to_owned()]);
        for name in manifest.files.keys().map(String::as_str).chain([MANIFEST]) {
            let (from, to) = (ready.join(name), dir.join(name));
            if let Some(parent) = to.parent().filter(|parent| folders.insert((*parent).to_owned())) {
                fs::create_dir_all(parent).map_err(io_error("creating", parent))?;
            }
            match rename(&from, &to) {
                Err(e) if !no_folder(&e) => return Err(io_error("writing", &to)(e)),
                _ => {}
            }
        }
        folders.iter().for_each(|folder| sync_dir(folder));
    }
    fs::remove_dir_all(&ready).map_err(io_error("removing", &ready))?;
    Ok(true)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if !no_folder(&e) => Err(io_error("removing", path)(e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn export(dir: &Path, files: &[(&str, &str)], force: bool) -> Result<()> {
        let staged = Staged::begin(dir, Kind::Export, Replace::forced(force))?;
        for (name, text) in files {
            let path = staged.folder().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        staged.commit()
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut v: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        v.sort();
        v
    }

    #[test]
    fn an_earlier_output_is_replaced_by_force_only_and_other_files_stay() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("out");
        export(&dir, &[("a", "1"), ("sub/b", "1")], false).unwrap();
        assert_eq!(names(&dir), ["a", "manifest.json", "sub"]);
        let e = export(&dir, &[("a", "2")], false).unwrap_err().to_string();
        assert!(e.contains("--force"), "{e}");
        drop(Staged::begin(&dir, Kind::Export, Replace::Unchanged).unwrap());
        fs::write(dir.join("a"), "edited").unwrap();
        assert!(Staged::begin(&dir, Kind::Export, Replace::Unchanged).is_err());
        fs::write(dir.join("mine"), "mine").unwrap();
        export(&dir, &[("a", "2"), ("c", "2")], true).unwrap();
        assert_eq!(names(&dir), ["a", "c", "manifest.json", "mine", "sub"]);
        assert_eq!(fs::read(dir.join("a")).unwrap(), b"2");
        assert!(!dir.join("sub/b").exists(), "a file of the earlier output");
        let e = export(&dir, &[("mine", "2")], true).unwrap_err().to_string();
        assert!(e.contains("mine, which this program did not write"), "{e}");
        assert_eq!(fs::read(dir.join("mine")).unwrap(), b"mine");
        assert_eq!(names(&dir), ["a", "c", "manifest.json", "mine", "sub"]);
    }

    #[test]
    fn folders_of_others_and_files_are_refused_untouched() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("out");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("notes.txt"), "mine").unwrap();
        for force in [false, true] {
            let e = export(&dir, &[("notes.txt", "2")], force).unwrap_err();
            assert!(matches!(&e, Error::Input { .. }) && e.to_string().contains("notes.txt"), "{e}");
            assert_eq!(names(&dir), ["notes.txt"]);
            let e = export(&dir.join("notes.txt"), &[("a", "2")], force).unwrap_err();
            assert!(matches!(&e, Error::Input { .. }), "{e}");
        }
        assert_eq!(fs::read(dir.join("notes.txt")).unwrap(), b"mine");
    }

    #[test]
    fn without_a_commit_nothing_stays_and_a_cut_commit_is_completed() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("out");
        let staged = Staged::begin(&dir, Kind::Export, Replace::Never).unwrap();
        fs::write(staged.folder().join("a"), "1").unwrap();
        drop(staged);
        assert!(!dir.exists());
        export(&dir, &[("a", "1"), ("b", "1")], false).unwrap();

        // A complete new output of which one file has been moved.
        let ready = dir.join(READY);
        fs::create_dir(&ready).unwrap();
        fs::write(ready.join("a"), "2").unwrap();
        fs::write(ready.join("c"), "2").unwrap();
        Manifest::write(&ready, Kind::Export).unwrap();
        fs::rename(ready.join("a"), dir.join("a")).unwrap();
        drop(Staged::begin(&dir, Kind::Export, Replace::Never).unwrap());
        assert_eq!(names(&dir), ["a", "c", "manifest.json"]);
        assert_eq!(fs::read(dir.join("a")).unwrap(), b"2");
        assert_eq!(Manifest::read(&dir).unwrap().unwrap(), Manifest::of(&dir, Kind::Export).unwrap());
    }
}

//! Atomic file writing: files are written beside their target, synced and renamed, so that they are complete or absent.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use record::{Error, Result, json_line};
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

/// Part of every temporary name of this program; [`sweep`] removes nothing else.
const MARK: &str = ".impossible-tmp";
/// After [`MARK`], the name of a folder that is being replaced.
const OLD: &str = "-old";

/// Files that file managers put into every folder.
pub const LITTER: [&str; 3] = [".DS_Store", "Thumbs.db", "desktop.ini"];

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Maps a system error to [`Error::Io`] about `path`.
pub fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |e| Error::io(action, path.display(), e)
}

/// Serialises a path as text; parts that are not UTF-8 become U+FFFD, as in messages.
///
/// # Errors
/// Those of the serialiser.
pub fn lossy<S: Serializer>(path: &Path, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut s, b| {
        let _ = write!(s, "{b:02x}");
        s
    })
}

/// SHA-256 of bytes, in lower-case hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Length in bytes and SHA-256 of a file.
///
/// # Errors
/// [`Error::Io`] when reading fails.
pub fn hash_file(path: &Path) -> Result<(u64, String)> {
    let mut file = File::open(path).map_err(io_error("reading", path))?;
    let (mut digest, mut bytes, mut buffer) = (Sha256::new(), 0u64, vec![0u8; 1 << 16]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((bytes, hex(&digest.finalize()))),
            Ok(n) => {
                digest.update(&buffer[..n]);
                bytes += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(io_error("reading", path)(e)),
        }
    }
}

/// Checks that a file of the user's is a regular file, as files whose hash is recorded are read twice.
///
/// # Errors
/// [`Error::Missing`] if it does not exist; [`Error::Input`] for a pipe or a folder. Both name the flag.
pub fn regular(path: &Path, flag: &str) -> Result<()> {
    match path.metadata() {
        Ok(meta) if meta.is_file() => Ok(()),
        Ok(_) => {
            Err(Error::input(flag, "a file (it is read twice, so it cannot be a pipe or a folder)", path.display()))
        }
        Err(_) => Err(Error::Missing {
            what: format!("the file of {flag}"),
            place: path.display().to_string(),
            hint: format!("Name an existing file with {flag}."),
        }),
    }
}

/// Reads a whole file.
///
/// # Errors
/// [`Error::Io`] when reading fails; [`Error::Broken`] for a file of more than `limit` bytes.
pub fn read_small(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(io_error("reading", path))?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(io_error("reading", path))?;
    if bytes.len() as u64 > limit {
        return Err(Error::broken(path.display(), format!("it is longer than {limit} bytes")));
    }
    Ok(bytes)
}

/// A buffered file writer that counts and hashes the bytes.
#[derive(Debug)]
pub struct Sink {
    out: BufWriter<File>,
    digest: Sha256,
    bytes: u64,
    shown: PathBuf,
}

impl Sink {
    /// Creates `path`; error messages name `shown`, to which it will be renamed.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be created.
    pub fn create(path: &Path, shown: &Path) -> Result<Self> {
        let file = File::create(path).map_err(io_error("writing", shown))?;
        Ok(Self { out: BufWriter::with_capacity(1 << 16, file), digest: Sha256::new(), bytes: 0, shown: shown.into() })
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// [`Error::Io`] when writing fails.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let shown = self.shown.clone();
        self.write_all(bytes).map_err(|e| io_error("writing", &shown)(e))
    }

    /// Flushes and syncs the file; returns its length and SHA-256.
    ///
    /// # Errors
    /// [`Error::Io`] when writing fails, for example because the disk is full.
    pub fn finish(self) -> Result<(u64, String)> {
        let shown = self.shown;
        let file = self.out.into_inner().map_err(|e| io_error("writing", &shown)(e.into_error()))?;
        file.sync_all().map_err(io_error("writing", &shown))?;
        Ok((self.bytes, hex(&self.digest.finalize())))
    }
}

impl Write for Sink {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.out.write(buf)?;
        self.digest.update(&buf[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Several files that are written first and then renamed one after the other, in the order of [`Batch::file`]. If
/// dropped before [`Batch::commit`], it removes its temporary files and leaves the targets unchanged.
#[derive(Debug, Default)]
pub struct Batch {
    staged: Vec<(PathBuf, PathBuf)>,
}

impl Batch {
    /// Starts writing a file, whose folder must exist.
    ///
    /// # Errors
    /// [`Error::Io`] when the temporary file cannot be created.
    pub fn file(&mut self, target: &Path) -> Result<Sink> {
        let temp = sibling(target, &unique());
        self.staged.push((temp.clone(), target.to_path_buf()));
        Sink::create(&temp, target)
    }

    /// Renames all files to their targets.
    ///
    /// # Errors
    /// [`Error::Io`] when a rename fails; targets not yet replaced keep their former content.
    pub fn commit(mut self) -> Result<()> {
        for (temp, target) in std::mem::take(&mut self.staged) {
            if let Err(e) = rename(&temp, &target) {
                self.staged.push((temp, target.clone()));
                return Err(io_error("writing", &target)(e));
            }
            sync_parent(&target);
        }
        Ok(())
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        for (temp, _) in &self.staged {
            let _ = fs::remove_file(temp);
        }
    }
}

/// Atomically replaces the content of `path` by `bytes`.
///
/// # Errors
/// [`Error::Io`]; the former file is then unchanged.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut batch = Batch::default();
    let mut sink = batch.file(path)?;
    sink.put(bytes)?;
    sink.finish()?;
    batch.commit()
}

/// A folder that is written under a temporary name and renamed when complete. It is removed if dropped before
/// [`StagedDir::commit`].
#[derive(Debug)]
pub struct StagedDir {
    temp: PathBuf,
    target: PathBuf,
    /// Names of the files written so far.
    names: RefCell<BTreeSet<String>>,
}

impl StagedDir {
    /// Starts the folder `target`, whose parent must exist.
    ///
    /// # Errors
    /// [`Error::Io`] when the temporary folder cannot be created.
    pub fn new(target: &Path) -> Result<Self> {
        let temp = sibling(target, &unique());
        fs::create_dir(&temp).map_err(io_error("writing", target))?;
        Ok(Self { temp, target: target.to_path_buf(), names: RefCell::default() })
    }

    /// Starts writing a file of the folder.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be created.
    pub fn file(&self, name: &str) -> Result<Sink> {
        self.names.borrow_mut().insert(name.to_owned());
        Sink::create(&self.temp.join(name), &self.target.join(name))
    }

    /// Renames the folder to `target` and removes what was there before. If this is cut off in between, [`sweep`] of
    /// the parent folder brings the former one back.
    ///
    /// # Errors
    /// [`Error::Input`] if the former folder has an entry that is not one of the files written; [`Error::Io`] when a
    /// rename fails. The former folder is then unchanged.
    pub fn commit(self) -> Result<()> {
        self.check()?;
        sync_dir(&self.temp);
        let old = sibling(&self.target, &format!("{OLD}{}", unique()));
        let replaced = match rename(&self.target, &old) {
            Ok(()) => true,
            Err(e) if e.kind() == io::ErrorKind::NotFound => false,
            Err(e) => return Err(io_error("writing", &self.target)(e)),
        };
        if let Err(e) = rename(&self.temp, &self.target) {
            if replaced {
                rename(&old, &self.target).map_err(io_error("restoring", &self.target))?;
            }
            return Err(io_error("writing", &self.target)(e));
        }
        sync_parent(&self.target);
        if replaced {
            // What cannot be removed now is swept later.
            let _ = fs::remove_dir_all(&old);
        }
        Ok(())
    }

    /// Checks that nothing but files of these names would be replaced.
    fn check(&self) -> Result<()> {
        let entries = match fs::read_dir(&self.target) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(io_error("reading", &self.target)(e)),
        };
        for entry in entries {
            let name = entry.map_err(io_error("reading", &self.target))?.file_name().to_string_lossy().into_owned();
            if LITTER.contains(&name.as_str()) {
                // Files of file managers may go.
                continue;
            }
            if !temporary(&name) && !self.names.borrow().contains(&name) {
                let found = format!("{name}, which this program did not write; move it elsewhere");
                return Err(Error::input(self.target.display(), "a folder whose files can be replaced", found));
            }
        }
        Ok(())
    }
}

impl Drop for StagedDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.temp);
    }
}

/// Whether a name is one that this program gives to temporary files and folders.
#[must_use]
pub fn temporary(name: &str) -> bool {
    name.starts_with('.') && name.contains(MARK)
}

/// Removes temporary files and folders that a killed process left in `dir`, which must be locked, and brings back a
/// folder whose replacement was cut off. Does nothing if `dir` does not exist.
///
/// # Errors
/// [`Error::Io`] when listing or removing fails.
pub fn sweep(dir: &Path) -> Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io_error("reading", dir)(e)),
    };
    for entry in entries {
        let path = entry.map_err(io_error("reading", dir))?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()).filter(|name| temporary(name)) else { continue };
        let former = name.split_once(&format!("{MARK}{OLD}")).and_then(|(former, _)| former.get(1..));
        if let Some(target) = former.map(|former| dir.join(former)).filter(|target| !target.exists()) {
            rename(&path, &target).map_err(io_error("restoring", &target))?;
            continue;
        }
        let is_dir = path.symlink_metadata().is_ok_and(|m| m.is_dir());
        let removed = if is_dir { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(io_error("removing", &path))?;
    }
    Ok(())
}

/// A suffix of temporary names that no other file of this machine has.
fn unique() -> String {
    format!("-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Renames, and checks that it was done: some network file systems report renames that they have lost.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    if from.symlink_metadata().is_ok() {
        return Err(io::Error::other("the file system reported a rename that it did not make"));
    }
    Ok(())
}

fn sibling(target: &Path, suffix: &str) -> PathBuf {
    let name = target.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    target.with_file_name(format!(".{name}{MARK}{suffix}"))
}

fn sync_parent(path: &Path) {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_dir(parent),
        _ => sync_dir(Path::new(".")),
    }
}

/// Syncs a folder and ignores failures, as some systems cannot do it and the files themselves are already synced.
pub fn sync_dir(dir: &Path) {
    if cfg!(unix)
        && let Ok(handle) = File::open(dir)
    {
        let _ = handle.sync_all();
    }
}

/// Reads a JSON Lines file that this program wrote.
///
/// # Errors
/// [`Error::Line`] for a line that is not a `T` in JSON; [`Error::Io`] when reading fails.
pub fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = fs::read_to_string(path).map_err(io_error("reading", path))?;
    let parse = |(i, line): (usize, &str)| {
        let file = path.display().to_string();
        serde_json::from_str(line).map_err(|e| Error::Line { file, line: i + 1, reason: e.to_string() })
    };
    text.lines().enumerate().map(parse).collect()
}

/// Atomically replaces a file by JSON lines.
///
/// # Errors
/// [`Error::Io`]; the former file is then unchanged.
pub fn write_lines<T: Serialize>(path: &Path, lines: &[T]) -> Result<()> {
    let mut text = Vec::new();
    for line in lines {
        let line = serde_json::to_string(line).map_err(|e| Error::broken(path.display(), e))?;
        text.extend(json_line(line).into_bytes());
    }
    write_file(path, &text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut v: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        v.sort();
        v
    }

    #[test]
    fn replaces_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        write_file(&path, b"one").unwrap();
        write_file(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(dir.path()), ["a.txt"]);
        assert_eq!(hash_file(&path).unwrap(), (3, sha256(b"two")));
    }

    #[test]
    fn dropped_batch_keeps_former_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        write_file(&path, b"one").unwrap();
        let mut batch = Batch::default();
        let mut sink = batch.file(&path).unwrap();
        sink.put(b"half").unwrap();
        assert_eq!(names(dir.path()).len(), 2);
        drop(sink);
        drop(batch);
        assert_eq!(names(dir.path()), ["a.txt"]);
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }

    #[test]
    fn folder_replaces_folder_and_sweep_takes_only_ours() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("00000");
        for text in ["one", "two"] {
            let staged = StagedDir::new(&target).unwrap();
            let mut sink = staged.file("f").unwrap();
            sink.put(text.as_bytes()).unwrap();
            assert_eq!(sink.finish().unwrap(), (3, sha256(text.as_bytes())));
            staged.commit().unwrap();
        }
        assert_eq!(fs::read(target.join("f")).unwrap(), b"two");
        fs::create_dir(dir.path().join(".00001.impossible-tmp")).unwrap();
        fs::write(dir.path().join(".x.impossible-tmp-1-1"), b"").unwrap();
        fs::write(dir.path().join(".mine"), b"").unwrap();
        sweep(dir.path()).unwrap();
        assert_eq!(names(dir.path()), [".mine", "00000"]);
    }

    #[test]
    fn a_folder_with_a_file_of_others_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("model");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("notes.txt"), "mine").unwrap();
        let staged = StagedDir::new(&target).unwrap();
        staged.file("f").unwrap().finish().unwrap();
        let e = staged.commit().unwrap_err().to_string();
        assert!(e.contains("notes.txt"), "{e}");
        assert_eq!((names(dir.path()), names(&target)), (vec!["model".to_owned()], vec!["notes.txt".to_owned()]));
    }

    #[test]
    fn a_replacement_that_was_cut_off_is_undone() {
        let dir = tempfile::tempdir().unwrap();
        let old = dir.path().join(".model.impossible-tmp-old-1-1");
        fs::create_dir(&old).unwrap();
        fs::write(old.join("f"), "one").unwrap();
        fs::create_dir(dir.path().join(".model.impossible-tmp-1-0")).unwrap();
        sweep(dir.path()).unwrap();
        assert_eq!(names(dir.path()), ["model"]);
        assert_eq!(fs::read(dir.path().join("model/f")).unwrap(), b"one");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn full_disk_is_an_io_error() {
        let full = Path::new("/dev/full");
        let mut sink = Sink::create(full, Path::new("report.html")).unwrap();
        sink.put(b"x").unwrap();
        let e = sink.finish().unwrap_err();
        assert!(matches!(&e, Error::Io { action: "writing", path, .. } if path == "report.html"), "{e}");
    }
}

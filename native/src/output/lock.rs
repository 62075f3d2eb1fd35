//! An advisory lock on `.lock` in a folder that is being written, so that there is one writer at a time. The operating
//! system releases it when the process ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use record::{Error, Result};

use super::kind::Kind;
use crate::fs::io_error;

/// File name of a lock.
pub(super) const LOCK: &str = ".lock";

/// The lock of a folder, which is released when dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    remove: bool,
}

impl Lock {
    /// Acquires the lock of `dir`, which must exist. On file systems without locks nothing is locked.
    ///
    /// # Errors
    /// [`Error::Input`] when another process holds the lock; [`Error::Io`] when `dir` is not writable.
    pub fn take(dir: &Path, kind: Kind) -> Result<Self> {
        let path = dir.join(LOCK);
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(io_error("writing", &path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(busy(dir, file)),
                // Some network file systems answer with other errors.
                Err(TryLockError::Error(_)) => {}
            }
            if !still_there(&file, &path) {
                // The former owner removed the file after it was opened here.
                continue;
            }
            let owner = file
                .set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| writeln!(file, "{} {}", std::process::id(), kind.title()));
            owner.map_err(io_error("writing", &path))?;
            return Ok(Self { file, path, remove: false });
        }
    }

    /// Waits for a lock that is held for moments only, on `.moving.lock` in `dir`.
    ///
    /// # Errors
    /// [`Error::Io`] when `dir` is not writable.
    pub(super) fn wait(dir: &Path) -> Result<Self> {
        let path = dir.join(".moving.lock");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(io_error("writing", &path))?;
        // File systems without locks answer with an error.
        let _ = file.lock();
        Ok(Self { file, path, remove: false })
    }

    /// Removes the lock's file when the lock is dropped, where a file that others have opened can be told apart from the
    /// one that has its name.
    pub(super) fn removed(mut self) -> Self {
        self.remove = cfg!(unix);
        self
    }
}

/// Whether the lock file of a folder is one of this program: empty, or with the id of a process.
pub(super) fn ours(dir: &Path) -> bool {
    let bytes = match crate::fs::read_small(&dir.join(LOCK), 1 << 10) {
        Ok(bytes) => bytes,
        // Taking the lock will say why; on Windows one that is held cannot be read.
        Err(Error::Io { .. }) => return true,
        Err(_) => return false,
    };
    // After a power cut there may be zeros in place of what was written.
    let text = String::from_utf8_lossy(&bytes).replace('\0', "");
    text.trim().is_empty() || text.split_whitespace().next().is_some_and(|id| id.parse::<u32>().is_ok())
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While the lock is still held, so that nobody else has it.
        if self.remove && still_there(&self.file, &self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether `path` is still the opened file.
#[cfg(unix)]
fn still_there(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), path.metadata()) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// Elsewhere an open file cannot be removed.
#[cfg(not(unix))]
fn still_there(_: &File, path: &Path) -> bool {
    path.exists()
}

fn busy(dir: &Path, file: File) -> Error {
    let mut owner = String::new();
    // On Windows a locked file cannot be read; the message then lacks the process.
    let _ = file.take(200).read_to_string(&mut owner);
    let who = match owner.trim().split_once(' ') {
        Some((id, what)) if id.parse::<u32>().is_ok() => format!("process {id}, which is writing {what}"),
        _ => "another process, which is writing to it".to_owned(),
    };
    Error::input(
        dir.display(),
        "a folder that no other process writes to; wait for that process, or choose another folder",
        who,
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn second_lock_is_refused_until_the_first_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take(dir.path(), Kind::Run).unwrap();
        let e = Lock::take(dir.path(), Kind::Run).unwrap_err();
        assert!(matches!(e, Error::Input { .. }), "{e}");
        assert!(e.to_string().contains(&format!("process {}, which is writing a run", std::process::id())), "{e}");
        drop(first);
        drop(Lock::take(dir.path(), Kind::Run).unwrap().removed());
        assert_eq!(dir.path().join(LOCK).exists(), cfg!(not(unix)));
        Lock::take(dir.path(), Kind::Run).unwrap();
    }
}

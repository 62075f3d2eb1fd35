//! An advisory lock on `.lock` in the run folder, so that there is one writer at a time. The operating system releases
//! it when the process ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use record::{Error, Result};

use crate::fs::io_error;

/// The lock of a run folder, which is released when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Acquires the lock of `dir`, which must exist. On file systems without locks nothing is locked.
    ///
    /// # Errors
    /// [`Error::Input`] when another process holds the lock; [`Error::Io`] when `dir` is not writable.
    pub fn take(dir: &Path) -> Result<Self> {
        let path = dir.join(".lock");
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
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(e)) => return Err(io_error("locking", &path)(e)),
        }
        let owner =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        owner.map_err(io_error("writing", &path))?;
        Ok(Self { _file: file })
    }
}

fn busy(dir: &Path, file: File) -> Error {
    let mut owner = String::new();
    // On Windows a locked file cannot be read; the message then lacks the process id.
    let _ = file.take(20).read_to_string(&mut owner);
    let who = match owner.trim().parse::<u32>() {
        Ok(id) => format!("another run is using it (process {id})"),
        Err(_) => "another run is using it".to_owned(),
    };
    Error::input(
        dir.display(),
        "a run folder that no other process writes to; wait for that run or choose another folder",
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
        let first = Lock::take(dir.path()).unwrap();
        let e = Lock::take(dir.path()).unwrap_err();
        assert!(matches!(e, Error::Input { .. }), "{e}");
        assert!(e.to_string().contains(&std::process::id().to_string()), "{e}");
        drop(first);
        Lock::take(dir.path()).unwrap();
    }
}

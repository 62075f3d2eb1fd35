//! Reading a model folder on disk, with memory-mapped ranges of files.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use lm::model::files::{Bytes, Files, check_name, past_end};
use memmap2::{Mmap, MmapOptions};
use record::{Error, Result};

/// The files of one folder. Symbolic links to regular files are followed even out of the folder, as weights may be on
/// another disk and the hub's cache has them in `blobs`. Names inside a model's files (shards of an index) cannot leave
/// the folder; see [`check_name`].
pub struct FolderFiles {
    dir: PathBuf,
    /// Sizes when first seen, so that a file that changes while it is read is refused.
    sizes: Mutex<BTreeMap<String, u64>>,
}

impl FolderFiles {
    /// The files of a folder; no file is read yet.
    ///
    /// # Errors
    /// [`Error::Missing`] if it does not exist or is not a folder; [`Error::Io`] from the operating system.
    pub fn new(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let missing = || Error::Missing {
            what: "the model folder".to_owned(),
            place: dir.display().to_string(),
            hint: "Check the path, or download the model.".to_owned(),
        };
        match dir.canonicalize() {
            Ok(path) if path.is_dir() => Ok(Self { dir: path, sizes: Mutex::default() }),
            Ok(_) => Err(missing()),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(missing()),
            Err(error) => Err(Error::io("reading", dir.display(), error)),
        }
    }

    /// Absolute path of the folder, with links resolved.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Path of a file with links resolved, for readers that open it themselves; `None` if it does not exist.
    ///
    /// # Errors
    /// As [`Files::size`].
    pub fn path(&self, name: &str) -> Result<Option<PathBuf>> {
        let Some((path, metadata)) = self.find(name)? else { return Ok(None) };
        self.check_unchanged(name, metadata.len())?;
        Ok(Some(path))
    }

    /// Path of a file with links resolved, and its metadata; `None` if it does not exist.
    fn find(&self, name: &str) -> Result<Option<(PathBuf, Metadata)>> {
        check_name(name)?;
        let io = |error| Error::io("reading", self.describe(name), error);
        let path = match self.dir.join(name).canonicalize() {
            Ok(path) => path,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        let metadata = fs::metadata(&path).map_err(io)?;
        if !metadata.is_file() {
            // Opening a pipe would block until it has a writer.
            let found = format!("a folder, device or pipe ({})", path.display());
            return Err(Error::input(self.describe(name), "a file, or a link to one", found));
        }
        Ok(Some((path, metadata)))
    }

    fn check_unchanged(&self, name: &str, size: u64) -> Result<()> {
        let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        let first = *sizes.entry(name.to_owned()).or_insert(size);
        if first == size {
            return Ok(());
        }
        let reason = format!("it had {first} bytes when it was opened and has {size} bytes now");
        Err(Error::broken(self.describe(name), reason))
    }
}

impl Files for FolderFiles {
    fn size(&self, name: &str) -> Result<Option<u64>> {
        let Some((_, metadata)) = self.find(name)? else { return Ok(None) };
        self.check_unchanged(name, metadata.len())?;
        Ok(Some(metadata.len()))
    }

    fn range(&self, name: &str, offset: u64, len: usize) -> Result<Bytes> {
        let io = |error| Error::io("reading", self.describe(name), error);
        let (path, _) = self.find(name)?.ok_or_else(|| Error::Missing {
            what: name.to_owned(),
            place: self.dir.display().to_string(),
            hint: "Download the model again, or copy the file there.".to_owned(),
        })?;
        let file = File::open(path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        self.check_unchanged(name, size)?;
        if offset.checked_add(len as u64).is_none_or(|end| end > size) {
            return Err(past_end(&self.describe(name), offset, len, size));
        }
        if len == 0 {
            return Ok(Box::new([]));
        }
        Ok(Box::new(map(&file, offset, len).map_err(io)?))
    }

    fn describe(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }
}

/// Maps a range, which must be within the file.
#[allow(unsafe_code)]
fn map(file: &File, offset: u64, len: usize) -> std::io::Result<Mmap> {
    // SAFETY: the map is private, read-only and inside the file as of now. Model files are written once; another
    // process that truncates one within the milliseconds a map lives can stop this process, but not corrupt it.
    unsafe { MmapOptions::new().offset(offset).len(len).map(file) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    /// A temporary folder for one test, removed at its end.
    struct Temp(PathBuf);

    impl Temp {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("impossible-files-{}-{name}", std::process::id()));
            fs::create_dir_all(&dir).unwrap();
            Self(dir.canonicalize().unwrap())
        }
    }

    impl Drop for Temp {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn ranges_are_mapped_whole_or_refused() {
        let temp = Temp::new("ranges");
        let bytes: Vec<u8> = (0..10_000u32).map(|i| (i % 251) as u8).collect();
        fs::write(temp.0.join("a"), &bytes).unwrap();
        let files = FolderFiles::new(&temp.0).unwrap();
        assert_eq!(files.size("a").unwrap(), Some(10_000));
        for (offset, len) in [(0, 10_000), (5, 1), (4095, 4098), (9_999, 1), (10_000, 0), (0, 0)] {
            let range = files.range("a", offset as u64, len).unwrap();
            assert_eq!((*range).as_ref(), &bytes[offset..offset + len], "{offset} {len}");
        }
        for (offset, len) in [(0, 10_001), (10_000, 1), (10_001, 0), (u64::MAX, 1), (1, usize::MAX)] {
            assert!(matches!(files.range("a", offset, len), Err(Error::Broken { .. })), "{offset} {len}");
        }
        assert_eq!(files.size("b").unwrap(), None);
        assert!(matches!(files.range("b", 0, 0), Err(Error::Missing { .. })));
        assert!(matches!(files.size("../a"), Err(Error::Input { .. })));
        assert!(matches!(FolderFiles::new(temp.0.join("a")), Err(Error::Missing { .. })));
        assert!(matches!(FolderFiles::new(temp.0.join("none")), Err(Error::Missing { .. })));
    }

    #[test]
    fn a_file_that_shrinks_and_a_folder_are_refused() {
        let temp = Temp::new("shrink");
        fs::write(temp.0.join("a"), [1; 100]).unwrap();
        fs::create_dir(temp.0.join("d")).unwrap();
        let files = FolderFiles::new(&temp.0).unwrap();
        assert_eq!(files.size("a").unwrap(), Some(100));
        fs::write(temp.0.join("a"), [1; 50]).unwrap();
        assert!(matches!(files.range("a", 0, 10), Err(Error::Broken { .. })));
        assert!(matches!(files.size("a"), Err(Error::Broken { .. })));
        assert!(files.size("d").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_lead_anywhere_but_end_in_a_regular_file() {
        use std::os::unix::fs::symlink;
        let (temp, disk) = (Temp::new("links"), Temp::new("disk"));
        let snapshot = temp.0.join("snapshots/abc");
        fs::create_dir_all(&snapshot).unwrap();
        fs::create_dir(temp.0.join("blobs")).unwrap();
        fs::write(temp.0.join("blobs/123"), b"blob").unwrap();
        fs::write(disk.0.join("weights"), b"weights").unwrap();
        fs::write(snapshot.join("real"), b"real").unwrap();
        symlink("../../blobs/123", snapshot.join("model")).unwrap();
        symlink("real", snapshot.join("near")).unwrap();
        symlink(disk.0.join("weights"), snapshot.join("far")).unwrap();
        symlink("far", snapshot.join("twice")).unwrap();
        symlink(&disk.0, snapshot.join("folder")).unwrap();
        symlink("/dev/zero", snapshot.join("device")).unwrap();
        symlink("nowhere", snapshot.join("dangling")).unwrap();
        symlink("loop", snapshot.join("loop")).unwrap();
        let files = FolderFiles::new(&snapshot).unwrap();
        assert_eq!((*files.range("model", 0, 4).unwrap()).as_ref(), b"blob");
        assert_eq!((*files.range("near", 0, 4).unwrap()).as_ref(), b"real");
        for name in ["far", "twice"] {
            assert_eq!(files.size(name).unwrap(), Some(7));
            assert_eq!((*files.range(name, 0, 7).unwrap()).as_ref(), b"weights");
            assert_eq!(files.path(name).unwrap(), Some(disk.0.join("weights")));
        }
        for name in ["folder", "device"] {
            assert!(matches!(files.size(name), Err(Error::Input { found, .. }) if found.contains("device or pipe")));
            assert!(files.range(name, 0, 0).is_err() && files.path(name).is_err());
        }
        assert_eq!(files.size("dangling").unwrap(), None);
        assert_eq!(files.path("dangling").unwrap(), None);
        assert!(files.size("loop").is_err());
    }
}

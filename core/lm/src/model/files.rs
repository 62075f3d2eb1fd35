//! Access to bytes by file name: a common interface to folders, a browser's private file system, and memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Error, Result};

/// A range of a file: memory-mapped natively, shared memory in a browser. Dropping it releases the range.
pub type Bytes = Box<dyn AsRef<[u8]> + Send + Sync>;

/// Size in bytes of the pieces in which a tensor is read.
const CHUNK: usize = 4 << 20;

/// The files of one model folder. Names are plain file names; see [`check_name`].
pub trait Files: Send + Sync {
    /// Size of a file in bytes; `None` if it does not exist.
    ///
    /// # Errors
    /// [`Error::Input`] for a name that is not plain, [`Error::Io`] from the operating system.
    fn size(&self, name: &str) -> Result<Option<u64>>;

    /// Exactly `len` bytes from `offset`.
    ///
    /// # Errors
    /// [`Error::Missing`] where no such file exists, [`Error::Broken`] for a range that ends beyond the file.
    fn range(&self, name: &str, offset: u64, len: usize) -> Result<Bytes>;

    /// A description by which the user can locate the file (such as its path), for messages.
    fn describe(&self, name: &str) -> String;
}

/// Rejects names that could lead out of the folder: empty ones, `.` and `..`, and those with path separators, drive
/// letters or control characters. A module of a sentence encoder has a folder of its own, such as `1_Pooling`.
///
/// # Errors
/// [`Error::Input`].
pub fn check_name(name: &str) -> Result<()> {
    let module = |folder: &str| {
        let name = folder.trim_start_matches(|c: char| c.is_ascii_digit());
        name.len() < folder.len()
            && name.strip_prefix('_').is_some_and(|n| n.chars().all(|c| c.is_ascii_alphanumeric()))
    };
    let name = match name.split_once('/') {
        Some((folder, name)) if module(folder) => name,
        _ => name,
    };
    let plain = !name.is_empty()
        && name != "."
        && name != ".."
        && !name.chars().any(|c| matches!(c, '/' | '\\' | ':') || c.is_control());
    if plain { Ok(()) } else { Err(Error::input("file name", "a plain name without folders", format!("{name:?}"))) }
}

/// Reads a whole file.
///
/// # Errors
/// [`Error::Missing`] if it does not exist, [`Error::Broken`] if it is larger than `limit_bytes`.
pub fn read_all(files: &dyn Files, name: &str, limit_bytes: usize) -> Result<Bytes> {
    let size = files.size(name)?.ok_or_else(|| missing(files, name))?;
    match usize::try_from(size) {
        Ok(len) if len <= limit_bytes => files.range(name, 0, len),
        _ => Err(Error::broken(
            files.describe(name),
            format!("it has {size} bytes; at most {limit_bytes} are expected in a file of this kind"),
        )),
    }
}

/// The [`Error::Missing`] for a file, for implementations of [`Files`].
#[must_use]
pub fn missing(files: &dyn Files, name: &str) -> Error {
    Error::Missing {
        what: name.to_owned(),
        place: files.describe(name),
        hint: "Download the model again, or copy the file there.".to_owned(),
    }
}

/// Start of a Git LFS pointer, the small text that stands for a large file in a repository cloned without Git LFS.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Refuses the first bytes of a file that is a Git LFS pointer.
///
/// # Errors
/// [`Error::Broken`] names the file and says how to get its content.
pub fn check_content(place: &str, start: &[u8]) -> Result<()> {
    if !start.starts_with(POINTER) {
        return Ok(());
    }
    let reason = "it is a Git LFS pointer, which only stands for the file: run `git lfs pull` in that folder, or download \
                  the file itself";
    Err(Error::broken(place, reason))
}

/// As [`check_content`], of a file that is not read as a whole.
///
/// # Errors
/// As [`check_content`]; errors of reading the file.
pub fn check_start(files: &dyn Files, name: &str) -> Result<()> {
    let size = files.size(name)?.unwrap_or(0);
    let len = usize::try_from(size).unwrap_or(POINTER.len()).min(POINTER.len());
    check_content(&files.describe(name), (*files.range(name, 0, len)?).as_ref())
}

/// Calls `each` with consecutive pieces of the `len` bytes from `start`. Every piece but the last is a multiple of
/// `unit` bytes, and only one is in memory at a time.
pub(crate) fn in_chunks(
    files: &dyn Files,
    name: &str,
    start: u64,
    len: u64,
    unit: usize,
    mut each: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let unit = unit.max(1);
    let chunk = (CHUNK / unit).max(1) * unit;
    let mut done = 0;
    while done < len {
        let take = usize::try_from(len - done).unwrap_or(usize::MAX).min(chunk);
        each((*files.range(name, start.saturating_add(done), take)?).as_ref())?;
        done += take as u64;
    }
    Ok(())
}

/// Files in memory, for tests and for browsers that have read their storage.
#[derive(Debug, Clone, Default)]
pub struct MemoryFiles {
    files: BTreeMap<String, Arc<Vec<u8>>>,
    /// Name of the folder in messages; may be empty.
    place: String,
}

impl MemoryFiles {
    /// Makes the given contents, by file name, available as files.
    #[must_use]
    pub fn new(files: BTreeMap<String, Vec<u8>>) -> Self {
        Self { files: files.into_iter().map(|(name, bytes)| (name, Arc::new(bytes))).collect(), place: String::new() }
    }

    /// The files as those of a folder that messages call `place`.
    #[must_use]
    pub fn of(mut self, place: &str) -> Self {
        place.clone_into(&mut self.place);
        self
    }

    /// Adds or replaces a file.
    pub fn insert(&mut self, name: impl Into<String>, bytes: Vec<u8>) {
        self.files.insert(name.into(), Arc::new(bytes));
    }

    /// Removes a file and returns whether it existed. Its memory is released once no range of it is in use.
    pub fn remove(&mut self, name: &str) -> bool {
        self.files.remove(name).is_some()
    }
}

impl<N: Into<String>> FromIterator<(N, Vec<u8>)> for MemoryFiles {
    fn from_iter<I: IntoIterator<Item = (N, Vec<u8>)>>(files: I) -> Self {
        Self::new(files.into_iter().map(|(name, bytes)| (name.into(), bytes)).collect())
    }
}

/// A range of a file that keeps the file alive instead of copying it.
struct Shared {
    file: Arc<Vec<u8>>,
    range: std::ops::Range<usize>,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.file.get(self.range.clone()).unwrap_or_default()
    }
}

impl Files for MemoryFiles {
    fn size(&self, name: &str) -> Result<Option<u64>> {
        check_name(name)?;
        Ok(self.files.get(name).map(|file| file.len() as u64))
    }

    fn range(&self, name: &str, offset: u64, len: usize) -> Result<Bytes> {
        check_name(name)?;
        let file = self.files.get(name).ok_or_else(|| missing(self, name))?;
        let start = usize::try_from(offset).ok();
        let range = start.and_then(|start| Some(start..start.checked_add(len)?)).filter(|r| r.end <= file.len());
        let range = range.ok_or_else(|| past_end(name, offset, len, file.len() as u64))?;
        Ok(Box::new(Shared { file: Arc::clone(file), range }))
    }

    fn describe(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { format!("{}/{name}", self.place) }
    }
}

/// The [`Error::Broken`] for a range that ends beyond the file, for implementations of [`Files`].
#[must_use]
pub fn past_end(file: &str, offset: u64, len: usize, size: u64) -> Error {
    Error::broken(file, format!("{len} bytes from byte {offset} are needed, but the file has {size} bytes"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        for bad in [
            "",
            ".",
            "..",
            "../a",
            "a/b",
            "/a",
            "a\\b",
            "c:a",
            "a\0b",
            "a\nb",
            "1_Pooling/../a",
            "Pooling/a",
            "1_/a/b",
            "1_x.y/a",
        ] {
            assert!(matches!(check_name(bad), Err(Error::Input { .. })), "{bad:?}");
        }
        for good in [
            "model.safetensors",
            "..a",
            ".gitattributes",
            "modèle.bin",
            "model-00001-of-00002.safetensors",
            "1_Pooling/config.json",
        ] {
            assert!(check_name(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn memory_ranges_are_whole_or_refused() {
        let files: MemoryFiles = [("a", vec![1, 2, 3, 4])].into_iter().collect();
        assert_eq!((*files.range("a", 1, 3).unwrap()).as_ref(), [2, 3, 4]);
        assert!((*files.range("a", 4, 0).unwrap()).as_ref().is_empty());
        for (offset, len) in [(1, 4), (5, 0), (u64::MAX, 1), (1, usize::MAX)] {
            assert!(matches!(files.range("a", offset, len), Err(Error::Broken { .. })), "{offset} {len}");
        }
        assert!(matches!(files.range("b", 0, 0), Err(Error::Missing { .. })));
        assert_eq!(files.size("b").unwrap(), None);
        assert!(files.size("../a").is_err());
    }

    #[test]
    fn read_all_has_a_limit() {
        let files: MemoryFiles = [("a", vec![0; 10])].into_iter().collect();
        assert_eq!((*read_all(&files, "a", 10).unwrap()).as_ref().len(), 10);
        assert!(matches!(read_all(&files, "a", 9), Err(Error::Broken { .. })));
        assert!(matches!(read_all(&files, "b", 9), Err(Error::Missing { .. })));
    }

    #[test]
    fn chunks_are_multiples_of_the_unit_and_cover_the_range() {
        let bytes: Vec<u8> = (0..CHUNK * 2 + 35).map(|i| (i % 251) as u8).collect();
        let files: MemoryFiles = [("a", bytes.clone())].into_iter().collect();
        let (mut seen, mut pieces) = (Vec::new(), Vec::new());
        in_chunks(&files, "a", 1, bytes.len() as u64 - 1, 34, |piece| {
            pieces.push(piece.len());
            seen.extend_from_slice(piece);
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, bytes[1..]);
        assert!(pieces.len() >= 3 && pieces[..pieces.len() - 1].iter().all(|len| len % 34 == 0 && *len <= CHUNK));
    }
}

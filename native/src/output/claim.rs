//! Which folders may be written to.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use record::{Error, Result};

use super::kind::Kind;
use super::lock::{self, Lock};
use super::manifest::Manifest;
use crate::fs::{LITTER, io_error, read_small, rename, temporary};

/// Locks a folder whose output is continued, and creates it if necessary.
///
/// # Errors
/// [`Error::Input`] for a folder with other files, and when another process is writing to it; [`Error::Io`] when it is
/// not writable.
pub fn claim(dir: &Path, kind: Kind) -> Result<Lock> {
    check(dir, kind)?;
    fs::create_dir_all(dir).map_err(io_error("creating", dir))?;
    let lock = Lock::take(dir, kind)?;
    // Another process may have begun another output since.
    check(dir, kind)?;
    Ok(lock)
}

/// Locks an output in a folder of a run, as [`claim`]. If `stands` says that the output that is there is another one, that is
/// first moved to `RUN/earlier/N`; returns where it is then. Nothing of it is lost.
///
/// # Errors
/// As [`claim`]; errors of `stands`.
pub fn claim_or_set_aside(
    run: &Path,
    dir: &Path,
    kind: Kind,
    stands: impl Fn(&Path) -> Result<bool>,
) -> Result<(Lock, Option<PathBuf>)> {
    fs::create_dir_all(run).map_err(io_error("creating", run))?;
    // So that no other process starts in the folder while it is being moved.
    let _guard = Lock::wait(run)?;
    let lock = claim(dir, kind)?;
    if stands(dir)? {
        return Ok((lock, None));
    }
    // Some systems do not rename a folder in which a file is open.
    drop(lock);
    let moved = set_aside(run, dir)?;
    Ok((claim(dir, kind)?, Some(moved)))
}

/// Moves an output to `RUN/earlier/N`, and returns where it is now.
fn set_aside(run: &Path, output: &Path) -> Result<PathBuf> {
    let name = output.strip_prefix(run).unwrap_or(output);
    let free = (1u32..).map(|n| run.join("earlier").join(n.to_string()).join(name)).find(|path| !path.exists());
    let to = free.unwrap_or_else(|| run.join("earlier").join(name));
    let parent = to.parent().unwrap_or(run);
    fs::create_dir_all(parent).map_err(io_error("creating", parent))?;
    rename(output, &to).map_err(io_error("moving", output))?;
    Ok(to)
}

/// Checks that `dir` is new or empty, or an output of this kind, finished or not.
///
/// # Errors
/// As [`claim`].
pub fn check(dir: &Path, kind: Kind) -> Result<()> {
    let Some(names) = entries(dir)? else { return Ok(()) };
    let marks = kind.marks();
    let all = marks.iter().all(|mark| names.iter().any(|name| name == mark)) && marked(dir, kind);
    // The output may have been cut off while its first entries were being made.
    let begun =
        names.iter().all(|name| marks.contains(&name.as_str()) && !filled(&dir.join(name))) && marked(dir, kind);
    // The plan of a finished output may have been lost.
    let finished = || matches!(Manifest::read(dir), Ok(Some(manifest)) if manifest.kind == kind);
    if all || begun || finished() { Ok(()) } else { Err(foreign(dir, kind, &names)) }
}

/// Whether the plan in a folder is one of this kind, and not another file of that name. One that cannot be read is left
/// to whoever reads it.
fn marked(dir: &Path, kind: Kind) -> bool {
    let Some(plan) = kind.marks().first() else { return true };
    let Ok(bytes) = read_small(&dir.join(plan), 1 << 20) else { return true };
    match toml::from_str::<toml::Table>(&String::from_utf8_lossy(&bytes)) {
        Ok(table) => kind.plan_entries().iter().all(|entry| table.contains_key(*entry)),
        Err(_) => true,
    }
}

fn filled(path: &Path) -> bool {
    path.is_dir() && fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
}

/// Names of the entries of a folder without locks and temporary files, sorted; `None` if it does not exist.
pub(super) fn entries(dir: &Path) -> Result<Option<Vec<String>>> {
    let found = match fs::read_dir(dir) {
        Ok(found) => found,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) if e.kind() == ErrorKind::NotADirectory => {
            return Err(Error::input(dir.display(), "a folder, or a path for a new one", "a file"));
        }
        Err(e) => return Err(io_error("reading", dir)(e)),
    };
    let mut names = Vec::new();
    for entry in found {
        let name = entry.map_err(io_error("reading", dir))?.file_name().to_string_lossy().into_owned();
        let ours = temporary(&name) || LITTER.contains(&name.as_str()) || (name == lock::LOCK && lock::ours(dir));
        if !ours {
            names.push(name);
        }
    }
    names.sort();
    Ok(Some(names))
}

/// The kind of an existing output folder, by its marks or its manifest.
#[must_use]
pub fn kind_of(dir: &Path) -> Option<Kind> {
    if let Ok(Some(manifest)) = Manifest::read(dir) {
        return Some(manifest.kind);
    }
    let all = |kind: &Kind| !kind.marks().is_empty() && kind.marks().iter().all(|mark| dir.join(mark).exists());
    Kind::ALL.into_iter().find(|kind| all(kind) && marked(dir, *kind))
}

/// The error for a folder that holds something else.
pub(super) fn foreign(dir: &Path, kind: Kind, names: &[String]) -> Error {
    let found = match kind_of(dir) {
        Some(other) => other.title().to_owned(),
        None => format!("a folder with other files, such as {}", names.first().map_or("", String::as_str)),
    };
    Error::input(dir.display(), format!("a new or empty folder, or {} of this program", kind.title()), found)
}

/// Whether a file or one of its folders does not exist.
pub(super) fn no_folder(e: &io::Error) -> bool {
    matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_claimed_if_new_or_empty_or_of_the_same_kind() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("a/b");
        drop(claim(&dir, Kind::Student).unwrap());
        // Empty but for the lock.
        drop(claim(&dir, Kind::Critic).unwrap());
        let plan = "seed = 1\ndevice = 'flex'\n[data]\n[config]\n[train]\n";
        fs::write(dir.join("critic.toml"), plan).unwrap();
        fs::write(dir.join("notes.txt"), "").unwrap();
        drop(claim(&dir, Kind::Critic).unwrap());
        let e = claim(&dir, Kind::Student).unwrap_err().to_string();
        assert!(e.ends_with("found the training of a critic"), "{e}");
        fs::remove_file(dir.join("critic.toml")).unwrap();
        let e = claim(&dir, Kind::Critic).unwrap_err().to_string();
        assert!(e.contains("such as notes.txt"), "{e}");
        // A file of the user's that happens to have the name of a plan.
        fs::write(dir.join("critic.toml"), "name = 'me'").unwrap();
        assert!(claim(&dir, Kind::Critic).is_err());
        fs::remove_file(dir.join("notes.txt")).unwrap();
        assert!(claim(&dir, Kind::Critic).is_err());
        let mine = temp.path().join("mine");
        fs::create_dir(&mine).unwrap();
        fs::write(mine.join(".lock"), "state of another program").unwrap();
        assert!(claim(&mine, Kind::Critic).is_err());
    }

    #[test]
    fn earlier_outputs_are_numbered() {
        let dir = tempfile::tempdir().unwrap();
        let stage = dir.path().join("student/stage1");
        for n in ["1", "2"] {
            fs::create_dir_all(&stage).unwrap();
            fs::write(stage.join("student.toml"), "").unwrap();
            assert_eq!(
                set_aside(dir.path(), &stage).unwrap(),
                dir.path().join("earlier").join(n).join("student/stage1")
            );
        }
        let stays = |_: &Path| Ok(true);
        let (lock, moved) = claim_or_set_aside(dir.path(), &stage, Kind::Student, stays).unwrap();
        assert_eq!(moved, None);
        let other = claim_or_set_aside(dir.path(), &stage, Kind::Student, stays).unwrap_err().to_string();
        assert!(other.contains("which is writing the training of a student"), "{other}");
        drop(lock);
    }

    #[test]
    fn a_run_needs_plan_and_shards_or_has_just_begun() {
        let temp = tempfile::tempdir().unwrap();
        let (dir, shards) = (temp.path(), temp.path().join("shards"));
        fs::create_dir(&shards).unwrap();
        check(dir, Kind::Run).unwrap();
        fs::write(shards.join("mine"), "").unwrap();
        assert!(check(dir, Kind::Run).is_err(), "another program's shards");
        fs::write(dir.join("plan.toml"), "seed = 1").unwrap();
        assert!(check(dir, Kind::Run).is_err(), "another program's plan");
        let plan = "seed = 1\ndevice = 'flex'\n[models]\n[contexts]\n[siblings]\n";
        fs::write(dir.join("plan.toml"), plan).unwrap();
        check(dir, Kind::Run).unwrap();
        assert_eq!(kind_of(dir), Some(Kind::Run));
    }
}

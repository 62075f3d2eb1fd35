//! Merging the shards of several run folders with the same plan.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use record::{Error, Result};

use super::manifest::{MANIFEST, Sealed, ShardManifest, check_file};
use super::shard::{put, shard_dir};
use super::{RunFolder, growth, identity, planfile};
use crate::fs::{StagedDir, io_error};

/// Result of a merge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merged {
    /// Number of shards copied.
    pub copied: usize,
    /// Number of shards that were already present, or in several folders, with the same bytes.
    pub same: usize,
    /// Contexts of the plan that no shard covers.
    pub gaps: Vec<Range<u64>>,
}

/// Copies the finished shards of `dirs` to `out`, which is created if needed and may be one of them. Returns the folder
/// open for writing; call [`RunFolder::write_dataset`] next.
///
/// # Errors
/// [`Error::Input`] without folders, or for folders of different plans, with the first entry that differs;
/// [`Error::Broken`] for a damaged shard, or for two different shards of the same context; [`Error::Io`] when reading
/// or writing fails. `out` then has the shards copied so far.
pub fn merge(dirs: &[PathBuf], out: &Path) -> Result<(RunFolder, Merged)> {
    let sources = dirs.iter().map(|dir| RunFolder::open(dir)).collect::<Result<Vec<_>>>()?;
    let Some(first) = sources.first() else {
        return Err(Error::input("folders to merge", "at least one run folder", "none"));
    };
    for other in &sources[1..] {
        let counts = [first, other].map(|run| run.plan().contexts.count);
        if !growth::same(first.plan(), other.plan()) || counts[0] != counts[1] {
            return Err(planfile::not_mergeable((first.dir(), first.plan()), (other.dir(), other.plan()))?);
        }
    }
    let differs = sources.iter().find(|run| run.history() != first.history());
    if let Some(other) = differs {
        let expected = format!("a run that has grown in the same steps as {}", first.dir().display());
        return Err(Error::input(other.dir().display(), expected, "other steps (see its folder `plans`)"));
    }
    let folder = RunFolder::create_or_resume(out, first.plan())?.adopt(first)?;
    for source in &sources {
        // Runs of older versions do not say which models they used.
        if let Some(models) = identity::read(source.dir())? {
            folder.settle_models(&models)?;
        }
    }
    let mut merged = Merged::default();
    let mut present = folder.finished()?;
    for source in &sources {
        for mut manifest in source.finished()? {
            // Plans that spell their paths differently have different hashes.
            folder.hash().clone_into(&mut manifest.plan_hash);
            let range = manifest.range();
            let clash = present.iter().find(|m| m.first_context < range.end && range.start < m.range().end);
            match clash {
                Some(m) if m.files == manifest.files && m.range() == range => merged.same += 1,
                Some(m) => return Err(conflict(source.dir(), &manifest, m)),
                None => {
                    copy(source.dir(), out, &manifest)?;
                    present.push(manifest);
                    merged.copied += 1;
                }
            }
        }
    }
    merged.gaps = folder.gaps()?;
    Ok((folder, merged))
}

fn conflict(dir: &Path, found: &ShardManifest, other: &ShardManifest) -> Error {
    let name = |m: &ShardManifest| format!("contexts {} to {}", m.first_context, m.last_context);
    let reason = if found.range() == other.range() {
        format!("another folder has a shard of the same {} with other bytes; one of the two is wrong", name(found))
    } else {
        format!("its {} overlap a shard of {}; one of the runs has grown in other steps", name(found), name(other))
    };
    Error::broken(shard_dir(dir, found.first_context).display(), reason)
}

fn copy(from: &Path, to: &Path, manifest: &ShardManifest) -> Result<()> {
    let source = shard_dir(from, manifest.first_context);
    let staged = StagedDir::new(&shard_dir(to, manifest.first_context))?;
    for (name, entry) in &manifest.files {
        let path = source.join(name);
        check_file(&path, entry)?;
        let mut file = File::open(&path).map_err(io_error("reading", &path))?;
        let mut sink = staged.file(name)?;
        std::io::copy(&mut file, &mut sink).map_err(io_error("copying", &path))?;
        sink.finish()?;
    }
    put(staged.file(MANIFEST)?, &manifest.sealed(&source.join(MANIFEST))?, 0)?;
    staged.commit()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::single_range_in_vec_init)]
mod tests {
    use std::fs;

    use super::super::fixture::{finish_run, plan, range_data};
    use super::super::ranges;
    use super::*;

    fn part(dir: &Path, part: u64, skip: Option<u64>) {
        let folder = RunFolder::create_or_resume(dir, &plan()).unwrap();
        for range in ranges(10, 3, part, 2).into_iter().filter(|r| Some(r.start) != skip) {
            folder.write_shard(&range, range_data(&range).view()).unwrap();
        }
    }

    #[test]
    fn two_parts_make_the_single_run() {
        let dir = tempfile::tempdir().unwrap();
        let [single, a, b, out] = ["single", "a", "b", "out"].map(|n| dir.path().join(n));
        finish_run(&single, &plan(), 3);
        part(&a, 0, None);
        part(&b, 1, None);
        let (folder, merged) = merge(&[a.clone(), b, a], &out).unwrap();
        assert_eq!(merged, Merged { copied: 4, same: 2, gaps: vec![] });
        let written = folder.write_dataset().unwrap();
        crate::report::write(&folder, &written).unwrap();
        let list = "manifest.json funnel.json dataset/paraphrase.parquet dataset/summary.jsonl dataset/README.md \
                    report.html shards/00000009/scored.parquet shards/00000003/manifest.json";
        for name in list.split_whitespace() {
            assert!(fs::read(single.join(name)).unwrap() == fs::read(out.join(name)).unwrap(), "{name}");
        }
    }

    #[test]
    fn gaps_are_told_and_merging_into_a_source_works() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|n| dir.path().join(n));
        part(&a, 0, None);
        part(&b, 1, Some(9));
        let (_folder, merged) = merge(&[a.clone(), b], &a).unwrap();
        assert_eq!(merged, Merged { copied: 1, same: 2, gaps: vec![9..10] });
    }

    #[test]
    fn conflicts_and_other_plans_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b, c, out] = ["a", "b", "c", "out"].map(|n| dir.path().join(n));
        part(&a, 0, None);
        let folder = RunFolder::create_or_resume(&b, &plan()).unwrap();
        let mut data = range_data(&(0..3));
        data.samples[0].text.push('!');
        folder.write_shard(&(0..3), data.view()).unwrap();
        let e = merge(&[a.clone(), b.clone()], &out).unwrap_err();
        assert!(matches!(e, Error::Broken { .. }) && e.to_string().contains("other bytes"), "{e}");
        folder.write_shard(&(0..4), range_data(&(0..4)).view()).unwrap();
        let e = merge(&[a.clone(), b], &dir.path().join("out2")).unwrap_err();
        assert!(e.to_string().contains("overlap"), "{e}");
        let mut other = plan();
        other.seed = 12;
        drop(RunFolder::create_or_resume(&c, &other).unwrap());
        let e = merge(&[a, c], &out).unwrap_err();
        assert!(matches!(&e, Error::Input { name, .. } if name.starts_with("plan entry seed of")), "{e}");
        assert!(matches!(merge(&[], &out), Err(Error::Input { .. })));
    }

    #[test]
    fn damaged_source_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let [a, out] = ["a", "out"].map(|n| dir.path().join(n));
        part(&a, 0, None);
        let path = a.join("shards/00000000/samples.parquet");
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(matches!(merge(&[a], &out), Err(Error::Broken { .. })));
        assert!(!out.join("shards/00000000").exists());
    }
}

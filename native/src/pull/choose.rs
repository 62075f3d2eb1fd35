//! Which repository to pull, and which of its files this program needs.

use std::path::Path;
use std::str::FromStr;

use lm::model::gguf;
use record::{Error, Result};

use super::address::{is_inside, is_revision};
use super::hub::{RemoteFile, Snapshot};
use crate::models::origin::read_json;
use crate::models::store;

/// Small files that are fetched if the repository has them.
const SMALL: [&str; 15] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "spm.model",
    "spiece.model",
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
];
const WEIGHTS: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";
const PICKLE: &str = "pytorch_model.bin";

/// A repository on the hub: `OWNER/REPOSITORY[@REVISION][:FILE.gguf]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `OWNER/REPOSITORY`.
    pub repo: String,
    /// Branch, tag or commit. Without one, an existing complete copy is kept; else `main` is fetched.
    pub revision: Option<String>,
    /// The GGUF file to fetch in place of the weights; of a split one all parts, any of which can be named.
    pub gguf: Option<String>,
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::input(
                "pull",
                "small, paper, biomedical, or OWNER/REPOSITORY[@REVISION][:FILE.gguf]",
                format!("{text:?}"),
            )
        };
        let (rest, gguf) = match text.split_once(':') {
            Some((rest, file)) => (rest, Some(file.to_owned())),
            None => (text, None),
        };
        let (repo, revision) = match rest.split_once('@') {
            Some((repo, revision)) => (repo, Some(revision.to_owned())),
            None => (rest, None),
        };
        let word = |part: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            !part.is_empty()
                && part.len() <= 96
                && part.bytes().all(allowed)
                && !part.starts_with(['.', '-'])
                && !part.contains("..")
        };
        let named = repo.split_once('/').is_some_and(|(owner, name)| word(owner) && word(name));
        let revised = revision.as_deref().is_none_or(is_revision);
        let file = gguf.as_deref().is_none_or(|file| is_inside(file) && file.to_lowercase().ends_with(".gguf"));
        if !(named && revised && file) {
            return Err(wrong());
        }
        Ok(Self { repo: repo.to_owned(), revision, gguf })
    }
}

/// The files to fetch, small ones first. The shards in an index are added later.
pub(super) fn choose(target: &Target, snapshot: &Snapshot) -> Result<Vec<RemoteFile>> {
    let find = |name: &str| snapshot.files.iter().find(|file| file.name == name).cloned();
    let mut wanted: Vec<RemoteFile> = SMALL.iter().filter_map(|name| find(name)).collect();
    let missing = |what: &str, hint: String| Error::Missing { what: what.into(), place: target.repo.clone(), hint };
    let ggufs: Vec<&str> = snapshot
        .files
        .iter()
        .map(|file| file.name.as_str())
        .filter(|name| name.to_lowercase().ends_with(".gguf"))
        .take(20)
        .collect();
    if let Some(name) = &target.gguf {
        let there =
            if ggufs.is_empty() { "It has no GGUF file.".into() } else { format!("It has {}.", ggufs.join(", ")) };
        for part in gguf::parts(name) {
            wanted.push(find(&part).ok_or_else(|| missing(&part, there.clone()))?);
        }
        return Ok(wanted);
    }
    if let Some(weights) = find(WEIGHTS).or_else(|| find(INDEX)).or_else(|| find(PICKLE)) {
        wanted.push(weights);
    } else if let Some(first) = ggufs.first() {
        return Err(missing(
            WEIGHTS,
            format!("Name one of its GGUF files: {}:{first} (all: {}).", target.repo, ggufs.join(", ")),
        ));
    } else {
        return Err(Error::Unsupported {
            file: target.repo.clone(),
            found: "a repository without such files".into(),
            expected: format!("{WEIGHTS}, {INDEX}, {PICKLE} or a GGUF"),
        });
    }
    // Projections of sentence encoders, such as `2_Dense`.
    let projection = |name: &str| {
        let part = name.strip_suffix("/config.json").or_else(|| name.strip_suffix("/model.safetensors"));
        part.is_some_and(|folder| folder.trim_start_matches(|c: char| c.is_ascii_digit()) == "_Dense")
    };
    wanted.extend(snapshot.files.iter().filter(|file| projection(&file.name)).take(16).cloned());
    if find("config.json").is_none() {
        return Err(missing("config.json", "Only repositories with a transformers checkpoint can be used.".into()));
    }
    Ok(wanted)
}

/// The weight files listed in a downloaded index.
pub(super) fn listed_shards(target: &Target, snapshot: &Snapshot, index: &Path) -> Result<Vec<RemoteFile>> {
    let broken = |reason: String| Error::broken(index.display(), reason);
    let value: serde_json::Value = read_json(index).ok_or_else(|| broken("not readable as JSON".into()))?;
    let names = store::shards(&value);
    if names.is_empty() {
        return Err(broken("it lists no file".into()));
    }
    let find = |name: &String| {
        if !is_inside(name) || !name.ends_with(".safetensors") {
            return Err(broken(format!("the file name {name:?} is not that of a shard")));
        }
        let file = snapshot.files.iter().find(|file| file.name == *name).cloned();
        file.ok_or_else(|| broken(format!("it lists {name}, which {} does not have", target.repo)))
    };
    names.iter().map(find).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_split_gguf_is_fetched_with_all_parts() {
        let part = |n: usize| format!("q/m-{n:05}-of-00003.gguf");
        let snapshot = |parts: &[usize]| Snapshot {
            revision: String::new(),
            files: parts.iter().map(|n| RemoteFile { name: part(*n), size: None, sha256: None }).collect(),
        };
        for named in [1, 3] {
            let target: Target = format!("me/Tiny:{}", part(named)).parse().unwrap();
            let files = choose(&target, &snapshot(&[3, 1, 2])).unwrap();
            assert_eq!(files.iter().map(|file| file.name.clone()).collect::<Vec<_>>(), [1, 2, 3].map(part));
            let error = choose(&target, &snapshot(&[1, 3])).unwrap_err();
            assert!(matches!(&error, Error::Missing { what, .. } if *what == part(2)), "{error}");
        }
    }
}

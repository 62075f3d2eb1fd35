//! The folder in which models are stored: its location, its contents, and which model a name refers to.

use std::fs;
use std::path::{Component, Path, PathBuf};

use record::{Error, Result, presets};
use serde::Serialize;

use super::builtin::Builtin;
use super::origin::{RECORD, Record, UNDERWAY, read_json, read_record};
use super::place::Place;

/// A model in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cached {
    /// Name of the folder or `.gguf` file, by which plans refer to the model.
    pub name: String,
    /// Path of the folder or file.
    #[serde(serialize_with = "crate::fs::lossy")]
    pub path: PathBuf,
    /// Total size of its files in bytes.
    pub bytes: u64,
    /// `architectures[0]` or `model_type` of its `config.json`; `GGUF` for a GGUF without one.
    pub architecture: Option<String>,
    /// Origin: `owner/repo`, or `pip:PACKAGE`; none if it was placed there by hand.
    pub source: Option<String>,
    /// What is missing, as a noun phrase for messages; none if the model is complete.
    pub lacks: Option<String>,
}

/// The store: a folder that contains model folders.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The store at `flag` (--models), by default at the environment variable `IMPOSSIBLE_MODELS` or else
    /// `impossible/models` in the platform's cache folder. Creates nothing.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is no home folder for a cache.
    pub fn locate(flag: Option<&Path>) -> Result<Self> {
        let named = flag.map(Path::to_path_buf).or_else(|| std::env::var_os("IMPOSSIBLE_MODELS").map(PathBuf::from));
        if let Some(root) = named.filter(|path| !path.as_os_str().is_empty()) {
            return Ok(Self { root });
        }
        match directories::BaseDirs::new() {
            Some(base) => Ok(Self { root: base.cache_dir().join("impossible").join("models") }),
            None => Err(Error::Missing {
                what: "a home folder to keep models in".into(),
                place: "this account".into(),
                hint: "Name a folder with --models DIR or the environment variable IMPOSSIBLE_MODELS.".into(),
            }),
        }
    }

    /// The store in `root`, which need not exist.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The root folder of the store.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The entry with this name; an exact match takes precedence over one that differs in case.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        let mut parts = Path::new(name).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
            return None;
        }
        let exact = self.root.join(name);
        if exact.exists() {
            return Some(exact);
        }
        let mut found: Vec<PathBuf> = fs::read_dir(&self.root)
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().to_lowercase() == name.to_lowercase()))
            .collect();
        found.sort();
        found.into_iter().next()
    }

    /// The model that `name` refers to: that of an existing path, or else a built-in one, or else an entry of the store,
    /// ignoring case. `owner/repo` refers to the folder that a pull of it creates.
    ///
    /// # Errors
    /// [`Error::Missing`], with the command that fetches the model, if there is none or it is incomplete;
    /// [`Error::Unsupported`] for a file that is not a GGUF.
    pub fn resolve(&self, name: &str) -> Result<Place> {
        if name.trim().is_empty() {
            return Err(Error::input("model", "a name or a path", "an empty name"));
        }
        let given = Path::new(name);
        let spelled_as_path = given.is_absolute() || given.components().count() > 1 || name.ends_with(['/', '\\']);
        if given.is_dir() && (spelled_as_path || given.join("config.json").is_file()) {
            return Ok(Place::Disk(given.to_path_buf()));
        }
        if given.is_file() {
            if is_gguf(given) {
                return Ok(Place::Disk(given.to_path_buf()));
            }
            return Err(Error::Unsupported {
                file: name.into(),
                found: "a single file".into(),
                expected: "a model folder with config.json, or a .gguf file".into(),
            });
        }
        if let Some(model) = Builtin::named(name) {
            return Ok(Place::Carried(model));
        }
        let folder = presets::folder_of(name);
        let Some(path) = self.find(name).or_else(|| self.find(&folder)) else {
            return Err(Error::Missing {
                what: format!("model {name}"),
                place: self.root.display().to_string(),
                hint: hint(name, &folder),
            });
        };
        match inspect(&path).lacks {
            None => Ok(Place::Disk(path)),
            Some(lacks) => Err(Error::Missing {
                what: format!("a complete model {name}"),
                place: path.display().to_string(),
                hint: format!("It has {lacks}. {}", hint(name, &folder)),
            }),
        }
    }

    /// All models in the store, sorted by name; empty if the store does not exist yet.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Cached>> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("reading", self.root.display(), error)),
        };
        let mut models: Vec<Cached> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')))
            .filter(|path| path.is_dir() || is_gguf(path))
            .map(|path| inspect(&path))
            .collect();
        models.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(models)
    }
}

/// Advice for obtaining a model.
fn hint(name: &str, folder: &str) -> String {
    match presets::with_folder(folder) {
        Some(preset) => format!("Run `impossible pull {preset}`, or name its folder with --models DIR."),
        None if name.split('/').count() == 2 && !name.starts_with(['.', '/']) => {
            format!("Run `impossible pull {name}`, or name its folder with --models DIR.")
        }
        None => "Run `impossible pull OWNER/REPOSITORY`, or give the path of a model folder.".into(),
    }
}

/// Inspects a model folder or GGUF file without reading its weights.
#[must_use]
pub fn inspect(path: &Path) -> Cached {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if path.is_file() {
        let bytes = path.metadata().map_or(0, |meta| meta.len());
        let architecture = Some("GGUF".into());
        return Cached { name, path: path.into(), bytes, architecture, source: None, lacks: None };
    }
    let mut files = Vec::new();
    walk(path, path, 0, &mut files);
    let has = |name: &str| files.iter().any(|(file, _)| file == name);
    let gguf = files.iter().any(|(file, _)| is_gguf(Path::new(file)));
    let record = read_record(path);
    let config = read_json::<serde_json::Value>(&path.join("config.json"));
    let architecture = config.as_ref().and_then(|config| {
        let first = config.get("architectures").and_then(|list| list.get(0)).or_else(|| config.get("model_type"));
        first.and_then(|name| Some(name.as_str()?.chars().take(80).collect::<String>()))
    });
    let lacks = lacks(path, &files, record.as_ref(), gguf, config.is_some());
    Cached {
        bytes: files.iter().fold(0, |sum, (_, size)| sum.saturating_add(*size)),
        architecture: architecture.or_else(|| (gguf && !has("config.json")).then(|| "GGUF".into())),
        source: record.map(|record| record.repo),
        lacks,
        name,
        path: path.into(),
    }
}

fn lacks(path: &Path, files: &[(String, u64)], record: Option<&Record>, gguf: bool, config: bool) -> Option<String> {
    let size = |name: &str| files.iter().find(|(file, _)| file == name).map(|(_, size)| *size);
    if let Some((part, _)) = files.iter().find(|(file, _)| file.ends_with(".part")) {
        return Some(format!("an unfinished download ({part})"));
    }
    if size(UNDERWAY).is_some() {
        return Some("an unfinished download".into());
    }
    if let Some(record) = record {
        if let Some(file) = record.files.iter().find(|file| size(&file.name).is_none()) {
            return Some(format!("no {}, which {RECORD} lists", file.name));
        }
        if let Some(file) = record.files.iter().find(|file| size(&file.name) != Some(file.size)) {
            return Some(format!("a {} of another size than {RECORD} lists", file.name));
        }
    }
    if gguf {
        return None;
    }
    if !config {
        return Some("no readable config.json".into());
    }
    let tokenizers = ["tokenizer.json", "vocab.json", "vocab.txt", "spm.model", "spiece.model"];
    if !tokenizers.iter().any(|name| size(name).is_some()) {
        return Some("no tokenizer.json".into());
    }
    let index = "model.safetensors.index.json";
    if size("model.safetensors").is_some() || size("pytorch_model.bin").is_some() {
        None
    } else if size(index).is_some() {
        match read_json::<serde_json::Value>(&path.join(index)).as_ref().map(shards) {
            Some(shards) if !shards.is_empty() => shards
                .iter()
                .find(|shard| size(shard).is_none())
                .map(|shard| format!("no {shard}, which {index} lists")),
            _ => Some(format!("no readable {index}")),
        }
    } else {
        Some("no weights (model.safetensors, its index, or pytorch_model.bin)".into())
    }
}

/// The distinct files listed in a `model.safetensors.index.json`, sorted.
pub(crate) fn shards(index: &serde_json::Value) -> Vec<String> {
    let map = index.get("weight_map").and_then(|map| map.as_object());
    let names = map.into_iter().flat_map(|map| map.values()).filter_map(|name| name.as_str());
    let sorted: std::collections::BTreeSet<&str> = names.collect();
    sorted.into_iter().map(str::to_owned).collect()
}

/// Lists the files below `folder` as (path relative to `root`, size), down to two levels of subfolders.
fn walk(root: &Path, folder: &Path, depth: usize, out: &mut Vec<(String, u64)>) {
    for path in fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() && depth < 2 {
            walk(root, &path, depth + 1, out);
        } else if let (Ok(name), Ok(meta)) = (path.strip_prefix(root), path.metadata())
            && meta.is_file()
        {
            let parts: Vec<_> = name.components().map(|part| part.as_os_str().to_string_lossy()).collect();
            out.push((parts.join("/"), meta.len()));
        }
    }
}

fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
}

//! `pytorch_model.bin`: state dicts written by `torch.save(model.state_dict(), ...)`, in one file or in shards. Both
//! the zip format (PyTorch 1.6 and later) and the older legacy stream are supported; tensors are read from the file
//! only when requested.

mod guard;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use lm::model::files::{Files, check_name, check_start, read_all};
use lm::model::safetensors::is_buffer;
use lm::model::tensors::{Dtype, OtherDtype, TensorInfo, TensorSource};
use pytorch_reader::{DType, PickleError, PickleValue, PytorchError, PytorchReader};
use record::{Error, Result};

use crate::models::files::FolderFiles;

/// Name of the file that holds an unsharded model.
pub const SINGLE: &str = "pytorch_model.bin";
/// Name of the index of a sharded model.
pub const INDEX: &str = "pytorch_model.bin.index.json";

/// Maximum size of an index in bytes.
const INDEX_LIMIT: usize = 32 << 20;
/// Maximum length, in characters, of a message from the reader, which may quote parts of the file.
const LONGEST_REASON: usize = 400;

/// The tensors of a PyTorch checkpoint, by name.
pub struct PytorchTensors {
    files: Arc<FolderFiles>,
    /// The file to name in messages about a missing tensor.
    root: String,
    entries: BTreeMap<String, Located>,
}

struct Located {
    file: Arc<str>,
    file_bytes: u64,
    tensor: pytorch_reader::Tensor,
}

impl PytorchTensors {
    /// Opens [`SINGLE`], or else [`INDEX`] with its shards; `None` if the folder has neither. Reads only metadata.
    ///
    /// # Errors
    /// [`Error::Broken`] for a file that is not a state dict as `torch.save` writes it, and for an index that disagrees
    /// with its shards or points out of the folder; [`Error::Unsupported`] for sparse, quantized and other tensors that
    /// are not plain numbers; [`Error::Missing`] for a shard that does not exist; [`Error::Io`] from the operating
    /// system.
    pub fn open(files: &Arc<FolderFiles>) -> Result<Option<Self>> {
        if files.size(SINGLE)?.is_some() {
            let mut entries = BTreeMap::new();
            add_file(files, SINGLE, &mut entries)?;
            return Ok(Some(Self { files: Arc::clone(files), root: SINGLE.to_owned(), entries }));
        }
        if files.size(INDEX)?.is_some() { Self::open_index(files).map(Some) } else { Ok(None) }
    }

    fn open_index(files: &Arc<FolderFiles>) -> Result<Self> {
        let broken = |reason: String| Error::broken(files.describe(INDEX), reason);
        let bytes = read_all(&**files, INDEX, INDEX_LIMIT)?;
        let index: Index = serde_json::from_slice((*bytes).as_ref()).map_err(|e| broken(e.to_string()))?;
        let mut shards: Vec<&String> = index.weight_map.values().collect();
        shards.sort();
        shards.dedup();
        if shards.is_empty() {
            return Err(broken("its weight_map names no tensor".to_owned()));
        }
        let mut entries = BTreeMap::new();
        for shard in shards {
            check_name(shard).map_err(|_| broken(format!("it names {shard:?}, which is not a file of this folder")))?;
            add_file(files, shard, &mut entries)?;
        }
        for (tensor, shard) in &index.weight_map {
            match entries.get(tensor).map(|entry| &*entry.file) {
                Some(file) if file == shard => {}
                None if is_buffer(tensor) => {}
                found => {
                    let found = found.map_or_else(|| "is not there".to_owned(), |file| format!("is in {file}"));
                    return Err(broken(format!("it says tensor `{tensor}` is in {shard}, but it {found}")));
                }
            }
        }
        Ok(Self { files: Arc::clone(files), root: INDEX.to_owned(), entries })
    }
}

impl TensorSource for PytorchTensors {
    fn names(&self) -> Vec<&str> {
        self.entries.keys().map(String::as_str).collect()
    }

    fn info(&self, name: &str) -> Option<TensorInfo> {
        let tensor = &self.entries.get(name)?.tensor;
        Some(TensorInfo { shape: tensor.shape().to_vec(), dtype: dtype(tensor.dtype()) })
    }

    fn place(&self, name: &str) -> String {
        self.files.describe(self.entries.get(name).map_or(self.root.as_str(), |entry| &entry.file))
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        let wrong = |expected: String, found: String| {
            Err(Error::Tensor { file: self.place(name), tensor: name.to_owned(), expected, found })
        };
        let Some(Located { file, file_bytes, tensor }) = self.entries.get(name) else {
            return wrong("a tensor of this name".to_owned(), "none".to_owned());
        };
        // A view that repeats its values (stride 0) could require any amount of memory.
        if tensor.byte_len() as u64 > *file_bytes {
            let expected = format!("at most the {file_bytes} bytes of its file");
            return wrong(expected, format!("{} bytes ({:?})", tensor.byte_len(), tensor.shape()));
        }
        // The reader keeps the original file open; this rejects a file that has been replaced since.
        self.files.size(file)?;
        let mut bytes = tensor.read().map_err(|error| match error.kind() {
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => Error::broken(self.place(name), brief(&error)),
            _ => Error::io("reading", self.place(name), error),
        })?;
        if cfg!(target_endian = "big") {
            bytes.chunks_exact_mut(tensor.dtype().size()).for_each(<[u8]>::reverse);
        }
        Ok(bytes)
    }
}

/// Adds the tensors of one file.
fn add_file(files: &FolderFiles, name: &str, entries: &mut BTreeMap<String, Located>) -> Result<()> {
    let place = || files.describe(name);
    let (Some(path), Some(file_bytes)) = (files.path(name)?, files.size(name)?) else {
        return Err(Error::Missing {
            what: name.to_owned(),
            place: files.dir().display().to_string(),
            hint: "Download the model again, or copy the file there.".to_owned(),
        });
    };
    check_start(files, name)?;
    guard::check(files, name, &path, file_bytes)?;
    check_flat(&path).map_err(|error| refused(place(), error))?;
    let reader = PytorchReader::new(&path).map_err(|error| refused(place(), error))?;
    if reader.is_empty() {
        return Err(Error::broken(place(), "it holds no tensor"));
    }
    let file: Arc<str> = name.into();
    for (tensor, found) in reader.into_tensors() {
        match entries.entry(tensor) {
            Entry::Vacant(free) => free.insert(Located { file: Arc::clone(&file), file_bytes, tensor: found }),
            Entry::Occupied(first) => {
                let reason = format!("its tensor `{}` is in {} too", first.key(), first.get().file);
                return Err(Error::broken(place(), reason));
            }
        };
    }
    Ok(())
}

/// Rejects tensors nested in dictionaries or lists of the state dict. For each of them the reader would join the keys
/// of its path to a name: long keys would take any amount of memory, and two paths can yield the same name.
fn check_flat(path: &Path) -> Result<(), PytorchError> {
    let PickleValue::Dict(state) = PytorchReader::read_pickle_data(path, None)? else {
        return Err(PytorchError::InvalidFormat("expected a state dict, found another Python object".to_owned()));
    };
    match state.iter().find(|(_, value)| !matches!(value, PickleValue::Unsupported(_)) && holds_tensor(value)) {
        None => Ok(()),
        Some((key, _)) => Err(PytorchError::InvalidFormat(format!(
            "expected tensors by name as in torch.save(model.state_dict(), ...), but the entry `{key}` is a container"
        ))),
    }
}

fn holds_tensor(value: &PickleValue) -> bool {
    match value {
        PickleValue::Unsupported(kind) => kind == "torch.Tensor",
        PickleValue::List(items) => items.iter().any(holds_tensor),
        PickleValue::Dict(items) => items.values().any(holds_tensor),
        _ => false,
    }
}

/// Converts an error of the reader.
fn refused(file: String, error: PytorchError) -> Error {
    match error {
        PytorchError::Io(error) if error.raw_os_error().is_some() => Error::io("reading", file, error),
        PytorchError::Pickle(PickleError::UnsupportedType(kind)) => Error::Unsupported {
            file,
            found: format!("a tensor of the kind {}", brief(&kind)),
            expected: "dense tensors of floating point, integers or booleans".to_owned(),
        },
        error => Error::broken(file, brief(&error)),
    }
}

fn brief(message: &impl ToString) -> String {
    let message = message.to_string();
    match message.char_indices().nth(LONGEST_REASON) {
        None => message,
        Some((end, _)) => format!("{}...", &message[..end]),
    }
}

fn dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::F64 => Dtype::F64,
        DType::I64 => Dtype::Other(OtherDtype::I64),
        DType::I32 => Dtype::Other(OtherDtype::I32),
        DType::I16 => Dtype::Other(OtherDtype::I16),
        DType::I8 => Dtype::Other(OtherDtype::I8),
        DType::U64 => Dtype::Other(OtherDtype::U64),
        DType::U32 => Dtype::Other(OtherDtype::U32),
        DType::U16 => Dtype::Other(OtherDtype::U16),
        DType::U8 => Dtype::Other(OtherDtype::U8),
        DType::Bool => Dtype::Other(OtherDtype::BOOL),
    }
}

#[derive(serde::Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

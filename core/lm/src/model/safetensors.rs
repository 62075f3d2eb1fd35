//! Tensors in `safetensors` files: a single file, or an index and its shards. Opening reads only headers.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use ::safetensors::tensor::Metadata;
use half::f16;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::files::{Files, check_name, check_start, missing, read_all};
use super::number::{Decode, Span, decode_bf16, decode_f16, decode_f32, decode_f64, unknown};
use super::tensor_source::{Dtype, FLOATS, TensorInfo};
use crate::{Error, Result};

/// Name of the file that holds an unsharded model.
pub const SINGLE: &str = "model.safetensors";
/// Name of the index of a sharded model.
pub const INDEX: &str = "model.safetensors.index.json";

/// Maximum size of a header or index in bytes: the limit of the reference implementation.
const HEADER_LIMIT: usize = 100_000_000;

/// The tensors in a model folder, by name.
pub struct TensorIndex {
    files: Arc<dyn Files>,
    /// The file to name in messages about a missing tensor.
    root: String,
    entries: BTreeMap<String, Located>,
}

struct Located {
    file: Arc<str>,
    start: u64,
    elements: usize,
    info: TensorInfo,
}

impl TensorIndex {
    /// Opens [`SINGLE`], or else [`INDEX`] with its shards.
    ///
    /// # Errors
    /// [`Error::Missing`] if the weights or a shard do not exist; [`Error::Broken`] for a file that the reference
    /// implementation would reject, and for an index that disagrees with its shards or points out of the folder.
    pub fn open(files: Arc<dyn Files>) -> Result<Self> {
        if files.size(SINGLE)?.is_some() {
            return Self::open_file(files, SINGLE);
        }
        if files.size(INDEX)?.is_some() {
            return Self::open_index(files);
        }
        Err(Error::Missing {
            what: format!("{SINGLE} or {INDEX}"),
            place: files.describe(SINGLE),
            hint: "Choose a folder with the model's weights, or download the model again.".to_owned(),
        })
    }

    /// Opens a single file of any name.
    ///
    /// # Errors
    /// As [`TensorIndex::open`].
    pub fn open_file(files: Arc<dyn Files>, name: &str) -> Result<Self> {
        let mut entries = BTreeMap::new();
        read_header(&*files, name, &mut entries)?;
        Ok(Self { root: name.to_owned(), files, entries })
    }

    fn open_index(files: Arc<dyn Files>) -> Result<Self> {
        let broken = |reason: String| Error::broken(files.describe(INDEX), reason);
        let bytes = read_all(&*files, INDEX, HEADER_LIMIT)?;
        let index: Index = serde_json::from_slice((*bytes).as_ref()).map_err(|e| broken(e.to_string()))?;
        drop(bytes);
        let mut shards: Vec<&String> = index.weight_map.0.values().collect();
        shards.sort();
        shards.dedup();
        if shards.is_empty() {
            return Err(broken("its weight_map names no tensor".to_owned()));
        }
        for shard in &shards {
            check_name(shard).map_err(|_| broken(format!("it names {shard:?}, which is not a file of this folder")))?;
        }
        let mut entries = BTreeMap::new();
        for shard in shards {
            read_header(&*files, shard, &mut entries)?;
        }
        for (tensor, shard) in &index.weight_map.0 {
            match entries.get(tensor) {
                Some(entry) if *entry.file == **shard => {}
                Some(entry) => {
                    return Err(broken(format!(
                        "it says tensor `{tensor}` is in {shard}, but it is in {}",
                        entry.file
                    )));
                }
                None if is_buffer(tensor) => {}
                None => return Err(broken(format!("it says tensor `{tensor}` is in {shard}, but it is not there"))),
            }
        }
        Ok(Self { root: INDEX.to_owned(), files, entries })
    }

    /// All tensor names, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.entries.keys().map(String::as_str).collect()
    }

    /// Shape and type of a tensor; `None` if no tensor has this name.
    #[must_use]
    pub fn info(&self, name: &str) -> Option<TensorInfo> {
        self.entries.get(name).map(|entry| entry.info.clone())
    }

    /// The file that holds the tensor, or that should hold it; for messages.
    #[must_use]
    pub fn place(&self, name: &str) -> String {
        self.files.describe(self.entries.get(name).map_or(self.root.as_str(), |entry| &entry.file))
    }

    /// Reads a tensor in row-major order; see [`Tensors::read_f32`](super::tensors::Tensors::read_f32).
    ///
    /// # Errors
    /// [`Error::Tensor`], [`Error::NonFinite`], [`Error::Io`].
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        self.span(name)?.read_f32()
    }

    /// Reads a tensor in half precision; see [`Tensors::read_f16`](super::tensors::Tensors::read_f16).
    ///
    /// # Errors
    /// [`Error::Tensor`], [`Error::NonFinite`], [`Error::Io`].
    pub fn read_f16(&self, name: &str) -> Result<Vec<f16>> {
        self.span(name)?.read_f16()
    }

    fn span<'a>(&'a self, name: &'a str) -> Result<Span<'a>> {
        let entry = self.entries.get(name).ok_or_else(|| unknown(self.place(name), name))?;
        let (bytes, decode): (usize, Decode) = match entry.info.dtype {
            Dtype::F32 => (4, decode_f32),
            Dtype::F16 => (2, decode_f16),
            Dtype::BF16 => (2, decode_bf16),
            Dtype::F64 => (8, decode_f64),
            Dtype::Quantized(_) | Dtype::Other(_) => {
                return Err(Error::Tensor {
                    file: self.place(name),
                    tensor: name.to_owned(),
                    expected: FLOATS.to_owned(),
                    found: entry.info.dtype.to_string(),
                });
            }
        };
        let (start, elements) = (entry.start, entry.elements);
        Ok(Span { files: &*self.files, file: &entry.file, tensor: name, start, elements, block: (bytes, 1), decode })
    }
}

/// Whether a tensor is a buffer that models compute themselves, which indices name although no file may have it.
#[must_use]
pub fn is_buffer(tensor: &str) -> bool {
    let ends = ["inv_freq", "position_ids", "attn.bias", "attn.masked_bias", "attention.bias", "attention.masked_bias"];
    ends.iter().any(|end| tensor.ends_with(end))
}

/// Adds the tensors of one file. The crate's own reader needs the whole file in memory; its header type does not, so
/// the three length checks around it are repeated here.
fn read_header(files: &dyn Files, name: &str, entries: &mut BTreeMap<String, Located>) -> Result<()> {
    let broken = |reason: String| Error::broken(files.describe(name), reason);
    let size = files.size(name)?.ok_or_else(|| missing(files, name))?;
    check_start(files, name)?;
    if size < 8 {
        return Err(broken(format!("it has {size} bytes; a safetensors file has at least 8")));
    }
    let length = files.range(name, 0, 8)?;
    let length = (*length).as_ref().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let len = usize::try_from(length).ok().filter(|len| *len <= HEADER_LIMIT);
    let len = len.ok_or_else(|| broken(format!("a header of {length} bytes is larger than {HEADER_LIMIT}")))?;
    let data = size.checked_sub(8 + length);
    let data = data.ok_or_else(|| broken(format!("a header of {length} bytes does not fit its {size} bytes")))?;

    let header = files.range(name, 8, len)?;
    // Of two tensors with the same name, the crate would silently keep the last.
    serde_json::from_slice::<Unique<IgnoredAny>>((*header).as_ref()).map_err(|e| broken(format!("header: {e}")))?;
    let metadata: Metadata = serde_json::from_slice((*header).as_ref()).map_err(|e| broken(format!("header: {e}")))?;
    drop(header);
    if metadata.data_len() as u64 != data {
        let described = metadata.data_len();
        return Err(broken(format!("the header describes {described} bytes of tensors, but the file holds {data}")));
    }

    let file: Arc<str> = name.into();
    for tensor in metadata.offset_keys() {
        let Some(info) = metadata.info(&tensor) else { continue };
        let start = 8 + length + info.data_offsets.0 as u64;
        let dtype = match info.dtype {
            ::safetensors::Dtype::F32 => Dtype::F32,
            ::safetensors::Dtype::F16 => Dtype::F16,
            ::safetensors::Dtype::BF16 => Dtype::BF16,
            ::safetensors::Dtype::F64 => Dtype::F64,
            other => Dtype::Other(other),
        };
        let elements = info.shape.iter().product();
        let info = TensorInfo { shape: info.shape.clone(), dtype };
        match entries.entry(tensor) {
            Entry::Vacant(place) => place.insert(Located { file: Arc::clone(&file), start, elements, info }),
            Entry::Occupied(first) => {
                return Err(broken(format!("its tensor `{}` is in {} too", first.key(), first.get().file)));
            }
        };
    }
    Ok(())
}

#[derive(serde::Deserialize)]
struct Index {
    weight_map: Unique<String>,
}

/// A JSON object without repeated keys.
struct Unique<V>(BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Unique<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Keys<V> {
            type Value = Unique<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Unique<V>, A::Error> {
                let mut map = BTreeMap::new();
                while let Some((key, value)) = access.next_entry::<String, V>()? {
                    match map.entry(key) {
                        Entry::Vacant(place) => place.insert(value),
                        Entry::Occupied(first) => {
                            return Err(A::Error::custom(format!("`{}` occurs twice", first.key())));
                        }
                    };
                }
                Ok(Unique(map))
            }
        }
        deserializer.deserialize_map(Keys(PhantomData))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::model::files::MemoryFiles;

    const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/bad");

    /// A file that holds `tensors` (name, type, shape, bytes) one after the other.
    fn file(tensors: &[(&str, &str, &[usize], &[u8])]) -> Vec<u8> {
        let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
        for (name, dtype, shape, bytes) in tensors {
            let offsets = [data.len(), data.len() + bytes.len()];
            let entry = serde_json::json!({ "dtype": dtype, "shape": shape, "data_offsets": offsets });
            header.insert((*name).to_owned(), entry);
            data.extend_from_slice(bytes);
        }
        let header = serde_json::to_vec(&header).unwrap();
        [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
    }

    fn open<const N: usize>(files: [(&str, Vec<u8>); N]) -> Result<TensorIndex> {
        TensorIndex::open(Arc::new(MemoryFiles::from_iter(files)))
    }

    fn f32s(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    #[test]
    fn golden_files_are_read_or_refused_as_the_manifest_says() {
        let manifest = std::fs::read(format!("{GOLDEN}/manifest.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        let mut seen = 0;
        for entry in manifest["files"].as_array().unwrap() {
            let name = entry["file"].as_str().unwrap();
            if !name.starts_with("safetensors/") {
                continue;
            }
            let result = open([(SINGLE, std::fs::read(format!("{GOLDEN}/{name}")).unwrap())]);
            match entry["expect"].as_str().unwrap() {
                "ok" => {
                    let index = result.unwrap();
                    for tensor in index.names() {
                        let info = index.info(tensor).unwrap();
                        let count = info.shape.iter().product::<usize>();
                        match info.dtype {
                            Dtype::Other(_) => assert!(index.read_f32(tensor).is_err()),
                            _ => assert_eq!(index.read_f32(tensor).unwrap().len(), count, "{name} {tensor}"),
                        }
                    }
                }
                // Includes the file with a repeated name.
                _ => assert!(matches!(result, Err(Error::Broken { .. })), "{name}: {:?}", result.err()),
            }
            seen += 1;
        }
        assert_eq!(seen, 33);
    }

    #[test]
    fn golden_folders_give_the_errors_that_concern_weights() {
        let folder = |name: &str| -> Result<TensorIndex> {
            let dir = std::fs::read_dir(format!("{GOLDEN}/models/{name}")).unwrap();
            let files = dir
                .map(|entry| entry.unwrap())
                .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()));
            TensorIndex::open(Arc::new(MemoryFiles::from_iter(files)))
        };
        let all = |index: &TensorIndex| -> Result<()> {
            index.names().iter().try_for_each(|name| index.read_f32(name).map(|_| ()))
        };
        all(&folder("good").unwrap()).unwrap();
        for name in ["nan_weight", "inf_weight"] {
            let error = all(&folder(name).unwrap()).unwrap_err();
            assert!(matches!(&error, Error::NonFinite { place, .. } if place == SINGLE), "{name}: {error}");
        }
        let error = all(&folder("wrong_dtype").unwrap()).unwrap_err();
        assert!(matches!(&error, Error::Tensor { found, expected, .. } if found == "I64" && expected == FLOATS));
        let missing = "transformer.h.0.attn.c_proj.weight";
        let error = folder("missing_tensor").unwrap().read_f32(missing).unwrap_err();
        assert!(matches!(&error, Error::Tensor { tensor, .. } if tensor == missing));
        let error = folder("no_weights").err().unwrap();
        assert!(matches!(&error, Error::Missing { what, .. } if what.contains(SINGLE)));
        let error = folder("index_missing_shard").err().unwrap();
        assert!(matches!(&error, Error::Missing { what, .. } if what == "model-00001-of-00002.safetensors"));
        let error = folder("index_path_escape").err().unwrap();
        assert!(matches!(&error, Error::Broken { file, reason } if file == INDEX && reason.contains("../../safe")));
    }

    #[test]
    fn every_float_type_reads_alike() {
        let values = [1.5, -2.0, 0.25];
        let halves: Vec<u8> = values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
        let brains: Vec<u8> = values.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect();
        let doubles: Vec<u8> = values.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect();
        let index = open([(
            SINGLE,
            file(&[
                ("a", "F16", &[3], &halves),
                ("b", "BF16", &[3, 1], &brains),
                ("c", "F64", &[1, 3], &doubles),
                ("d", "F32", &[3], &f32s(&values)),
                ("e", "F64", &[1], &1e300f64.to_le_bytes()),
                ("f", "F32", &[], &1e5f32.to_le_bytes()),
                ("g", "BOOL", &[2], &[0, 1]),
            ]),
        )])
        .unwrap();
        for name in ["a", "b", "c", "d"] {
            assert_eq!(index.read_f32(name).unwrap(), values, "{name}");
            assert_eq!(index.read_f16(name).unwrap(), values.map(f16::from_f32), "{name}");
        }
        assert_eq!(index.info("c").unwrap(), TensorInfo { shape: vec![1, 3], dtype: Dtype::F64 });
        assert!(matches!(index.read_f32("e"), Err(Error::NonFinite { .. })));
        assert_eq!(index.read_f32("f").unwrap(), [1e5]);
        assert!(matches!(index.read_f16("f"), Err(Error::Tensor { found, .. }) if found == "100000"));
        assert!(matches!(index.read_f32("g"), Err(Error::Tensor { found, .. }) if found == "BOOL"));
    }

    #[test]
    fn shards_are_one_model_and_contradictions_are_refused() {
        let index = |map: &str| format!(r#"{{"metadata":{{}},"weight_map":{map}}}"#).into_bytes();
        let (one, two) = (file(&[("a", "F32", &[1], &f32s(&[1.0]))]), file(&[("b", "F32", &[1], &f32s(&[2.0]))]));
        let shards = |map: &str| open([(INDEX, index(map)), ("1.st", one.clone()), ("2.st", two.clone())]);
        let good = shards(r#"{"a":"1.st","b":"2.st"}"#).unwrap();
        assert_eq!(good.names(), ["a", "b"]);
        assert_eq!(good.read_f32("b").unwrap(), [2.0]);
        assert_eq!((good.place("b"), good.place("c")), ("2.st".to_owned(), INDEX.to_owned()));
        for bad in [
            "{}",
            "[]",
            "7",
            r#"{"a":1}"#,
            r#"{"a":"1.st","b":"1.st"}"#,
            r#"{"a":"1.st","a":"1.st"}"#,
            r#"{"a":"2.st","b":"1.st"}"#,
            r#"{"a":"/1.st"}"#,
            r#"{"a":""}"#,
        ] {
            let error = shards(bad).err().unwrap();
            assert!(matches!(&error, Error::Broken { file, .. } if file == INDEX), "{bad}: {error}");
        }
        let twice = open([(INDEX, index(r#"{"a":"1.st","b":"2.st"}"#)), ("1.st", one.clone()), ("2.st", one)]);
        assert!(matches!(twice, Err(Error::Broken { file, .. }) if file == "2.st"));
    }
}

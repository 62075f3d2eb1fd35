//! GGUF files, versions 2 and 3, little-endian: metadata and the location of tensors. Opening reads only the header.
//!
//! The reader is stricter than the format in three points, so that a damaged file is not mistaken for a model: it
//! rejects dimensions of 0, repeated keys or tensor names, and tensors that share bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use half::f16;

use super::kind::{Kind, name_of};
use super::reader::{Reader, Value};
use crate::model::files::{Files, check_start, missing};
use crate::model::number::{Span, unknown};
use crate::model::tensor_source::{Dtype, TensorInfo};
use crate::{Error, Result};

const MAGIC: &[u8] = b"GGUF";
/// Maximum number of dimensions of a tensor: ggml's limit.
const MAX_DIMS: u32 = 4;

/// A GGUF file: its metadata, and its tensors under the names in the file.
pub struct Gguf {
    files: Arc<dyn Files>,
    name: String,
    metadata: BTreeMap<String, Value>,
    tensors: BTreeMap<String, Located>,
}

struct Located {
    start: u64,
    bytes: u64,
    elements: usize,
    kind: Kind,
    /// Outermost dimension first.
    shape: Vec<usize>,
}

impl Gguf {
    /// Opens the file with this name and reads its header.
    ///
    /// # Errors
    /// [`Error::Missing`]; [`Error::Broken`] for anything that the format forbids; [`Error::Unsupported`] for another
    /// version, big-endian files and block formats that are not in [`Kind::ALL`].
    pub fn open(files: Arc<dyn Files>, name: &str) -> Result<Self> {
        let size = files.size(name)?.ok_or_else(|| missing(&*files, name))?;
        check_start(&*files, name)?;
        let mut reader = Reader::new(&*files, name, size);
        if reader.take(4)? != MAGIC {
            return Err(reader.broken("it does not start with `GGUF`"));
        }
        let version = reader.u32()?;
        if !matches!(version, 2 | 3) {
            let big = if matches!(version.swap_bytes(), 1..=3) { " (big-endian)" } else { "" };
            return Err(Error::Unsupported {
                file: files.describe(name),
                found: format!("GGUF version {version}{big}"),
                expected: "versions 2 and 3, little-endian".to_owned(),
            });
        }
        // Minimum sizes in bytes. Tensor: name length, number of dimensions, type, offset; entry: key length, type, one
        // byte.
        let tensor_count = reader.count(8 + 4 + 4 + 8, "tensors")?;
        let entry_count = reader.count(8 + 4 + 1, "metadata entries")?;
        let mut metadata = BTreeMap::new();
        for _ in 0..entry_count {
            let key = reader.string()?;
            let value = reader.value(&key)?;
            if metadata.contains_key(&key) {
                return Err(reader.broken(format!("metadata `{key}` occurs twice")));
            }
            metadata.insert(key, value);
        }
        let alignment = match metadata.get("general.alignment") {
            None => 32,
            Some(Value::U32(n)) if n.is_power_of_two() => u64::from(*n),
            Some(_) => return Err(reader.broken("`general.alignment` is not a 32-bit power of two")),
        };
        let mut tensors = BTreeMap::new();
        for _ in 0..tensor_count {
            let (tensor, located) = tensor(&mut reader, alignment)?;
            if tensors.contains_key(&tensor) {
                return Err(reader.broken(format!("tensor `{tensor}` occurs twice")));
            }
            tensors.insert(tensor, located);
        }
        // A file without tensors may end before the padding.
        let base = reader.position().next_multiple_of(alignment);
        place(&reader, &mut tensors, base, size)?;
        drop(reader);
        Ok(Self { name: name.to_owned(), files, metadata, tensors })
    }

    /// The metadata entry with this key.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// The path or name of the file, for messages.
    #[must_use]
    pub fn place(&self) -> String {
        self.files.describe(&self.name)
    }

    /// All tensor names in the file, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    /// Shape (outermost dimension first) and type of a tensor; `None` if no tensor has this name.
    #[must_use]
    pub fn info(&self, name: &str) -> Option<TensorInfo> {
        let tensor = self.tensors.get(name)?;
        let dtype = match tensor.kind {
            Kind::F32 => Dtype::F32,
            Kind::F16 => Dtype::F16,
            Kind::BF16 => Dtype::BF16,
            kind => Dtype::Quantized(kind),
        };
        Some(TensorInfo { shape: tensor.shape.clone(), dtype })
    }

    /// Reads a tensor in row-major order.
    ///
    /// # Errors
    /// [`Error::Tensor`] for an unknown name, [`Error::NonFinite`] for NaN and infinity.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        self.span(name)?.read_f32()
    }

    /// Reads a tensor in half precision.
    ///
    /// # Errors
    /// As [`Gguf::read_f32`]; [`Error::Tensor`] also for a value beyond the range of `f16`.
    pub fn read_f16(&self, name: &str) -> Result<Vec<f16>> {
        self.span(name)?.read_f16()
    }

    fn span<'a>(&'a self, name: &'a str) -> Result<Span<'a>> {
        let tensor = self.tensors.get(name).ok_or_else(|| unknown(self.place(), name))?;
        Ok(Span {
            files: &*self.files,
            file: &self.name,
            tensor: name,
            start: tensor.start,
            elements: tensor.elements,
            block: tensor.kind.block(),
            decode: tensor.kind.decode(),
        })
    }
}

/// Reads the description of one tensor; `start` is still relative to the data section.
fn tensor(reader: &mut Reader<'_>, alignment: u64) -> Result<(String, Located)> {
    let name = reader.string()?;
    let dims = reader.u32()?;
    if dims > MAX_DIMS {
        return Err(reader.broken(format!("tensor `{name}` has {dims} dimensions; at most {MAX_DIMS} are allowed")));
    }
    let mut shape = Vec::new();
    let mut elements = 1usize;
    for _ in 0..dims {
        let dim = reader.u64()?;
        let product = usize::try_from(dim).ok().filter(|d| *d > 0).and_then(|d| Some((d, elements.checked_mul(d)?)));
        let Some((dim, product)) = product else {
            return Err(reader.broken(format!("tensor `{name}`: a dimension of {dim} is not possible here")));
        };
        elements = product;
        shape.push(dim);
    }
    let id = reader.u32()?;
    let start = reader.u64()?;
    let Some(kind) = Kind::from_id(id) else {
        let found = name_of(id).map_or_else(|| format!("number {id}"), str::to_owned);
        return Err(Error::Unsupported {
            file: reader.describe(),
            found: format!("tensor `{name}` of type {found}"),
            expected: Kind::ALL.map(Kind::name).join(", "),
        });
    };
    let (block_bytes, block) = kind.block();
    let row = shape.first().copied().unwrap_or(1);
    if !row.is_multiple_of(block) {
        return Err(reader
            .broken(format!("tensor `{name}`: {} rows need a multiple of {block} values, not {row}", kind.name())));
    }
    let Some(bytes) = ((elements / block) as u64).checked_mul(block_bytes as u64) else {
        return Err(reader.broken(format!("tensor `{name}` is larger than any file")));
    };
    if !start.is_multiple_of(alignment) {
        return Err(reader.broken(format!("tensor `{name}`: offset {start} is not a multiple of {alignment}")));
    }
    shape.reverse();
    Ok((name, Located { start, bytes, elements, kind, shape }))
}

/// Makes offsets absolute; rejects tensors that extend beyond the file or share bytes.
fn place(reader: &Reader<'_>, tensors: &mut BTreeMap<String, Located>, base: u64, size: u64) -> Result<()> {
    let mut spans = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors.iter_mut() {
        let end = base.checked_add(tensor.start).and_then(|start| start.checked_add(tensor.bytes));
        if end.is_none_or(|end| end > size) {
            return Err(reader.broken(format!(
                "tensor `{name}` ({} bytes at {} of the data) ends beyond its {size} bytes",
                tensor.bytes, tensor.start
            )));
        }
        tensor.start += base;
        spans.push((tensor.start, tensor.bytes, name));
    }
    spans.sort();
    for pair in spans.windows(2) {
        if pair[0].0 + pair[0].1 > pair[1].0 {
            return Err(reader.broken(format!("tensors `{}` and `{}` share bytes", pair[0].2, pair[1].2)));
        }
    }
    Ok(())
}

/// The error for a metadata entry, of which it shows the value.
pub(super) fn entry_error(gguf: &Gguf, key: &str, expected: &str) -> Error {
    let found: String = match gguf.metadata(key) {
        None => "nothing".to_owned(),
        Some(Value::Strings(_) | Value::Arrays(_) | Value::Numbers(_)) => "an array".to_owned(),
        Some(value) => format!("{value:?}").chars().take(80).collect(),
    };
    config_error(gguf, key, expected, &found)
}

pub(super) fn config_error(gguf: &Gguf, key: &str, expected: &str, found: &str) -> Error {
    Error::Config { file: gguf.place(), field: key.to_owned(), expected: expected.to_owned(), found: found.to_owned() }
}

pub(super) fn unsupported(gguf: &Gguf, found: impl Into<String>, expected: &str) -> Error {
    Error::Unsupported { file: gguf.place(), found: found.into(), expected: expected.to_owned() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
pub(crate) mod tests {
    use super::*;
    use crate::model::files::MemoryFiles;

    const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/bad");

    /// Builds GGUF files for tests.
    #[derive(Default)]
    pub(crate) struct Writer {
        entries: Vec<(String, Vec<u8>)>,
        tensors: Vec<(String, Vec<usize>, u32, Vec<u8>)>,
    }

    fn string(text: &str) -> Vec<u8> {
        [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
    }

    impl Writer {
        /// Adds a metadata entry, given its value type and the bytes of the value.
        pub fn raw(&mut self, key: &str, kind: u32, value: &[u8]) -> &mut Self {
            self.entries.retain(|(old, _)| old != key);
            self.entries.push((key.to_owned(), [&kind.to_le_bytes()[..], value].concat()));
            self
        }

        pub fn u32(&mut self, key: &str, value: u32) -> &mut Self {
            self.raw(key, 4, &value.to_le_bytes())
        }

        pub fn text(&mut self, key: &str, value: &str) -> &mut Self {
            self.raw(key, 8, &string(value))
        }

        pub fn texts(&mut self, key: &str, values: &[&str]) -> &mut Self {
            let mut bytes = [&8u32.to_le_bytes()[..], &(values.len() as u64).to_le_bytes()].concat();
            values.iter().for_each(|value| bytes.extend(string(value)));
            self.raw(key, 9, &bytes)
        }

        fn numbers(&mut self, key: &str, kind: u32, values: &[[u8; 4]]) -> &mut Self {
            let header = [&kind.to_le_bytes()[..], &(values.len() as u64).to_le_bytes()].concat();
            self.raw(key, 9, &[header, values.concat()].concat())
        }

        pub fn i32s(&mut self, key: &str, values: &[i32]) -> &mut Self {
            self.numbers(key, 5, &values.iter().map(|v| v.to_le_bytes()).collect::<Vec<_>>())
        }

        pub fn floats(&mut self, key: &str, values: &[f32]) -> &mut Self {
            self.numbers(key, 6, &values.iter().map(|v| v.to_le_bytes()).collect::<Vec<_>>())
        }

        /// Adds a tensor; `shape` has the outermost dimension first.
        pub fn tensor(&mut self, name: &str, shape: &[usize], kind: u32, bytes: &[u8]) -> &mut Self {
            self.tensors.push((name.to_owned(), shape.to_vec(), kind, bytes.to_vec()));
            self
        }

        pub fn f32s(&mut self, name: &str, shape: &[usize], values: &[f32]) -> &mut Self {
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            self.tensor(name, shape, 0, &bytes)
        }

        pub fn bytes(&self) -> Vec<u8> {
            let mut out = [MAGIC, &3u32.to_le_bytes()].concat();
            out.extend((self.tensors.len() as u64).to_le_bytes());
            out.extend((self.entries.len() as u64).to_le_bytes());
            for (key, value) in &self.entries {
                out.extend(string(key));
                out.extend(value);
            }
            let mut data = Vec::new();
            for (name, shape, kind, bytes) in &self.tensors {
                out.extend(string(name));
                out.extend((shape.len() as u32).to_le_bytes());
                shape.iter().rev().for_each(|d| out.extend((*d as u64).to_le_bytes()));
                out.extend(kind.to_le_bytes());
                out.extend((data.len() as u64).to_le_bytes());
                data.extend(bytes);
                data.resize(data.len().next_multiple_of(32), 0);
            }
            out.resize(out.len().next_multiple_of(32), 0);
            [out, data].concat()
        }
    }

    pub(crate) fn memory(bytes: Vec<u8>) -> Arc<dyn Files> {
        Arc::new(MemoryFiles::from_iter([("m.gguf", bytes)]))
    }

    #[test]
    fn golden_files_are_read_or_refused_as_the_manifest_says() {
        let manifest = std::fs::read(format!("{GOLDEN}/manifest.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        let mut seen = 0;
        for entry in manifest["files"].as_array().unwrap() {
            let name = entry["file"].as_str().unwrap();
            if !name.starts_with("gguf/") {
                continue;
            }
            let bytes = std::fs::read(format!("{GOLDEN}/{name}")).unwrap();
            let result = Gguf::open(memory(bytes), "m.gguf");
            match (entry["expect"].as_str().unwrap(), result) {
                ("ok", result) => assert_eq!(result.unwrap().read_f32("t").unwrap().len(), 8),
                // Includes the file with a dimension of 0.
                (_, Err(Error::Broken { .. } | Error::Unsupported { .. })) => {}
                (_, result) => panic!("{name}: {:?}", result.err()),
            }
            seen += 1;
        }
        assert_eq!(seen, 26);
    }

    #[test]
    fn every_shorter_file_is_refused() {
        let whole = Writer::default()
            .text("a", "text")
            .texts("b", &["x", "yz"])
            .u32("c", 7)
            .f32s("t", &[2, 4], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
            .bytes();
        let gguf = Gguf::open(memory(whole.clone()), "m.gguf").unwrap();
        assert_eq!(gguf.metadata("b"), Some(&Value::Strings(vec!["x".to_owned(), "yz".to_owned()])));
        assert_eq!(gguf.info("t").unwrap(), TensorInfo { shape: vec![2, 4], dtype: Dtype::F32 });
        assert_eq!(gguf.read_f16("t").unwrap()[7].to_f32(), 8.0);
        for len in 0..whole.len() {
            let result = Gguf::open(memory(whole[..len].to_vec()), "m.gguf");
            assert!(matches!(result, Err(Error::Broken { .. })), "{len}: {:?}", result.err());
        }
    }

    #[test]
    fn flipped_bytes_never_panic() {
        let whole = Writer::default()
            .u32("general.alignment", 32)
            .texts("b", &["x"])
            .raw("n", 9, &[2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0])
            .f32s("t", &[2, 2], &[1.0; 4])
            .tensor("q", &[1, 32], 8, &[1; 34])
            .bytes();
        for at in 0..whole.len() {
            for flip in [1, 0x40, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                if let Ok(gguf) = Gguf::open(memory(bytes), "m.gguf") {
                    gguf.names().iter().for_each(|name| drop(gguf.read_f32(name)));
                }
            }
        }
    }

    #[test]
    fn headers_longer_than_a_window_are_read() {
        let long = "word ".repeat(300_000);
        let texts: Vec<String> = (0..200_000).map(|i| format!("t{i}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let bytes = Writer::default().texts("a", &texts).text("b", &long).f32s("t", &[1], &[3.5]).bytes();
        let gguf = Gguf::open(memory(bytes), "m.gguf").unwrap();
        assert_eq!(gguf.metadata("b").and_then(Value::as_str), Some(long.as_str()));
        assert!(matches!(gguf.metadata("a"), Some(Value::Strings(list)) if list[199_999] == "t199999"));
        assert_eq!(gguf.read_f32("t").unwrap(), [3.5]);
    }

    #[test]
    fn unread_formats_and_non_finite_values_are_named() {
        let file = Writer::default().tensor("t", &[1, 256], 16, &[0; 66]).bytes();
        let error = Gguf::open(memory(file), "m.gguf").err().unwrap();
        assert!(matches!(&error, Error::Unsupported { found, expected, .. }
            if found.contains("`t`") && found.contains("IQ2_XXS") && expected.contains("Q4_K")));
        let file = Writer::default().f32s("t", &[2], &[0.0, f32::NAN]).bytes();
        let error = Gguf::open(memory(file), "m.gguf").unwrap().read_f32("t").unwrap_err();
        assert!(matches!(error, Error::NonFinite { what, .. } if what.contains("`t`")));
    }
}

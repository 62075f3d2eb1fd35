//! GGUF files, of one part or of several: metadata, and tensors by their names. Opening reads only the headers.

use std::collections::BTreeMap;
use std::sync::Arc;

use half::f16;

use super::header::{Header, Located};
use super::kind::Kind;
use super::reader::Value;
use super::split::{Checked, parts};
use crate::model::files::{Files, missing};
use crate::model::number::{Span, unknown};
use crate::model::tensor_source::{Dtype, TensorInfo};
use crate::{Error, Result};

/// A GGUF file: its metadata, and its tensors under the names in the file.
pub struct Gguf {
    files: Arc<dyn Files>,
    /// Names of its parts; usually one.
    parts: Vec<String>,
    metadata: BTreeMap<String, Value>,
    /// The tensors, with the index of the part that each is in.
    tensors: BTreeMap<String, (usize, Located)>,
}

impl Gguf {
    /// Opens the file with this name and reads its header. The name of one part of a split file opens all its parts.
    ///
    /// # Errors
    /// [`Error::Missing`] for a file or a part; [`Error::Broken`] for anything that the format forbids, and for parts
    /// that do not belong together; [`Error::Unsupported`] for another version, big-endian files, block formats that are
    /// not in [`Kind::ALL`], and a part whose name does not say which one it is.
    pub fn open(files: Arc<dyn Files>, name: &str) -> Result<Self> {
        let parts = parts(name);
        for part in &parts {
            files.size(part)?.ok_or_else(|| missing(&*files, part))?;
        }
        let (mut metadata, mut tensors) = (BTreeMap::new(), BTreeMap::new());
        let mut checked = Checked::new(parts.len());
        for (index, part) in parts.iter().enumerate() {
            let header = Header::read(&*files, part)?;
            checked.part(&files.describe(part), index, &header)?;
            for (tensor, located) in header.tensors {
                if let Some((first, _)) = tensors.get(&tensor) {
                    let reason = format!("{} has the tensor `{tensor}` too", parts[*first]);
                    return Err(Error::broken(files.describe(part), reason));
                }
                tensors.insert(tensor, (index, located));
            }
            if index == 0 {
                metadata = header.metadata;
            }
        }
        checked.all(&files.describe(&parts[0]), tensors.len())?;
        Ok(Self { files, parts, metadata, tensors })
    }

    /// The metadata entry with this key.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// The keys of all metadata entries, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.metadata.keys().map(String::as_str)
    }

    /// The path or name of the file, for messages.
    #[must_use]
    pub fn place(&self) -> String {
        self.files.describe(&self.parts[0])
    }

    /// All tensor names in the file, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    /// Shape (outermost dimension first) and type of a tensor; `None` if no tensor has this name.
    #[must_use]
    pub fn info(&self, name: &str) -> Option<TensorInfo> {
        let (_, tensor) = self.tensors.get(name)?;
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
        let (part, tensor) = self.tensors.get(name).ok_or_else(|| unknown(self.place(), name))?;
        Ok(Span {
            files: &*self.files,
            file: &self.parts[*part],
            tensor: name,
            start: tensor.start,
            elements: tensor.elements,
            block: tensor.kind.block(),
            decode: tensor.kind.decode(),
        })
    }
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
mod tests {
    use super::super::fixture::{Writer, memory};
    use super::*;

    const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/bad");

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

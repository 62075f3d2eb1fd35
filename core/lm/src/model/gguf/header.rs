//! The header of one GGUF file, version 2 or 3, little-endian: metadata and the location of tensors.
//!
//! The reader is stricter than the format in three points, so that a damaged file is not mistaken for a model: it
//! rejects dimensions of 0, repeated keys or tensor names, and tensors that share bytes.

use std::collections::BTreeMap;

use super::kind::{Kind, name_of};
use super::reader::{Reader, Value};
use crate::model::files::{Files, check_start, missing};
use crate::{Error, Result};

const MAGIC: &[u8] = b"GGUF";
/// Maximum number of dimensions of a tensor: ggml's limit.
const MAX_DIMS: u32 = 4;

/// What the header of a file says.
pub(super) struct Header {
    pub metadata: BTreeMap<String, Value>,
    pub tensors: BTreeMap<String, Located>,
}

/// The location of a tensor in its file.
pub(super) struct Located {
    pub start: u64,
    pub bytes: u64,
    pub elements: usize,
    pub kind: Kind,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
}

impl Header {
    /// Reads the header of the file with this name.
    ///
    /// # Errors
    /// [`Error::Missing`]; [`Error::Broken`] for anything that the format forbids; [`Error::Unsupported`] for another
    /// version, big-endian files and block formats that are not in [`Kind::ALL`].
    pub fn read(files: &dyn Files, name: &str) -> Result<Self> {
        let size = files.size(name)?.ok_or_else(|| missing(files, name))?;
        check_start(files, name)?;
        let mut reader = Reader::new(files, name, size);
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
        Ok(Self { metadata, tensors })
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

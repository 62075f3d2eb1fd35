//! Reads numbers, strings and metadata values of a GGUF header through a window on the file.

use crate::model::files::{Bytes, Files};
use crate::{Error, Result};

/// Size of the window in bytes.
const WINDOW: usize = 1 << 20;
/// Maximum size of a header in bytes. A vocabulary of 256,000 tokens with its merges needs about 15 MiB.
const HEADER_LIMIT: u64 = 256 << 20;
/// Maximum nesting depth of arrays; no known files nest arrays at all.
const MAX_DEPTH: usize = 4;

/// A metadata value; the type numbers are those of the format.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// 8-bit unsigned integer (type 0).
    U8(u8),
    /// 8-bit signed integer (type 1).
    I8(i8),
    /// 16-bit unsigned integer (type 2).
    U16(u16),
    /// 16-bit signed integer (type 3).
    I16(i16),
    /// 32-bit unsigned integer (type 4).
    U32(u32),
    /// 32-bit signed integer (type 5).
    I32(i32),
    /// 32-bit floating-point number (type 6).
    F32(f32),
    /// Boolean (type 7).
    Bool(bool),
    /// String (type 8).
    String(String),
    /// Array of strings (type 9).
    Strings(Vec<String>),
    /// Array of arrays (type 9).
    Arrays(Vec<Value>),
    /// Array of numbers or booleans (type 9).
    Numbers(Numbers),
    /// 64-bit unsigned integer (type 10).
    U64(u64),
    /// 64-bit signed integer (type 11).
    I64(i64),
    /// 64-bit floating-point number (type 12).
    F64(f64),
}

impl Value {
    /// The value of a non-negative integer of any integer type.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::U8(v) => Some(v.into()),
            Self::U16(v) => Some(v.into()),
            Self::U32(v) => Some(v.into()),
            Self::U64(v) => Some(v),
            Self::I8(v) => v.try_into().ok(),
            Self::I16(v) => v.try_into().ok(),
            Self::I32(v) => v.try_into().ok(),
            Self::I64(v) => v.try_into().ok(),
            _ => None,
        }
    }

    /// The value of a floating-point number. An `F32` is converted by its shortest decimal (1e-5, not 9.99999974e-6).
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::F32(v) => v.to_string().parse().ok(),
            Self::F64(v) => Some(v),
            _ => None,
        }
    }

    /// The value of a boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(v) = *self { Some(v) } else { None }
    }

    /// The text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(v) = self { Some(v) } else { None }
    }
}

/// An array of numbers, stored as in the file, so that a malicious array of bytes does not take more memory than its
/// size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbers {
    kind: u32,
    bytes: Vec<u8>,
}

impl Numbers {
    /// Iterates over the values.
    pub fn iter(&self) -> impl Iterator<Item = Value> {
        let width = width(self.kind).unwrap_or(1);
        self.bytes.chunks_exact(width).filter_map(|bytes| scalar(self.kind, bytes))
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() / width(self.kind).unwrap_or(1)
    }

    /// Whether the array is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Size in bytes of a number of this type; `None` for strings, arrays and unknown types.
fn width(kind: u32) -> Option<usize> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// A number or boolean from its bytes; `None` for a boolean other than 0 and 1, and for too few bytes.
fn scalar(kind: u32, bytes: &[u8]) -> Option<Value> {
    let one = || bytes.first_chunk::<1>();
    Some(match kind {
        0 => Value::U8(one()?[0]),
        1 => Value::I8(one()?[0].cast_signed()),
        2 => Value::U16(u16::from_le_bytes(*bytes.first_chunk()?)),
        3 => Value::I16(i16::from_le_bytes(*bytes.first_chunk()?)),
        4 => Value::U32(u32::from_le_bytes(*bytes.first_chunk()?)),
        5 => Value::I32(i32::from_le_bytes(*bytes.first_chunk()?)),
        6 => Value::F32(f32::from_le_bytes(*bytes.first_chunk()?)),
        7 if one()?[0] < 2 => Value::Bool(one()?[0] == 1),
        10 => Value::U64(u64::from_le_bytes(*bytes.first_chunk()?)),
        11 => Value::I64(i64::from_le_bytes(*bytes.first_chunk()?)),
        12 => Value::F64(f64::from_le_bytes(*bytes.first_chunk()?)),
        _ => return None,
    })
}

/// Reads a header sequentially. Lengths are checked against the rest of the file before anything is allocated.
pub(crate) struct Reader<'a> {
    files: &'a dyn Files,
    name: &'a str,
    size: u64,
    window: Option<Bytes>,
    /// The offset of the window in the file, and the position within the window.
    start: u64,
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(files: &'a dyn Files, name: &'a str, size: u64) -> Self {
        Self { files, name, size, window: None, start: 0, at: 0 }
    }

    pub fn position(&self) -> u64 {
        self.start + self.at as u64
    }

    pub fn describe(&self) -> String {
        self.files.describe(self.name)
    }

    pub fn broken(&self, reason: impl std::fmt::Display) -> Error {
        Error::broken(self.describe(), reason)
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&[u8]> {
        let held = self.window.as_deref().map_or(0, |window| window.as_ref().len());
        if self.at.checked_add(len).is_none_or(|end| end > held) {
            let position = self.position();
            let left = self.size - position;
            if len as u64 > left {
                return Err(
                    self.broken(format!("it ends inside its header: {len} bytes from byte {position} are needed"))
                );
            }
            if position + len as u64 > HEADER_LIMIT {
                return Err(self.broken(format!("its header is longer than {HEADER_LIMIT} bytes")));
            }
            // Drop the old window first, so that only one is in memory.
            self.window = None;
            let want = len.max(usize::try_from(left).unwrap_or(WINDOW).min(WINDOW));
            self.window = Some(self.files.range(self.name, position, want)?);
            (self.start, self.at) = (position, 0);
        }
        let from = self.at;
        self.at += len;
        Ok(self.window.as_deref().and_then(|window| window.as_ref().get(from..from + len)).unwrap_or_default())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.first_chunk().copied().unwrap_or([0; N]))
    }

    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads a count of items that take at least `each` bytes each.
    pub fn count(&mut self, each: u64, what: &str) -> Result<usize> {
        let count = self.u64()?;
        let left = self.size - self.position();
        match usize::try_from(count) {
            Ok(n) if count <= left / each.max(1) => Ok(n),
            _ => Err(self.broken(format!("it announces {count} {what}, but only {left} bytes follow"))),
        }
    }

    pub fn string(&mut self) -> Result<String> {
        let len = self.count(1, "bytes of text")?;
        let position = self.position();
        match std::str::from_utf8(self.take(len)?) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(self.broken(format!("the text at byte {position} is not UTF-8"))),
        }
    }

    /// Reads a value type and a value of that type.
    pub fn value(&mut self, key: &str) -> Result<Value> {
        let kind = self.u32()?;
        self.typed(key, kind, 0)
    }

    fn typed(&mut self, key: &str, kind: u32, depth: usize) -> Result<Value> {
        match (width(kind), kind) {
            (Some(width), _) => {
                let value = scalar(kind, self.take(width)?);
                value.ok_or_else(|| self.broken(format!("metadata `{key}` is a boolean other than 0 and 1")))
            }
            (None, 8) => self.string().map(Value::String),
            (None, 9) if depth == MAX_DEPTH => {
                Err(self.broken(format!("metadata `{key}` nests arrays more than {MAX_DEPTH} deep")))
            }
            (None, 9) => self.list(key, depth + 1),
            (None, _) => Err(self.broken(format!("metadata `{key}` has the unknown value type {kind}"))),
        }
    }

    fn list(&mut self, key: &str, depth: usize) -> Result<Value> {
        let kind = self.u32()?;
        if let Some(width) = width(kind) {
            let len = self.count(width as u64, "numbers")? * width;
            let bytes = self.take(len)?.to_vec();
            if kind == 7 && bytes.iter().any(|byte| *byte > 1) {
                return Err(self.broken(format!("metadata `{key}` has a boolean other than 0 and 1")));
            }
            return Ok(Value::Numbers(Numbers { kind, bytes }));
        }
        if kind == 8 {
            let count = self.count(8, "strings")?;
            return (0..count).map(|_| self.string()).collect::<Result<_>>().map(Value::Strings);
        }
        if kind != 9 {
            return Err(self.broken(format!("metadata `{key}` is an array of the unknown value type {kind}")));
        }
        let count = self.count(12, "arrays")?;
        (0..count).map(|_| self.typed(key, kind, depth)).collect::<Result<_>>().map(Value::Arrays)
    }
}

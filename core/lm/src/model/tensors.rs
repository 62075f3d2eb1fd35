//! Access to tensors by name as `f32` or `f16`, independent of the file format.

use std::collections::BTreeMap;
use std::fmt;

pub use ::safetensors::Dtype as OtherDtype;
use half::{bf16, f16, slice::HalfFloatSliceExt};

use super::files::{Files, in_chunks};
use super::gguf::{Kind, Llama};
use super::safetensors::TensorIndex;
use crate::{Error, Result};

/// The types that [`Tensors::read_f32`] accepts from safetensors and from a [`TensorSource`], for messages.
pub(crate) const FLOATS: &str = "F32, F16, BF16 or F64";

/// How many bytes of a tensor from a [`TensorSource`] are decoded at a time; a multiple of the size of every float
/// type.
const PIECE: usize = 1 << 20;

/// The number type of a tensor in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dtype {
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point.
    F16,
    /// bfloat16: 32-bit floating point without the lower 16 bits.
    BF16,
    /// 64-bit floating point.
    F64,
    /// A quantised block format of GGUF.
    Quantized(Kind),
    /// Any other type, such as integers and booleans, which cannot be read as weights.
    Other(OtherDtype),
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quantized(kind) => f.write_str(kind.name()),
            Self::Other(dtype) => write!(f, "{dtype:?}"),
            float => write!(f, "{float:?}"),
        }
    }
}

/// Shape and number type of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Dimensions, outermost first, as in PyTorch.
    pub shape: Vec<usize>,
    /// Number type in the file.
    pub dtype: Dtype,
}

/// A checkpoint in a format that is read outside this crate, one tensor at a time.
pub trait TensorSource: Send + Sync {
    /// All tensor names, sorted.
    fn names(&self) -> Vec<&str>;

    /// Shape and type of a tensor; `None` if no tensor has this name.
    fn info(&self, name: &str) -> Option<TensorInfo>;

    /// The file that holds the tensor or, for an unknown name, should hold it; for messages.
    fn place(&self, name: &str) -> String;

    /// Reads the values in row-major order, little-endian, in the type given by [`TensorSource::info`]. Only called for
    /// floating-point tensors.
    ///
    /// # Errors
    /// [`Error::Tensor`] for an unknown name, [`Error::Broken`] and [`Error::Io`] from the file.
    fn read(&self, name: &str) -> Result<Vec<u8>>;
}

/// The tensors of a checkpoint, with the names of Hugging Face checkpoints.
pub enum Tensors {
    /// One or several `safetensors` files.
    Safetensors(TensorIndex),
    /// A GGUF file of a Llama.
    Gguf(Llama),
    /// A format implemented by the caller (`pytorch_model.bin`).
    Source(Box<dyn TensorSource>),
    /// Shape and values by name, for tests and formats that are read as a whole.
    Memory(BTreeMap<String, (Vec<usize>, Vec<f32>)>),
}

impl Tensors {
    /// All tensor names, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Safetensors(index) => index.names(),
            Self::Gguf(llama) => llama.names(),
            Self::Source(source) => source.names(),
            Self::Memory(tensors) => tensors.keys().map(String::as_str).collect(),
        }
    }

    /// Shape and type of a tensor; `None` if no tensor has this name.
    #[must_use]
    pub fn info(&self, name: &str) -> Option<TensorInfo> {
        match self {
            Self::Safetensors(index) => index.info(name),
            Self::Gguf(llama) => llama.info(name),
            Self::Source(source) => source.info(name),
            Self::Memory(tensors) => {
                tensors.get(name).map(|(shape, _)| TensorInfo { shape: shape.clone(), dtype: Dtype::F32 })
            }
        }
    }

    /// The file that holds the tensor or, for an unknown name, should hold it; for messages.
    #[must_use]
    pub fn place(&self, name: &str) -> String {
        match self {
            Self::Safetensors(index) => index.place(name),
            Self::Gguf(llama) => llama.place(),
            Self::Source(source) => source.place(name),
            Self::Memory(_) => "the loaded weights".to_owned(),
        }
    }

    /// Reads a tensor in row-major order; the number of values matches its shape.
    ///
    /// # Errors
    /// [`Error::Tensor`] for an unknown name, a type that is not floating point, or (from memory or a source) a number
    /// of values that does not match the shape; [`Error::NonFinite`] if a value is NaN, infinite or beyond the range of
    /// `f32`.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        match self {
            Self::Safetensors(index) => index.read_f32(name),
            Self::Gguf(llama) => llama.read_f32(name),
            Self::Source(source) => {
                let (values, bytes) = from_source(&**source, name)?;
                values.read_f32(|each| hand_over(bytes, each))
            }
            Self::Memory(_) => self.memory(name).map(<[f32]>::to_vec),
        }
    }

    /// Reads a tensor in half precision, rounded to nearest, in row-major order.
    ///
    /// # Errors
    /// As [`Tensors::read_f32`]; [`Error::Tensor`] also for a value beyond the range of `f16` (65504).
    pub fn read_f16(&self, name: &str) -> Result<Vec<f16>> {
        match self {
            Self::Safetensors(index) => index.read_f16(name),
            Self::Gguf(llama) => llama.read_f16(name),
            Self::Source(source) => {
                let (values, bytes) = from_source(&**source, name)?;
                values.read_f16(|each| hand_over(bytes, each))
            }
            Self::Memory(_) => {
                let mut out = Vec::new();
                push_f16(&self.place(name), name, self.memory(name)?, &mut out)?;
                Ok(out)
            }
        }
    }

    fn memory(&self, name: &str) -> Result<&[f32]> {
        let Self::Memory(tensors) = self else { return Err(unknown(self.place(name), name)) };
        let (shape, values) = tensors.get(name).ok_or_else(|| unknown(self.place(name), name))?;
        if shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) != Some(values.len()) {
            return Err(Error::Tensor {
                file: self.place(name),
                tensor: name.to_owned(),
                expected: format!("as many values as the shape {shape:?} says"),
                found: values.len().to_string(),
            });
        }
        if all_finite(values) { Ok(values) } else { Err(non_finite(self.place(name), name)) }
    }
}

/// Reads the bytes of one tensor from a source, checks their number against the shape, and selects the decoder.
fn from_source<'a>(source: &dyn TensorSource, tensor: &'a str) -> Result<(Values<'a>, Vec<u8>)> {
    let place = source.place(tensor);
    let Some(info) = source.info(tensor) else { return Err(unknown(place, tensor)) };
    let differs = |expected: String, found: String| {
        Err(Error::Tensor { file: place.clone(), tensor: tensor.to_owned(), expected, found })
    };
    let (width, decode): (usize, Decode) = match info.dtype {
        Dtype::F32 => (4, decode_f32),
        Dtype::F16 => (2, decode_f16),
        Dtype::BF16 => (2, decode_bf16),
        Dtype::F64 => (8, decode_f64),
        Dtype::Quantized(_) | Dtype::Other(_) => return differs(FLOATS.to_owned(), info.dtype.to_string()),
    };
    let bytes = source.read(tensor)?;
    if info.shape.iter().try_fold(width, |n, &d| n.checked_mul(d)) != Some(bytes.len()) {
        let expected = format!("as many values as the shape {:?} says", info.shape);
        return differs(expected, format!("{} bytes of {}", bytes.len(), info.dtype));
    }
    Ok((Values { elements: bytes.len() / width, place, tensor, decode }, bytes))
}

/// Passes `bytes` on in pieces and releases their memory along the way, so that a large tensor is not in memory twice.
/// As a `Vec` can only shrink at its end, it is reversed first, and each piece is reversed back.
fn hand_over(mut bytes: Vec<u8>, each: Each<'_>) -> Result<()> {
    if bytes.len() <= PIECE {
        return each(&bytes);
    }
    let step = bytes.len() / 16;
    bytes.reverse();
    while !bytes.is_empty() {
        let start = bytes.len().saturating_sub(PIECE);
        bytes[start..].reverse();
        each(&bytes[start..])?;
        bytes.truncate(start);
        if bytes.capacity() - start > step {
            bytes.shrink_to_fit();
        }
    }
    Ok(())
}

/// The [`Error::Tensor`] for an unknown name.
pub(crate) fn unknown(file: String, tensor: &str) -> Error {
    Error::Tensor {
        file,
        tensor: tensor.to_owned(),
        expected: "a tensor of this name".to_owned(),
        found: "none".to_owned(),
    }
}

fn non_finite(place: String, tensor: &str) -> Error {
    Error::NonFinite { what: format!("a value of tensor `{tensor}`"), place }
}

/// Whether all values are finite.
pub(crate) fn all_finite(values: &[f32]) -> bool {
    // No early exit within a block, so that the compiler can vectorise it.
    values.chunks(1024).all(|block| block.iter().fold(true, |finite, v| finite & v.is_finite()))
}

/// Decodes whole blocks of a format and appends the values to a vector.
pub(crate) type Decode = fn(&[u8], &mut Vec<f32>);

/// The location of one tensor in a file, and its decoder.
pub(crate) struct Span<'a> {
    pub files: &'a dyn Files,
    pub file: &'a str,
    pub tensor: &'a str,
    pub start: u64,
    pub elements: usize,
    /// The size of a block in bytes, and the number of values in it.
    pub block: (usize, usize),
    pub decode: Decode,
}

impl Span<'_> {
    pub fn read_f32(&self) -> Result<Vec<f32>> {
        self.values().read_f32(|each| self.pieces(each))
    }

    pub fn read_f16(&self) -> Result<Vec<f16>> {
        self.values().read_f16(|each| self.pieces(each))
    }

    fn values(&self) -> Values<'_> {
        let place = self.files.describe(self.file);
        Values { place, tensor: self.tensor, elements: self.elements, decode: self.decode }
    }

    fn pieces(&self, each: Each<'_>) -> Result<()> {
        let bytes = (self.elements / self.block.1) as u64 * self.block.0 as u64;
        in_chunks(self.files, self.file, self.start, bytes, self.block.0, each)
    }
}

/// Takes one piece of a tensor's bytes, which consists of whole blocks of its format.
type Each<'a> = &'a mut dyn FnMut(&[u8]) -> Result<()>;

/// Decodes the bytes of one tensor; the names are for error messages.
struct Values<'a> {
    place: String,
    tensor: &'a str,
    elements: usize,
    decode: Decode,
}

impl Values<'_> {
    fn read_f32(&self, pieces: impl FnOnce(Each<'_>) -> Result<()>) -> Result<Vec<f32>> {
        let mut out = self.reserve()?;
        pieces(&mut |bytes| {
            let old = out.len();
            (self.decode)(bytes, &mut out);
            if all_finite(&out[old..]) { Ok(()) } else { Err(self.non_finite()) }
        })?;
        Ok(out)
    }

    fn read_f16(&self, pieces: impl FnOnce(Each<'_>) -> Result<()>) -> Result<Vec<f16>> {
        let (mut out, mut piece) = (self.reserve()?, Vec::new());
        pieces(&mut |bytes| {
            piece.clear();
            (self.decode)(bytes, &mut piece);
            if !all_finite(&piece) {
                return Err(self.non_finite());
            }
            push_f16(&self.place, self.tensor, &piece, &mut out)
        })?;
        Ok(out)
    }

    fn non_finite(&self) -> Error {
        non_finite(self.place.clone(), self.tensor)
    }

    fn reserve<T>(&self) -> Result<Vec<T>> {
        let mut out = Vec::new();
        out.try_reserve_exact(self.elements).map_err(|_| {
            let reason =
                format!("there is not enough memory for the {} values of tensor `{}`", self.elements, self.tensor);
            Error::io("reading", &self.place, reason)
        })?;
        Ok(out)
    }
}

fn push_f16(file: &str, tensor: &str, values: &[f32], out: &mut Vec<f16>) -> Result<()> {
    let old = out.len();
    out.resize(old + values.len(), f16::ZERO);
    let new = &mut out[old..];
    new.convert_from_f32_slice(values);
    match new.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(at) => Err(Error::Tensor {
            file: file.to_owned(),
            tensor: tensor.to_owned(),
            expected: "values that fit half precision (at most 65504)".to_owned(),
            found: values[at].to_string(),
        }),
    }
}

pub(crate) fn decode_f32(bytes: &[u8], out: &mut Vec<f32>) {
    match bytemuck::try_cast_slice(bytes) {
        Ok(values) if cfg!(target_endian = "little") => out.extend_from_slice(values),
        _ => out.extend(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b))),
    }
}

pub(crate) fn decode_f64(bytes: &[u8], out: &mut Vec<f32>) {
    out.extend(bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32));
}

pub(crate) fn decode_f16(bytes: &[u8], out: &mut Vec<f32>) {
    match bytemuck::try_cast_slice::<u8, f16>(bytes) {
        Ok(values) if cfg!(target_endian = "little") => {
            let old = out.len();
            out.resize(old + values.len(), 0.0);
            values.convert_to_f32_slice(&mut out[old..]);
        }
        _ => out.extend(bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32())),
    }
}

pub(crate) fn decode_bf16(bytes: &[u8], out: &mut Vec<f32>) {
    out.extend(bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()));
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;

//! Access to tensors by name as `f32` or `f16`, independent of the file format.

use std::collections::BTreeMap;

use half::f16;

use super::gguf::Checkpoint;
use super::number::{
    Decode, Each, Values, all_finite, decode_bf16, decode_f16, decode_f32, decode_f64, non_finite, push_f16, unknown,
};
use super::safetensors::TensorIndex;
use super::tensor_source::FLOATS;
pub use super::tensor_source::{Dtype, OtherDtype, TensorInfo, TensorSource};
use crate::{Error, Result};

/// How many bytes of a tensor from a [`TensorSource`] are decoded at a time; a multiple of the size of every float
/// type.
const PIECE: usize = 1 << 20;

/// The tensors of a checkpoint, with the names of Hugging Face checkpoints.
pub enum Tensors {
    /// One or several `safetensors` files.
    Safetensors(TensorIndex),
    /// A GGUF file.
    Gguf(Checkpoint),
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
            Self::Gguf(model) => model.names(),
            Self::Source(source) => source.names(),
            Self::Memory(tensors) => tensors.keys().map(String::as_str).collect(),
        }
    }

    /// Shape and type of a tensor; `None` if no tensor has this name.
    #[must_use]
    pub fn info(&self, name: &str) -> Option<TensorInfo> {
        match self {
            Self::Safetensors(index) => index.info(name),
            Self::Gguf(model) => model.info(name),
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
            Self::Gguf(model) => model.place(),
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
            Self::Gguf(model) => model.read_f32(name),
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
            Self::Gguf(model) => model.read_f16(name),
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;

//! Decoding the values of tensors to `f32` or `f16`, in pieces, with a check that they are finite.

use half::{bf16, f16, slice::HalfFloatSliceExt};

use super::files::{Files, in_chunks};
use crate::{Error, Result};

/// The [`Error::Tensor`] for an unknown name.
pub(crate) fn unknown(file: String, tensor: &str) -> Error {
    Error::Tensor {
        file,
        tensor: tensor.to_owned(),
        expected: "a tensor of this name".to_owned(),
        found: "none".to_owned(),
    }
}

pub(crate) fn non_finite(place: String, tensor: &str) -> Error {
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

/// Receives one piece of a tensor's bytes, which consists of whole blocks of its format.
pub(crate) type Each<'a> = &'a mut dyn FnMut(&[u8]) -> Result<()>;

/// Decodes the bytes of one tensor; the names are for error messages.
pub(crate) struct Values<'a> {
    pub place: String,
    pub tensor: &'a str,
    pub elements: usize,
    pub decode: Decode,
}

impl Values<'_> {
    pub fn read_f32(&self, pieces: impl FnOnce(Each<'_>) -> Result<()>) -> Result<Vec<f32>> {
        let mut out = self.reserve()?;
        pieces(&mut |bytes| {
            let old = out.len();
            (self.decode)(bytes, &mut out);
            if all_finite(&out[old..]) { Ok(()) } else { Err(self.non_finite()) }
        })?;
        Ok(out)
    }

    pub fn read_f16(&self, pieces: impl FnOnce(Each<'_>) -> Result<()>) -> Result<Vec<f16>> {
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

pub(crate) fn push_f16(file: &str, tensor: &str, values: &[f32], out: &mut Vec<f16>) -> Result<()> {
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

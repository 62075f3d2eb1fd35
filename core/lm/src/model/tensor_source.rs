//! Shapes and number types of tensors in files, and the trait of checkpoint formats that other crates read.

use std::fmt;

pub use ::safetensors::Dtype as OtherDtype;

use super::gguf::Kind;
use crate::Result;

/// The types that [`Tensors::read_f32`](super::tensors::Tensors::read_f32) accepts from safetensors and from a
/// [`TensorSource`], for messages.
pub(crate) const FLOATS: &str = "F32, F16, BF16 or F64";

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
    /// [`crate::Error::Tensor`] for an unknown name; [`crate::Error::Broken`] and [`crate::Error::Io`] when reading the
    /// file fails.
    fn read(&self, name: &str) -> Result<Vec<u8>>;
}

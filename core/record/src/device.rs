//! Names of compute devices, as flags and plans give them. The crate `lm` opens the devices themselves.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result};

/// A compute device, by the name that `--device` and plans use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceSpec {
    /// The first hardware GPU that wgpu lists, else [`DeviceSpec::Flex`].
    Auto,
    /// The CPU, with burn's flex backend.
    Flex,
    /// The CPU, with burn's older ndarray backend; used in tests only.
    NdArray,
    /// GPU through Vulkan.
    Vulkan,
    /// GPU through Metal.
    Metal,
    /// GPU through DirectX 12.
    Dx12,
    /// GPU through WebGPU in browsers; elsewhere wgpu chooses the graphics API.
    WebGpu,
    /// The CUDA device with this index, from 0.
    Cuda(usize),
}

impl DeviceSpec {
    /// Whether the device's tensors are in host memory, as they are with both CPU backends.
    #[must_use]
    pub fn is_host(self) -> bool {
        matches!(self, Self::Flex | Self::NdArray)
    }
}

impl FromStr for DeviceSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "auto" => Self::Auto,
            "flex" => Self::Flex,
            "ndarray" => Self::NdArray,
            "vulkan" => Self::Vulkan,
            "metal" => Self::Metal,
            "dx12" => Self::Dx12,
            "webgpu" => Self::WebGpu,
            "cuda" => Self::Cuda(0),
            _ => match text.strip_prefix("cuda:").and_then(|n| n.parse().ok()) {
                Some(n) => Self::Cuda(n),
                None => {
                    let expected = "auto, flex, vulkan, metal, dx12, webgpu or cuda:N";
                    return Err(Error::input("--device", expected, format!("\"{text}\"")));
                }
            },
        })
    }
}

impl fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Flex => f.write_str("flex"),
            Self::NdArray => f.write_str("ndarray"),
            Self::Vulkan => f.write_str("vulkan"),
            Self::Metal => f.write_str("metal"),
            Self::Dx12 => f.write_str("dx12"),
            Self::WebGpu => f.write_str("webgpu"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
        }
    }
}

impl Serialize for DeviceSpec {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeviceSpec {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <std::borrow::Cow<'de, str>>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in ["auto", "flex", "ndarray", "vulkan", "metal", "dx12", "webgpu", "cuda:3"] {
            assert_eq!(name.parse::<DeviceSpec>().map(|spec| spec.to_string()).as_deref(), Ok(name));
        }
        assert_eq!("cuda".parse(), Ok(DeviceSpec::Cuda(0)));
        for bad in ["", "gpu", "cuda:", "cuda:-1", "Flex"] {
            assert!(matches!(bad.parse::<DeviceSpec>(), Err(Error::Input { .. })), "{bad}");
        }
    }
}

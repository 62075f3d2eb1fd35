//! Compute devices, chosen at run time.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

use crate::{Error, Result};

/// A device as the user names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceSpec {
    /// A real GPU if there is one, else [`DeviceSpec::Flex`].
    Auto,
    /// CPU.
    Flex,
    /// The older CPU backend.
    NdArray,
    /// GPU through Vulkan.
    Vulkan,
    /// GPU through Metal.
    Metal,
    /// GPU through DirectX 12.
    Dx12,
    /// GPU through WebGPU (browsers), or whatever API the machine prefers.
    WebGpu,
    /// The nth CUDA device.
    Cuda(usize),
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
                    return Err(Error::input(
                        "--device",
                        "auto, flex, ndarray, vulkan, metal, dx12, webgpu or cuda:N",
                        format!("\"{text}\""),
                    ));
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

/// A compute device and the kind that a plan records.
#[derive(Debug, Clone)]
pub struct Compute {
    /// burn's handle.
    pub device: Device,
    /// Never [`DeviceSpec::Auto`].
    pub spec: DeviceSpec,
}

impl Compute {
    /// Tensors of this device lie in the process's own memory: sampling reads whole logit rows instead of asking the
    /// device for the best candidates.
    #[must_use]
    pub fn is_host(&self) -> bool {
        matches!(self.spec, DeviceSpec::Flex | DeviceSpec::NdArray)
    }
}

/// Is this the CPU device, without gradients? It has layouts and kernels of its own.
pub(crate) fn is_flex(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    return !device.is_autodiff() && *device == Device::flex();
    #[cfg(not(feature = "flex"))]
    {
        let _ = device;
        false
    }
}

/// Weights lie in panels that need no packing (`model::layers`). Holds for the whole process.
#[cfg(any(feature = "threads", feature = "web"))]
fn never_pack() {
    gemm::set_lhs_packing_threshold_single_thread(256);
    gemm::set_lhs_packing_threshold_multi_thread(256);
}

fn absent(spec: DeviceSpec, feature: &str) -> Error {
    Error::Device {
        device: spec.to_string(),
        reason: format!("this build does not have it; rebuild with --features {feature}, or use --device flex"),
    }
}

impl DeviceSpec {
    /// Opens the device. In a browser WebGPU needs [`DeviceSpec::open_async`].
    ///
    /// # Errors
    /// [`Error::Device`] when the build or the machine does not have it.
    pub fn open(self) -> Result<Compute> {
        let device = match self {
            Self::Auto => return Ok(Self::real_gpu().unwrap_or(Self::Flex)).and_then(Self::open),
            #[cfg(feature = "flex")]
            Self::Flex => {
                #[cfg(any(feature = "threads", feature = "web"))]
                never_pack();
                Device::flex()
            }
            #[cfg(feature = "ndarray")]
            Self::NdArray => ndarray(),
            #[cfg(all(feature = "gpu", not(target_family = "wasm")))]
            Self::Vulkan | Self::Metal | Self::Dx12 | Self::WebGpu => gpu::open(self)?,
            #[cfg(feature = "cuda")]
            Self::Cuda(n) => Device::cuda(n),
            other => return Err(other.not_in_this_build()),
        };
        Ok(Compute { device, spec: self })
    }

    /// Opens the device without blocking, as browsers demand.
    ///
    /// # Errors
    /// As [`DeviceSpec::open`].
    pub async fn open_async(self) -> Result<Compute> {
        match self {
            #[cfg(all(feature = "gpu", target_family = "wasm"))]
            Self::WebGpu => {
                let device = gpu::options(self).init_async().await.map_err(|e| gpu::failed(self, &e))?;
                Ok(Compute { device, spec: self })
            }
            other => other.open(),
        }
    }

    fn not_in_this_build(self) -> Error {
        match self {
            Self::Flex => absent(self, "flex"),
            Self::NdArray => absent(self, "ndarray"),
            Self::Cuda(_) => absent(self, "cuda"),
            _ => absent(self, "gpu"),
        }
    }

    #[cfg(all(feature = "gpu", not(target_family = "wasm")))]
    fn real_gpu() -> Option<Self> {
        gpu::adapters().into_iter().find(|a| a.real).map(|a| a.spec)
    }

    #[cfg(not(all(feature = "gpu", not(target_family = "wasm"))))]
    fn real_gpu() -> Option<Self> {
        None
    }
}

// burn marks the backend as going away in 0.23; here it is the second opinion of the parity tests.
#[cfg(feature = "ndarray")]
#[allow(deprecated)]
fn ndarray() -> Device {
    Device::ndarray()
}

#[cfg(feature = "gpu")]
pub use gpu::Adapter;
#[cfg(all(feature = "gpu", not(target_family = "wasm")))]
pub use gpu::adapters;

#[cfg(feature = "gpu")]
mod gpu {
    #[cfg(not(target_family = "wasm"))]
    use std::sync::{Mutex, PoisonError};

    use burn::tensor::Device;
    use burn::tensor::wgpu::{WgpuBackend, WgpuInitError, WgpuOptions};

    use super::DeviceSpec;
    use crate::Error;

    /// A graphics adapter of this machine.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Adapter {
        /// How to ask for it.
        pub spec: DeviceSpec,
        /// The driver's name for it.
        pub name: String,
        /// Hardware, not a software rasteriser.
        pub real: bool,
    }

    pub(super) fn options(spec: DeviceSpec) -> WgpuOptions {
        Device::wgpu_options().graphics_api(match spec {
            DeviceSpec::Vulkan => WgpuBackend::Vulkan,
            DeviceSpec::Metal => WgpuBackend::Metal,
            DeviceSpec::Dx12 => WgpuBackend::Dx12,
            DeviceSpec::WebGpu if cfg!(target_family = "wasm") => WgpuBackend::WebGpu,
            _ => WgpuBackend::Auto,
        })
    }

    /// A runtime can be registered once a process; later calls get the same device.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn open(spec: DeviceSpec) -> crate::Result<Device> {
        static OPENED: Mutex<Vec<(DeviceSpec, Device)>> = Mutex::new(Vec::new());
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, device)) = opened.iter().find(|(s, _)| *s == spec) {
            return Ok(device.clone());
        }
        let device = options(spec).init().map_err(|e| failed(spec, &e))?;
        opened.push((spec, device.clone()));
        Ok(device)
    }

    pub(super) fn failed(spec: DeviceSpec, error: &WgpuInitError) -> Error {
        Error::Device {
            device: spec.to_string(),
            reason: format!("{error}. Use --device flex, or see `impossible doctor`"),
        }
    }

    /// All adapters that wgpu sees, hardware first.
    #[cfg(not(target_family = "wasm"))]
    #[must_use]
    pub fn adapters() -> Vec<Adapter> {
        use burn::tensor::wgpu::wgpu;
        let instance = wgpu::Instance::default();
        let found = poll_now(instance.enumerate_adapters(wgpu::Backends::PRIMARY)).unwrap_or_default();
        let mut adapters: Vec<Adapter> = found
            .iter()
            .filter_map(|a| {
                let info = a.get_info();
                let spec = match info.backend {
                    wgpu::Backend::Vulkan => DeviceSpec::Vulkan,
                    wgpu::Backend::Metal => DeviceSpec::Metal,
                    wgpu::Backend::Dx12 => DeviceSpec::Dx12,
                    _ => return None,
                };
                let limits = a.limits();
                Some(Adapter {
                    spec,
                    name: format!(
                        "{} ({:?}, {}; largest binding {} MiB)",
                        info.name,
                        info.device_type,
                        info.driver,
                        limits.max_storage_buffer_binding_size >> 20
                    ),
                    real: info.device_type != wgpu::DeviceType::Cpu,
                })
            })
            .collect();
        adapters.sort_by_key(|a| !a.real);
        adapters
    }

    /// Natively the future is ready at once.
    #[cfg(not(target_family = "wasm"))]
    fn poll_now<T>(future: impl Future<Output = T>) -> Option<T> {
        let mut future = std::pin::pin!(future);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        for _ in 0..1000 {
            if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut cx) {
                return Some(value);
            }
            std::thread::yield_now();
        }
        None
    }
}

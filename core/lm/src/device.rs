//! Opening compute devices, which are chosen at run time.

use burn::tensor::{DType, Device, Tensor};
pub use record::DeviceSpec;

use crate::{Error, Result};

/// An open compute device with its name.
#[derive(Debug, Clone)]
pub struct Compute {
    /// burn's handle of the device.
    pub device: Device,
    /// The device's name as plans record it; never [`DeviceSpec::Auto`].
    pub spec: DeviceSpec,
}

impl Compute {
    /// Opens a device. WebGPU in a browser needs [`Compute::open_async`].
    ///
    /// # Errors
    /// [`Error::Device`] when this build does not support the device or the machine does not have it.
    pub fn open(spec: DeviceSpec) -> Result<Self> {
        let device = match spec {
            DeviceSpec::Auto => return Self::open(real_gpu().unwrap_or(DeviceSpec::Flex)),
            DeviceSpec::Flex => {
                never_pack();
                Device::flex()
            }
            #[cfg(feature = "ndarray")]
            DeviceSpec::NdArray => ndarray(),
            #[cfg(all(feature = "gpu", not(target_family = "wasm")))]
            DeviceSpec::Vulkan | DeviceSpec::Metal | DeviceSpec::Dx12 | DeviceSpec::WebGpu => gpu::open(spec)?,
            #[cfg(feature = "cuda")]
            DeviceSpec::Cuda(n) => Device::cuda(n),
            #[allow(unreachable_patterns)] // where the build has every device
            other => return Err(absent(other)),
        };
        Ok(Self { device, spec })
    }

    /// Opens a device without blocking, as WebGPU in browsers requires.
    ///
    /// # Errors
    /// As [`Compute::open`].
    #[allow(clippy::unused_async)] // only the browser build awaits
    pub async fn open_async(spec: DeviceSpec) -> Result<Self> {
        match spec {
            #[cfg(all(feature = "gpu", target_family = "wasm"))]
            DeviceSpec::WebGpu => {
                let device = gpu::options(spec).init_async().await.map_err(|e| gpu::failed(spec, &e))?;
                Ok(Self { device, spec })
            }
            other => Self::open(other),
        }
    }

    /// Whether the device's tensors are in host memory. Sampling then uses whole rows of logits instead of reading back
    /// the largest ones.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.spec.is_host()
    }
}

/// Whether this is the flex CPU device without autodiff, for which this crate has its own weight layout and kernels.
pub(crate) fn is_flex(device: &Device) -> bool {
    !device.is_autodiff() && *device == Device::flex()
}

/// Turns off packing of left-hand matrices in `gemm` for the whole process, as weights are stored in panels that need
/// none (see `model::layers`).
fn never_pack() {
    gemm::set_lhs_packing_threshold_single_thread(256);
    gemm::set_lhs_packing_threshold_multi_thread(256);
}

fn absent(spec: DeviceSpec) -> Error {
    let feature = match spec {
        DeviceSpec::NdArray => "ndarray",
        DeviceSpec::Cuda(_) => "cuda",
        _ => "gpu",
    };
    Error::input(
        "--device",
        "a device of this build, such as flex",
        format_args!("{spec}, for which the program must be built with --features {feature}"),
    )
}

#[cfg(all(feature = "gpu", not(target_family = "wasm")))]
fn real_gpu() -> Option<DeviceSpec> {
    gpu::adapters().into_iter().find(|a| a.real).map(|a| a.spec)
}

#[cfg(not(all(feature = "gpu", not(target_family = "wasm"))))]
fn real_gpu() -> Option<DeviceSpec> {
    None
}

/// Reads a tensor back to the host, in row-major order.
///
/// # Errors
/// [`Error::Device`] when reading from the device fails.
pub async fn to_host(values: Tensor<2>) -> Result<Vec<f32>> {
    let failed =
        |reason: String| Error::Device { device: "in use".into(), reason: format!("reading results failed: {reason}") };
    let data = values.into_data_async().await.map_err(|e| failed(e.to_string()))?;
    let data = if data.dtype() == DType::F32 { data } else { data.convert_dtype(DType::F32) };
    data.try_into_vec::<f32>().map_err(|e| failed(format!("{e:?}")))
}

// burn deprecates this backend; the parity tests compare against it.
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
        /// The device name that selects the adapter's graphics API.
        pub spec: DeviceSpec,
        /// Name, type and driver as the driver reports them, and the largest buffer binding.
        pub name: String,
        /// Whether the adapter is hardware rather than a software rasteriser.
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

    /// A graphics API can be initialised only once per process; later calls return the same device.
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

    /// All adapters that wgpu lists, hardware first.
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

    /// Polls a future that is ready at once on native platforms; `None` if it is not ready after 1000 polls.
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

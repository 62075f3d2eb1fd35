//! Elementwise operations on the CPU device, in place in the tensor's own memory (crate `kernels`). Burn's own CPU
//! kernels call the C library's exp and erf for every single value.

use burn::tensor::{DType, Tensor, TensorData};
pub(crate) use kernels::AdamW;
pub(super) use kernels::Smooth;

/// The values of a tensor in f32, row-major. The buffer is the tensor's own if nothing else refers to it.
fn data_of<const D: usize>(x: Tensor<D>) -> TensorData {
    let data = x.into_data();
    if data.dtype() == DType::F32 { data } else { data.convert_dtype(DType::F32) }
}

/// Applies `f` to the values of a tensor.
fn in_place<const D: usize>(x: Tensor<D>, f: impl FnOnce(&mut [f32])) -> Tensor<D> {
    let device = x.device();
    let mut data = data_of(x);
    if let Ok(values) = data.as_mut_slice::<f32>() {
        f(values);
    }
    Tensor::from_data(data, &device)
}

/// Applies the activation function `f` to each value.
pub(super) fn activate(x: Tensor<2>, f: Smooth) -> Tensor<2> {
    in_place(x, |values| kernels::activate(values, f))
}

/// The tangent of `f` at each value of x, as slope and offset: `x * slope + offset` is f(x).
pub(super) fn tangent(x: Tensor<2>, f: Smooth) -> (Tensor<2>, Tensor<2>) {
    let (shape, device) = (x.dims(), x.device());
    let mut slopes = vec![0.0_f32; shape[0] * shape[1]];
    let offset = in_place(x, |values| kernels::tangent(values, &mut slopes, f));
    (Tensor::from_data(TensorData::new(slopes, shape), &device), offset)
}

/// Softmax over the last dimension.
pub(super) fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let width = x.dims()[D - 1];
    in_place(x, |values| kernels::softmax(values, width))
}

/// Sum of the cross-entropies of `labels`, in nats, and its gradient at the logits `[n, vocabulary]` times `scale`, in
/// their memory.
pub(crate) fn cross_entropy(logits: Tensor<2>, labels: &[u32], smoothing: f32, scale: f32) -> (f64, Tensor<2>) {
    let (width, mut total) = (logits.dims()[1], 0.0);
    let gradient = in_place(logits, |values| {
        total = kernels::cross_entropy(values, width, labels, smoothing, scale);
    });
    (total, gradient)
}

/// One AdamW step on the value and the first and second moment, in their own memory.
pub(crate) fn adamw(state: [Tensor<1>; 3], gradient: Tensor<1>, constants: AdamW) -> [Tensor<1>; 3] {
    let gradient = gradient.into_data();
    let mut out = state.map(|t| {
        let device = t.device();
        (t.into_data(), device)
    });
    let [(p, _), (m, _), (v, _)] = &mut out;
    let slices = (p.as_mut_slice::<f32>(), m.as_mut_slice::<f32>(), v.as_mut_slice::<f32>());
    if let (Ok(p), Ok(m), Ok(v)) = slices {
        constants.step([p, m, v], gradient.as_slice::<f32>().unwrap_or(&[]));
    }
    out.map(|(data, device)| Tensor::from_data(data, &device))
}

/// Sum of the squares of all values, `[n] -> [1]`.
pub(crate) fn sum_of_squares(x: Tensor<1>) -> Tensor<1> {
    let device = x.device();
    if !crate::device::is_flex(&device) {
        return x.square().sum();
    }
    let data = x.into_data();
    let sum = data.as_slice::<f32>().map_or(0.0, kernels::sum_of_squares);
    #[allow(clippy::cast_possible_truncation)]
    Tensor::from_floats([sum as f32], &device)
}

/// RMS normalisation of each row: x / rms(x) * weight.
pub(super) fn rms_norm(x: Tensor<2>, weight: &[f32], eps: f32) -> Tensor<2> {
    in_place(x, |values| kernels::rms_norm(values, weight, eps))
}

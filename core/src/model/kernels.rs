//! Elementwise work on the CPU device, in place in the tensor's own memory. burn's CPU kernels call the C library's exp
//! and erf value by value; these loops are branch-free and become the widest SIMD code the processor has.

use burn::tensor::{DType, Tensor, TensorData};
use pulp::Arch;

/// Runs `f` on the values, row-major. The buffer is the tensor's own where nobody else holds it.
fn in_place<const D: usize>(x: Tensor<D>, f: impl FnOnce(&mut [f32])) -> Tensor<D> {
    let device = x.device();
    let mut data = x.into_data();
    if data.dtype() != DType::F32 {
        data = data.convert_dtype(DType::F32);
    }
    if let Ok(values) = data.as_mut_slice::<f32>() {
        f(values);
    }
    Tensor::from_data(data, &device)
}

/// exp(d) for d <= 0, relative error below 2e-7; 0 below -87. Branch-free, so that loops over it become SIMD code.
#[inline(always)]
pub(crate) fn exp_neg(d: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to an integer in the low bits of the float.
    const ROUND: f32 = 12_582_912.0;
    let x = if d < -87.0 { -87.0 } else { d };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts; the first has few enough bits that n times it is exact.
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    // Taylor to r^7, |r| < 0.35; pairs (Estrin) keep the chain of dependent operations short.
    let r2 = r * r;
    let high = (1.0 / 24.0 + r * (1.0 / 120.0)) + r2 * (1.0 / 720.0 + r * (1.0 / 5040.0));
    let value = 1.0 + (r + r2 * ((0.5 + r * (1.0 / 6.0)) + r2 * high));
    let scale = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    // A mask rather than an `if`, which would become a branch and stop vectorisation.
    let mask = u32::from(d >= -87.0).wrapping_neg();
    f32::from_bits((value * scale).to_bits() & mask)
}

#[inline(always)]
fn sigmoid_of(v: f32) -> f32 {
    let e = exp_neg(-v.abs());
    (if v >= 0.0 { 1.0 } else { e }) / (1.0 + e)
}

/// x Phi(x). Phi by formula 7.1.26 of Abramowitz and Stegun, absolute error below 1.5e-7.
#[inline(always)]
fn gelu_of(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let poly = t * (0.254_829_6 + t * (-0.284_496_72 + t * (1.421_413_8 + t * (-1.453_152_1 + t * 1.061_405_4))));
    let tail = 0.5 * poly * exp_neg(-z * z);
    x * (if x >= 0.0 { 1.0 - tail } else { tail })
}

#[inline(always)]
fn gelu_tanh_of(x: f32) -> f32 {
    // (1 + tanh u) / 2 = sigmoid(2 u)
    let u = 0.797_884_6 * (x + 0.044_715 * x * x * x);
    x * sigmoid_of(2.0 * u)
}

macro_rules! map {
    ($x:expr, $f:ident) => {
        in_place($x, |values| {
            Arch::new().dispatch(
                #[inline(always)]
                || values.iter_mut().for_each(|v| *v = $f(*v)),
            );
        })
    };
}

/// Exact (erf) GELU.
pub(super) fn gelu(x: Tensor<2>) -> Tensor<2> {
    map!(x, gelu_of)
}

/// GELU by tanh.
pub(super) fn gelu_tanh(x: Tensor<2>) -> Tensor<2> {
    map!(x, gelu_tanh_of)
}

#[inline(always)]
fn silu_of(x: f32) -> f32 {
    x * sigmoid_of(x)
}

/// x * sigmoid(x).
pub(super) fn silu(x: Tensor<2>) -> Tensor<2> {
    map!(x, silu_of)
}

/// f and its slope as functions of one value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Smooth {
    Gelu,
    GeluTanh,
    Silu,
}

#[inline(always)]
fn gelu_slope_of(x: f32) -> (f32, f32) {
    let value = gelu_of(x);
    let density = 0.398_942_3 * exp_neg(-0.5 * x * x);
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs() * std::f32::consts::FRAC_1_SQRT_2);
    let poly = t * (0.254_829_6 + t * (-0.284_496_72 + t * (1.421_413_8 + t * (-1.453_152_1 + t * 1.061_405_4))));
    let tail = 0.5 * poly * exp_neg(-0.5 * x * x);
    (value, (if x >= 0.0 { 1.0 - tail } else { tail }) + x * density)
}

#[inline(always)]
fn gelu_tanh_slope_of(x: f32) -> (f32, f32) {
    let u = 0.797_884_6 * (x + 0.044_715 * x * x * x);
    let s = sigmoid_of(2.0 * u);
    (x * s, s + x * s * (1.0 - s) * (1.595_769 * (1.0 + 0.134_145 * x * x)))
}

#[inline(always)]
fn silu_slope_of(x: f32) -> (f32, f32) {
    let s = sigmoid_of(x);
    (x * s, s * (1.0 + x * (1.0 - s)))
}

/// The line that touches `f` at each value of x: slope and offset, so that `x * slope + offset` is f(x).
pub(super) fn tangent(x: Tensor<2>, f: Smooth) -> (Tensor<2>, Tensor<2>) {
    let (shape, device) = (x.dims(), x.device());
    let mut offset = x.into_data();
    if offset.dtype() != DType::F32 {
        offset = offset.convert_dtype(DType::F32);
    }
    let mut slopes = vec![0.0_f32; shape[0] * shape[1]];
    if let Ok(values) = offset.as_mut_slice::<f32>() {
        macro_rules! each {
            ($f:ident) => {
                Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        for (v, slope) in values.iter_mut().zip(&mut slopes) {
                            let (value, d) = $f(*v);
                            (*slope, *v) = (d, value - *v * d);
                        }
                    },
                )
            };
        }
        match f {
            Smooth::Gelu => each!(gelu_slope_of),
            Smooth::GeluTanh => each!(gelu_tanh_slope_of),
            Smooth::Silu => each!(silu_slope_of),
        }
    }
    (Tensor::from_data(TensorData::new(slopes, shape), &device), Tensor::from_data(offset, &device))
}

/// Softmax over the last dimension.
pub(super) fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let width = x.dims()[D - 1].max(1);
    in_place(x, |values| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                values.chunks_exact_mut(width).for_each(|row| {
                    softmax_of(row);
                });
            },
        );
    })
}

/// Softmax of a row; answers ln sum exp.
#[inline(always)]
fn softmax_of(row: &mut [f32]) -> f64 {
    const LANES: usize = 16;
    let (blocks, rest) = row.as_chunks_mut::<LANES>();
    let mut most = [f32::NEG_INFINITY; LANES];
    for block in blocks.iter() {
        for i in 0..LANES {
            most[i] = if block[i] > most[i] { block[i] } else { most[i] };
        }
    }
    let max = most.iter().chain(rest.iter()).fold(f32::NEG_INFINITY, |m, &x| if x > m { x } else { m });
    let mut sums = [0.0; LANES];
    for block in blocks.iter_mut() {
        for i in 0..LANES {
            block[i] = exp_neg(block[i] - max);
            sums[i] += block[i];
        }
    }
    let mut total: f32 = sums.iter().sum();
    for v in rest.iter_mut() {
        *v = exp_neg(*v - max);
        total += *v;
    }
    let scale = 1.0 / total;
    row.iter_mut().for_each(|v| *v *= scale);
    f64::from(max) + f64::from(total).ln()
}

/// Sum of the cross-entropies of `labels`, and `scale` times its gradient in the place of the logits `[n, vocabulary]`.
pub(crate) fn cross_entropy(logits: Tensor<2>, labels: &[u32], smoothing: f32, scale: f32) -> (f64, Tensor<2>) {
    let width = logits.dims()[1].max(1);
    #[allow(clippy::cast_precision_loss)]
    let each = smoothing / width as f32;
    let mut total = 0.0_f64;
    let gradient = in_place(logits, |values| {
        for (row, &label) in values.chunks_exact_mut(width).zip(labels) {
            let label = (label as usize).min(width - 1);
            let logit = f64::from(row[label]);
            let sum: f64 = if smoothing > 0.0 { row.iter().map(|&x| f64::from(x)).sum() } else { 0.0 };
            let log_sum = Arch::new().dispatch(
                #[inline(always)]
                || softmax_of(row),
            );
            total += log_sum - f64::from(1.0 - smoothing) * logit - f64::from(each) * sum;
            row.iter_mut().for_each(|p| *p = (*p - each) * scale);
            row[label] -= (1.0 - smoothing) * scale;
        }
    });
    (total, gradient)
}

/// Constants of one AdamW step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdamW {
    pub betas: [f32; 2],
    pub epsilon: f32,
    /// Of the gradient.
    pub scale: f32,
    /// 1 - rate * weight decay.
    pub decay: f32,
    /// Rate over the bias of the first moment.
    pub size: f32,
    /// Root of the bias of the second moment.
    pub second: f32,
}

/// One AdamW step of value, first and second moment, in their own memory.
pub(crate) fn adamw([value, m, v]: [Tensor<1>; 3], gradient: Tensor<1>, constants: AdamW) -> [Tensor<1>; 3] {
    let AdamW { betas: [b1, b2], epsilon, scale, decay, size, second } = constants;
    let gradient = gradient.into_data();
    let gradient = gradient.as_slice::<f32>().unwrap_or(&[]);
    let mut out = [m, v, value].map(|t| {
        let device = t.device();
        (t.into_data(), device)
    });
    let [(m, _), (v, _), (p, _)] = &mut out;
    let slices = (m.as_mut_slice::<f32>(), v.as_mut_slice::<f32>(), p.as_mut_slice::<f32>());
    if let (Ok(m), Ok(v), Ok(p)) = slices {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (((p, m), v), g) in p.iter_mut().zip(m).zip(v).zip(gradient) {
                    let g = g * scale;
                    *m = b1 * *m + (1.0 - b1) * g;
                    *v = b2 * *v + (1.0 - b2) * g * g;
                    *p = *p * decay - size * *m / (v.sqrt() / second + epsilon);
                }
            },
        );
    }
    let [m, v, value] = out.map(|(data, device)| Tensor::from_data(data, &device));
    [value, m, v]
}

/// Sum of the squares, `[n] -> [1]`.
pub(crate) fn sum_of_squares(x: Tensor<1>) -> Tensor<1> {
    let device = x.device();
    if !crate::device::is_flex(&device) {
        return x.square().sum();
    }
    let data = x.into_data();
    let sum = data.as_slice::<f32>().map_or(0.0, |values| {
        let part = |block: &[f32]| block.iter().map(|v| v * v).sum::<f32>();
        values.chunks(4096).map(|block| f64::from(part(block))).sum::<f64>()
    });
    #[allow(clippy::cast_possible_truncation)]
    Tensor::from_floats([sum as f32], &device)
}

/// x / rms(x) * weight, row by row.
pub(super) fn rms_norm(x: Tensor<2>, weight: &[f32], eps: f32) -> Tensor<2> {
    in_place(x, |values| {
        Arch::new().dispatch(
            #[inline(always)]
            || values.chunks_exact_mut(weight.len()).for_each(|row| rms_norm_of(row, weight, eps)),
        );
    })
}

#[inline(always)]
fn rms_norm_of(row: &mut [f32], weight: &[f32], eps: f32) {
    const LANES: usize = 16;
    let (blocks, rest) = row.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for block in blocks {
        for i in 0..LANES {
            sums[i] += block[i] * block[i];
        }
    }
    let square: f32 = sums.iter().sum::<f32>() + rest.iter().map(|v| v * v).sum::<f32>();
    #[allow(clippy::cast_precision_loss)]
    let scale = 1.0 / (square / row.len() as f32 + eps).sqrt();
    row.iter_mut().zip(weight).for_each(|(v, w)| *v = *v * scale * w);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_accurate() {
        let mut worst = 0.0_f64;
        for step in 0..=870_000 {
            let d = -(step as f32) * 1e-4;
            let exact = f64::from(d).exp();
            worst = worst.max((f64::from(exp_neg(d)) - exact).abs() / exact);
        }
        assert!(worst < 2e-7, "{worst:e}");
        assert_eq!(exp_neg(0.0), 1.0);
        assert_eq!([-87.1, -1e30, f32::NEG_INFINITY].map(exp_neg), [0.0; 3]);
    }

    #[test]
    fn activations_are_accurate() {
        // The series of erf for small, the tail's continued fraction for large arguments, in f64.
        fn phi(x: f64) -> f64 {
            let z = x.abs() / std::f64::consts::SQRT_2;
            let tail = if z < 2.5 {
                let (mut term, mut sum) = (z, z);
                for n in 1..80 {
                    term *= -z * z / f64::from(n);
                    sum += term / f64::from(2 * n + 1);
                }
                0.5 - sum / std::f64::consts::PI.sqrt()
            } else {
                let fraction = (1..120).rev().fold(z, |f, n| z + f64::from(n) / 2.0 / f);
                0.5 * (-z * z).exp() / (fraction * std::f64::consts::PI.sqrt())
            };
            if x >= 0.0 { 1.0 - tail } else { tail }
        }
        for step in -80_000..=80_000 {
            let x = step as f32 * 1e-4;
            let wide = f64::from(x);
            let sigmoid = |v: f64| 1.0 / (1.0 + (-v).exp());
            let tanh = wide * sigmoid(2.0 * (2.0 / std::f64::consts::PI).sqrt() * (wide + 0.044_715 * wide.powi(3)));
            for (found, exact) in
                [(gelu_of(x), wide * phi(wide)), (gelu_tanh_of(x), tanh), (silu_of(x), wide * sigmoid(wide))]
            {
                assert!((f64::from(found) - exact).abs() < 1.5e-6, "{x}: {found}, expected {exact}");
            }
        }
        for extreme in [-1e30, -100.0, 100.0, 1e30] {
            for f in [gelu_of, gelu_tanh_of, silu_of] {
                let found = f(extreme);
                assert!(if extreme > 0.0 { found == extreme } else { found.abs() < 1e-30 }, "{extreme}: {found}");
            }
        }
    }

    #[test]
    fn tangents_touch() {
        let device = crate::device::DeviceSpec::Flex.open().unwrap().device;
        let xs: Vec<f32> = (-800..=800).map(|step| step as f32 * 1e-2).collect();
        let host = |t: Tensor<2>| t.into_data().try_into_vec::<f32>().unwrap();
        for (f, value) in
            [(Smooth::Gelu, gelu_of as fn(f32) -> f32), (Smooth::GeluTanh, gelu_tanh_of), (Smooth::Silu, silu_of)]
        {
            let x = Tensor::from_data(TensorData::new(xs.clone(), [1, xs.len()]), &device);
            let (slope, offset) = tangent(x, f);
            for ((x, d), offset) in xs.iter().zip(host(slope)).zip(host(offset)) {
                let exact = (f64::from(value(x + 0.05)) - f64::from(value(x - 0.05))) / 0.1;
                let (off, steep) = ((x * d + offset - value(*x)).abs(), (f64::from(d) - exact).abs());
                assert!(off < 2e-6 && steep < 2e-3, "{f:?} at {x}: {off}, {steep}");
            }
        }
    }

    #[test]
    fn rows_sum_to_one_and_masked_entries_vanish() {
        for width in [1, 5, 16, 33, 100] {
            let mut row: Vec<f32> = (0..width).map(|i| (i * 37 % 11) as f32 - 4.0).collect();
            if width > 1 {
                row[0] = -1e9;
            }
            let exact: Vec<f64> = row.iter().map(|&v| f64::from(v).exp()).collect();
            let total: f64 = exact.iter().sum();
            softmax_of(&mut row);
            for (found, want) in row.iter().zip(exact) {
                assert!((f64::from(*found) - want / total).abs() < 1e-6);
            }
        }
    }
}

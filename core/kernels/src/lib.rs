//! Elementwise loops over slices without branches, which compile to the widest SIMD instructions that the processor
//! has. They are a separate crate because the web app optimises this one and the matrix products for speed and
//! everything else for size.

use pulp::Arch;

/// exp(d) for d <= 0, with relative error below 2e-7; 0 for d < -87. Branch-free, so that loops over it vectorise.
#[inline(always)]
#[must_use]
pub fn exp_neg(d: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to an integer in the low bits of the float.
    const ROUND: f32 = 12_582_912.0;
    let x = if d < -87.0 { -87.0 } else { d };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts; the first has so few bits that its product with n is exact.
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    // Taylor series up to r^7 for |r| < 0.35, in Estrin's scheme, which shortens the chain of dependent operations.
    let r2 = r * r;
    let high = (1.0 / 24.0 + r * (1.0 / 120.0)) + r2 * (1.0 / 720.0 + r * (1.0 / 5040.0));
    let value = 1.0 + (r + r2 * ((0.5 + r * (1.0 / 6.0)) + r2 * high));
    let scale = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    // A mask, because an `if` would compile to a branch and prevent vectorisation.
    let mask = u32::from(d >= -87.0).wrapping_neg();
    f32::from_bits((value * scale).to_bits() & mask)
}

#[inline(always)]
fn sigmoid_of(v: f32) -> f32 {
    let e = exp_neg(-v.abs());
    (if v >= 0.0 { 1.0 } else { e }) / (1.0 + e)
}

/// x Phi(x), with Phi from formula 7.1.26 of Abramowitz and Stegun (absolute error below 1.5e-7).
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

#[inline(always)]
fn silu_of(x: f32) -> f32 {
    x * sigmoid_of(x)
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

macro_rules! map {
    ($values:expr, $f:ident) => {
        Arch::new().dispatch(
            #[inline(always)]
            || $values.iter_mut().for_each(|v| *v = $f(*v)),
        )
    };
}

/// Smooth activation functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Smooth {
    /// x Phi(x), with Phi from erf.
    Gelu,
    /// The tanh approximation of GELU, as in GPT-2.
    GeluTanh,
    /// x sigmoid(x).
    Silu,
}

/// Applies the activation to each value in place, with absolute error below 1.5e-6.
pub fn activate(values: &mut [f32], f: Smooth) {
    match f {
        Smooth::Gelu => map!(values, gelu_of),
        Smooth::GeluTanh => map!(values, gelu_tanh_of),
        Smooth::Silu => map!(values, silu_of),
    }
}

/// Tangent of `f` at each value x: writes the slope f'(x) to `slopes` and replaces the value by the offset f(x) - x
/// f'(x).
pub fn tangent(values: &mut [f32], slopes: &mut [f32], f: Smooth) {
    macro_rules! each {
        ($f:ident) => {
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    for (v, slope) in values.iter_mut().zip(slopes) {
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

/// Softmax of each row of `width` values, in place.
pub fn softmax(values: &mut [f32], width: usize) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            values.chunks_exact_mut(width.max(1)).for_each(|row| {
                softmax_of(row);
            });
        },
    );
}

/// Softmax of one row in place; returns ln(sum of exp) of its logits.
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

/// Summed cross-entropy of `labels` in nats, for rows of `width` logits, which are replaced by `scale` times the
/// gradient. With label smoothing e the target distribution is `(1 - e) onehot + e / width`.
pub fn cross_entropy(logits: &mut [f32], width: usize, labels: &[u32], smoothing: f32, scale: f32) -> f64 {
    let width = width.max(1);
    #[allow(clippy::cast_precision_loss)]
    let each = smoothing / width as f32;
    let mut total = 0.0_f64;
    for (row, &label) in logits.chunks_exact_mut(width).zip(labels) {
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
    total
}

/// Constants of one AdamW step (Loshchilov and Hutter, 2019).
#[derive(Debug, Clone, Copy)]
pub struct AdamW {
    /// Decay rates of the first and the second moment.
    pub betas: [f32; 2],
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Factor applied to the gradient, for clipping.
    pub scale: f32,
    /// 1 - learning rate * weight decay.
    pub decay: f32,
    /// Learning rate divided by the bias correction of the first moment, 1 - beta1^t.
    pub size: f32,
    /// Square root of the bias correction of the second moment, 1 - beta2^t.
    pub second: f32,
}

impl AdamW {
    /// Updates values, first moments and second moments in place.
    pub fn step(self, [p, m, v]: [&mut [f32]; 3], gradient: &[f32]) {
        let Self { betas: [b1, b2], epsilon, scale, decay, size, second } = self;
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
}

/// Sum of the squares, added in f32 within blocks of 4096 values and in f64 across blocks.
#[must_use]
pub fn sum_of_squares(values: &[f32]) -> f64 {
    let part = |block: &[f32]| block.iter().map(|v| v * v).sum::<f32>();
    values.chunks(4096).map(|block| f64::from(part(block))).sum::<f64>()
}

/// RMS normalisation of each row in place: x / sqrt(mean(x^2) + eps) * weight.
pub fn rms_norm(values: &mut [f32], weight: &[f32], eps: f32) {
    Arch::new().dispatch(
        #[inline(always)]
        || values.chunks_exact_mut(weight.len().max(1)).for_each(|row| rms_norm_of(row, weight, eps)),
    );
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

/// The largest logit; `None` if any is NaN or +inf.
#[must_use]
pub fn max_of(logits: &[f32]) -> Option<f32> {
    let (chunks, rest) = logits.as_chunks::<16>();
    let (mut max, mut nan) = ([f32::NEG_INFINITY; 16], [0_u32; 16]);
    for chunk in chunks {
        for i in 0..16 {
            max[i] = if chunk[i] > max[i] { chunk[i] } else { max[i] };
            nan[i] |= u32::from(chunk[i].is_nan());
        }
    }
    let max = max.iter().chain(rest).fold(f32::NEG_INFINITY, |m, &x| if x > m { x } else { m });
    if nan.iter().any(|&n| n > 0) || rest.iter().any(|x| x.is_nan()) || max == f32::INFINITY {
        return None;
    }
    Some(max)
}

/// Writes exp((logit - max) / temperature) of every logit to `weights` and returns their sum.
pub fn weigh(logits: &[f32], max: f32, temperature: f32, weights: &mut Vec<f32>) -> f64 {
    let inverse = 1.0 / temperature;
    weights.resize(logits.len(), 0.0);
    let mut total = 0.0;
    // Short blocks keep the rounding error of the f32 sums small.
    for (block, out) in logits.chunks(512).zip(weights.chunks_mut(512)) {
        let mut lanes = [0_f32; 8];
        let ((xs, rest), (ws, rest_out)) = (block.as_chunks::<8>(), out.as_chunks_mut::<8>());
        for (x, w) in xs.iter().zip(ws) {
            for i in 0..8 {
                w[i] = exp_neg((x[i] - max) * inverse);
                lanes[i] += w[i];
            }
        }
        for (x, w) in rest.iter().zip(rest_out) {
            *w = exp_neg((x - max) * inverse);
            total += f64::from(*w);
        }
        total += lanes.iter().map(|&w| f64::from(w)).sum::<f64>();
    }
    total
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::cast_precision_loss)]
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
        // In f64: the series of erf for small arguments, the continued fraction of the tail for large ones.
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
        let xs: Vec<f32> = (-800..=800).map(|step| step as f32 * 1e-2).collect();
        for (f, value) in
            [(Smooth::Gelu, gelu_of as fn(f32) -> f32), (Smooth::GeluTanh, gelu_tanh_of), (Smooth::Silu, silu_of)]
        {
            let (mut offsets, mut slopes) = (xs.clone(), vec![0.0; xs.len()]);
            tangent(&mut offsets, &mut slopes, f);
            for ((x, d), offset) in xs.iter().zip(slopes).zip(offsets) {
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

    #[test]
    fn weights_and_sum() {
        for len in [1, 7, 8, 511, 512, 513, 5000] {
            let row: Vec<f32> = (0..len).map(|i| ((i * 7919) % 1000) as f32 * 0.013).collect();
            let max = max_of(&row).unwrap();
            assert_eq!(max, row.iter().copied().fold(0.0, f32::max));
            let mut weights = vec![9.0; 3];
            let total = weigh(&row, max, 0.7, &mut weights);
            let exact: f64 = row.iter().map(|&x| (f64::from(x - max) / f64::from(0.7_f32)).exp()).sum();
            assert_eq!(weights.len(), len);
            assert!((total - exact).abs() < 1e-6 * exact, "{len}: {total} {exact}");
        }
    }

    #[test]
    fn finds_nan_wherever_it_hides() {
        for at in 0..35 {
            let mut row = vec![0.0; 35];
            row[at] = f32::NAN;
            assert!(max_of(&row).is_none());
            row[at] = f32::INFINITY;
            assert!(max_of(&row).is_none());
            row[at] = f32::NEG_INFINITY;
            assert_eq!(max_of(&row).unwrap(), 0.0);
        }
    }
}

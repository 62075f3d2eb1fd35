//! The passes over a whole row: written in lanes and without branches, so that they become SIMD code on any target.

use super::non_finite;
use crate::Result;

/// Largest logit; an error for NaN and +inf. Lanes, so that it becomes SIMD code on any target.
pub(super) fn max_of(logits: &[f32]) -> Result<f32> {
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
        return Err(non_finite());
    }
    Ok(max)
}

/// exp(d) for d <= 0, relative error below 2e-7; 0 below -87. Branch-free, so that loops over it become SIMD code.
#[inline(always)]
pub(super) fn exp_neg(d: f32) -> f32 {
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

/// exp((logit - max) / temperature) of every token into `weights`; their sum.
pub(super) fn weigh(logits: &[f32], max: f32, temperature: f32, weights: &mut Vec<f32>) -> f64 {
    let inverse = 1.0 / temperature;
    weights.resize(logits.len(), 0.0);
    let mut total = 0.0;
    // Short blocks keep the f32 sums exact to the last bits.
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
#[allow(clippy::unwrap_used, clippy::expect_used)]
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
            assert!(max_of(&row).is_err());
            row[at] = f32::INFINITY;
            assert!(max_of(&row).is_err());
            row[at] = f32::NEG_INFINITY;
            assert_eq!(max_of(&row).unwrap(), 0.0);
        }
    }
}

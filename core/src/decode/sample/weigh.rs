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
    let tail = 1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r * (1.0 / 5040.0)));
    let value = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * tail)));
    let scale = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    if d < -87.0 { 0.0 } else { value * scale }
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

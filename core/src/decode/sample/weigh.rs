//! The passes over a whole row: written in lanes and without branches, so that they become SIMD code on any target.

use super::non_finite;
use crate::Result;
use crate::model::kernels::exp_neg;

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

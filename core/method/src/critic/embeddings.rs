//! Normalised sentence embeddings.

/// Unit vectors of some of the siblings.
#[derive(Debug, Clone)]
pub(super) struct Embeddings {
    /// Row of `rows` for each sibling; `u32::MAX` = not embedded.
    pub slots: Vec<u32>,
    pub dim: usize,
    /// Unit vectors, `[slot, dim]`, row-major.
    pub rows: Vec<f32>,
}

impl Embeddings {
    fn row(&self, index: u32) -> Option<&[f32]> {
        let start = *self.slots.get(index as usize)? as usize * self.dim;
        self.rows.get(start..start + self.dim)
    }

    pub fn cosine(&self, x: u32, y: u32) -> Option<f32> {
        Some(dot(self.row(x)?, self.row(y)?).clamp(-1.0, 1.0))
    }
}

/// Dot product with sixteen partial sums, which vectorises at any register width with the same result.
fn dot(x: &[f32], y: &[f32]) -> f32 {
    const LANES: usize = 16;
    let (xs, x_rest) = x.as_chunks::<LANES>();
    let (ys, y_rest) = y.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (x, y) in xs.iter().zip(ys) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_equals_the_plain_sum() {
        for n in [1, 15, 16, 17, 100] {
            let x: Vec<f32> = (0..n).map(|i| (i % 7) as f32 - 3.0).collect();
            let y: Vec<f32> = (0..n).map(|i| (i % 5) as f32).collect();
            assert_eq!(dot(&x, &y), x.iter().zip(&y).map(|(x, y)| x * y).sum::<f32>());
        }
    }
}

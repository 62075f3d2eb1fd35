//! Learning rate schedules: linear warm-up followed by one of several shapes.

use serde::{Deserialize, Serialize};

/// The course of the learning rate after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Stays at the peak.
    Constant,
    /// Decreases linearly to zero at the end.
    Linear,
    /// Decreases along half a cosine to zero at the end.
    Cosine,
    /// Decreases with the inverse square root of the step.
    InverseSqrt,
}

/// A learning rate schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Maximum learning rate, reached at the end of the warm-up.
    pub peak: f64,
    /// Number of warm-up steps.
    pub warmup: u64,
    /// Total number of steps, including the warm-up.
    pub total: u64,
    /// The course of the learning rate after the warm-up.
    pub shape: Shape,
}

impl Schedule {
    /// The learning rate of step `step`, counted from 0.
    #[must_use]
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / self.warmup as f64;
        }
        let after = (step - self.warmup) as f64;
        let left = (self.total.saturating_sub(self.warmup)).max(1) as f64;
        let share = (after / left).min(1.0);
        self.peak
            * match self.shape {
                Shape::Constant => 1.0,
                Shape::Linear => 1.0 - share,
                Shape::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * share).cos()),
                Shape::InverseSqrt => {
                    let start = self.warmup.max(1) as f64;
                    (start / (start + after)).sqrt()
                }
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        let of = |shape| Schedule { peak: 2.0, warmup: 4, total: 12, shape };
        for shape in [Shape::Constant, Shape::Linear, Shape::Cosine, Shape::InverseSqrt] {
            let s = of(shape);
            assert_eq!([0, 1, 2, 3, 4].map(|i| s.rate(i)), [0.5, 1.0, 1.5, 2.0, 2.0]);
        }
        assert_eq!([8, 11, 12, 99].map(|i| of(Shape::Linear).rate(i)), [1.0, 0.25, 0.0, 0.0]);
        assert!((of(Shape::Cosine).rate(8) - 1.0).abs() < 1e-12 && of(Shape::Cosine).rate(50).abs() < 1e-12);
        assert!((of(Shape::InverseSqrt).rate(16) - 1.0).abs() < 1e-12);
        assert_eq!(of(Shape::Constant).rate(1000), 2.0);
        let none = Schedule { peak: 1.0, warmup: 0, total: 0, shape: Shape::Linear };
        assert_eq!(none.rate(0), 1.0);
    }
}

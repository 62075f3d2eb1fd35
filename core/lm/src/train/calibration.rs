//! Calibration of a classifier's probabilities: temperature scaling and reliability diagrams (Guo et al. 2017).

use serde::Serialize;

/// Number of bins in [`Reliability`].
pub const BINS: usize = 10;

/// Label probabilities `[rows * labels]`: the softmax of the logits divided by the temperature.
#[must_use]
pub fn probabilities(logits: &[f32], labels: usize, temperature: f64) -> Vec<f32> {
    let mut out = Vec::with_capacity(logits.len());
    for row in logits.chunks(labels.max(1)) {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let each: Vec<f64> = row.iter().map(|x| (f64::from(x - most) / temperature).exp()).collect();
        let sum: f64 = each.iter().sum();
        out.extend(each.iter().map(|x| (x / sum) as f32));
    }
    out
}

/// Mean cross-entropy of the rows with the target probabilities, in nats.
#[must_use]
pub fn cross_entropy(logits: &[f32], target: &[f32], labels: usize, temperature: f64) -> f64 {
    let p = probabilities(logits, labels, temperature);
    let sum: f64 = p.iter().zip(target).map(|(p, t)| -f64::from(*t) * f64::from(p.max(1e-12)).ln()).sum();
    sum / (logits.len() / labels.max(1)).max(1) as f64
}

/// Minimum number of rows for estimating a temperature.
pub const LEAST_ROWS: usize = 30;

/// The temperature, from 0.05 to 20, that minimises the cross-entropy; 1 for fewer than [`LEAST_ROWS`] rows. Targets
/// are smoothed slightly (Platt 1999), as no finite number of rows justifies certainty.
#[must_use]
pub fn temperature(logits: &[f32], target: &[f32], labels: usize) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let rows = logits.len() / labels.max(1);
    if rows < LEAST_ROWS {
        return 1.0;
    }
    let share = 1.0 / (rows + labels) as f32;
    let target: Vec<f32> = target.iter().map(|t| t * (1.0 - share * labels as f32) + share).collect();
    let value = |log: f64| cross_entropy(logits, &target, labels, log.exp());
    // The cross-entropy is convex in 1 / T, so it has only one minimum in ln T too, which golden-section search finds.
    let (mut low, mut high) = (0.05_f64.ln(), 20.0_f64.ln());
    while high - low > 1e-4 {
        let (a, b) = (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
        if value(a) <= value(b) { high = b } else { low = a }
    }
    f64::midpoint(low, high).exp()
}

/// The rows for which the predicted probability of one label is in a bin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Bin {
    /// Number of rows.
    pub rows: u64,
    /// Mean predicted probability of the label.
    pub said: f64,
    /// Mean probability of the label in the targets.
    pub true_share: f64,
}

/// Reliability diagram of one label: predicted probabilities compared with the targets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reliability {
    /// Bins of the predicted probability, 0.1 wide.
    pub bins: Vec<Bin>,
    /// Expected calibration error: mean absolute difference of the two probabilities over bins, weighted by rows.
    pub error: f64,
}

/// Reliability of the predicted probabilities `p` of one label against those in the targets.
#[must_use]
pub fn reliability(p: &[f32], target: &[f32]) -> Reliability {
    let mut bins = vec![Bin::default(); BINS];
    for (&p, &t) in p.iter().zip(target) {
        let bin = &mut bins[((f64::from(p) * BINS as f64) as usize).min(BINS - 1)];
        bin.rows += 1;
        bin.said += f64::from(p);
        bin.true_share += f64::from(t);
    }
    let mut error = 0.0;
    for bin in bins.iter_mut().filter(|b| b.rows > 0) {
        error += (bin.said - bin.true_share).abs();
        bin.said /= bin.rows as f64;
        bin.true_share /= bin.rows as f64;
    }
    Reliability { bins, error: error / p.len().max(1) as f64 }
}

/// Precision and recall at a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AtThreshold {
    /// Smallest probability that counts as positive.
    pub threshold: f32,
    /// Number of rows at or above the threshold.
    pub found: u64,
    /// Share of these that are true positives; `None` if there are none.
    pub precision: Option<f64>,
    /// Share of all true rows that are at or above the threshold; `None` if no row is true.
    pub recall: Option<f64>,
}

/// Precision and recall at each of the thresholds.
#[must_use]
pub fn at_thresholds(p: &[f32], truth: &[bool], thresholds: &[f32]) -> Vec<AtThreshold> {
    let share = |n: u64, of: u64| (of > 0).then(|| n as f64 / of as f64);
    let all = truth.iter().filter(|t| **t).count() as u64;
    let one = |&threshold: &f32| {
        let found: Vec<bool> = p.iter().zip(truth).filter(|(p, _)| **p >= threshold).map(|(_, t)| *t).collect();
        let (n, good) = (found.len() as u64, found.iter().filter(|t| **t).count() as u64);
        AtThreshold { threshold, found: n, precision: share(good, n), recall: share(good, all) }
    };
    thresholds.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::random::{Purpose, Stream};

    #[test]
    fn the_temperature_that_was_put_in_is_found() {
        let mut stream = Stream::new(3, Purpose::Other, 0, 0);
        let logits: Vec<f32> = (0..3000).map(|_| (stream.uniform() * 6.0) as f32).collect();
        let target = probabilities(&logits, 3, 2.5);
        let found = temperature(&logits, &target, 3);
        assert!((found - 2.5).abs() < 0.05, "{found}");
        assert!((temperature(&[], &[], 3) - 1.0).abs() < 1e-12);
        // If every row is right, the classifier becomes confident, but not more than the number of rows justifies.
        let right: Vec<f32> = (0..100).flat_map(|_| [2.0, 0.0, 0.0]).collect();
        let so: Vec<f32> = (0..100).flat_map(|_| [1.0, 0.0, 0.0]).collect();
        let certain = probabilities(&right, 3, temperature(&right, &so, 3))[0];
        assert!((0.97..0.99).contains(&certain), "{certain}");
        assert!(cross_entropy(&logits, &target, 3, found) <= cross_entropy(&logits, &target, 3, 1.0));
    }

    #[test]
    fn reliability_and_thresholds() {
        let found = reliability(&[0.05, 0.15, 0.95, 1.0], &[0.0, 0.0, 1.0, 0.0]);
        assert_eq!(found.bins.iter().map(|b| b.rows).collect::<Vec<_>>(), [1, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
        // Two bins are too high by 0.05 and 0.15; in the last one, 0.95 + 1 was predicted and 1 is true.
        assert!((found.error - (0.05 + 0.15 + 0.95) / 4.0).abs() < 1e-6, "{}", found.error);
        let rows = at_thresholds(&[0.9, 0.8, 0.2], &[true, false, true], &[0.5, 0.95]);
        assert_eq!((rows[0].found, rows[0].precision, rows[0].recall), (2, Some(0.5), Some(0.5)));
        assert_eq!((rows[1].found, rows[1].precision, rows[1].recall), (0, None, Some(0.0)));
    }
}

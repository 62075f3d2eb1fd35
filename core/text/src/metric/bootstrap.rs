//! The statistical uncertainty of corpus scores: bootstrap confidence intervals, and significance tests between two
//! systems on the same rows.
//!
//! A score is computed from sums over rows (n-gram matches and lengths for BLEU, a value and a one for a mean), so that
//! a resample costs only additions. Random numbers come from [`Stream`]: resample `i` is the same whatever else is
//! computed, and both systems of a test are given the same resamples.

use crate::{Error, Result};
use record::random::{Purpose, Stream};

/// Sufficient statistics of each row: the values that are summed to compute the score.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    width: usize,
    values: Vec<f64>,
}

impl Rows {
    /// `values` is `[rows, width]`, row by row.
    ///
    /// # Errors
    /// [`Error::Input`] when there is no row, one is incomplete, or a value is not finite.
    pub fn new(width: usize, values: Vec<f64>) -> Result<Self> {
        if width == 0 || values.is_empty() || !values.len().is_multiple_of(width) {
            let expected = format!("one row or more of {width} values");
            return Err(Error::input("statistics of rows", expected, format!("{} values", values.len())));
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let found = format!("{} in row {}", values[at], at / width + 1);
            return Err(Error::input("statistics of rows", "numbers", found));
        }
        Ok(Self { width, values })
    }

    /// Rows of one value each, whose score is their [`mean`].
    ///
    /// # Errors
    /// As [`Rows::new`].
    pub fn of_values(values: &[f64]) -> Result<Self> {
        Self::new(2, values.iter().flat_map(|&value| [value, 1.0]).collect())
    }

    /// Number of rows.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.width..][..self.width]
    }

    /// The sums over all rows, `[width]`.
    #[must_use]
    pub fn totals(&self) -> Vec<f64> {
        let mut totals = vec![0.0; self.width];
        (0..self.len()).for_each(|row| add(&mut totals, self.row(row)));
        totals
    }
}

fn add(totals: &mut [f64], row: &[f64]) {
    totals.iter_mut().zip(row).for_each(|(total, value)| *total += value);
}

/// The mean of the values, from the sums over [`Rows::of_values`]; NaN for sums of any other width.
#[must_use]
pub fn mean(totals: &[f64]) -> f64 {
    if let [sum, n] = totals { sum / n } else { f64::NAN }
}

/// Settings of the bootstrap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Number of resamples, 1 to 1,000,000.
    pub resamples: u32,
    /// Confidence level: the share of resamples inside the interval, in (0, 1).
    pub level: f64,
    /// Seed of the resamples; the same seed gives the same result.
    pub seed: u64,
}

impl Default for Settings {
    /// 1,000 resamples, confidence level 0.95, seed 0.
    fn default() -> Self {
        Self { resamples: 1000, level: 0.95, seed: 0 }
    }
}

impl Settings {
    fn check(&self) -> Result<()> {
        if !(1..=1_000_000).contains(&self.resamples) {
            return Err(Error::input("resamples", "1 to 1,000,000", self.resamples));
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            return Err(Error::input("confidence level", "a number between 0 and 1", self.level));
        }
        Ok(())
    }

    /// The percentile interval that contains the middle share `level` of the values, with linear interpolation.
    fn interval(&self, mut values: Vec<f64>) -> (f64, f64) {
        values.sort_by(f64::total_cmp);
        let quantile = |q: f64| {
            let at = q * (values.len() - 1) as f64;
            let (below, above) = (values[at.floor() as usize], values[at.ceil() as usize]);
            below + (above - below) * at.fract()
        };
        ((quantile((1.0 - self.level) / 2.0)), quantile((1.0 + self.level) / 2.0))
    }
}

/// A score with its percentile bootstrap interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The score on the original rows.
    pub score: f64,
    /// Lower bound of the interval.
    pub low: f64,
    /// Upper bound of the interval.
    pub high: f64,
}

/// Comparison of two systems on the same rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Score of the first system.
    pub a: f64,
    /// Score of the second system.
    pub b: f64,
    /// a - b, with its interval from the paired bootstrap: both systems are scored on the same resamples (Koehn 2004).
    pub difference: Interval,
    /// Two-sided p-value of the paired bootstrap: how often the difference on a resample, minus the mean difference
    /// over all resamples, is at least as large in absolute value as a - b.
    pub p_bootstrap: f64,
    /// Two-sided p-value of approximate randomisation (Riezler and Maxwell 2005): how often the difference is at least
    /// as large in absolute value when the rows of the two systems are swapped at random.
    pub p_randomisation: f64,
}

/// The score and its bootstrap interval. `score` computes a score from sums over rows; every resample has as many rows
/// as `rows`.
///
/// # Errors
/// [`Error::Input`] when the settings are out of range, or the score of the rows or of a resample is not finite.
pub fn confidence(rows: &Rows, score: impl Fn(&[f64]) -> f64, settings: Settings) -> Result<Interval> {
    settings.check()?;
    let whole = finite(score(&rows.totals()))?;
    let mut scores = Vec::new();
    let mut totals = vec![0.0; rows.width];
    for resample in 0..settings.resamples {
        totals.fill(0.0);
        draw(rows.len(), settings.seed, resample, |row| add(&mut totals, rows.row(row)));
        scores.push(finite(score(&totals))?);
    }
    let (low, high) = settings.interval(scores);
    Ok(Interval { score: whole, low, high })
}

/// Compares two systems with both tests. Row i of each system must be about the same input.
///
/// # Errors
/// As [`confidence`]; [`Error::Input`] also when the two differ in rows or columns.
pub fn compare(a: &Rows, b: &Rows, score: impl Fn(&[f64]) -> f64, settings: Settings) -> Result<Comparison> {
    settings.check()?;
    if (a.len(), a.width) != (b.len(), b.width) {
        let shape = |rows: &Rows| format!("{} rows of {} values", rows.len(), rows.width);
        return Err(Error::input("rows of the second system", shape(a), shape(b)));
    }
    let (score_a, score_b) = (finite(score(&a.totals()))?, finite(score(&b.totals()))?);
    let difference = score_a - score_b;
    let (mut of_a, mut of_b) = (vec![0.0; a.width], vec![0.0; b.width]);
    let (mut resampled, mut swapped) = (Vec::new(), 0_u32);
    for resample in 0..settings.resamples {
        of_a.fill(0.0);
        of_b.fill(0.0);
        draw(a.len(), settings.seed, resample, |row| {
            add(&mut of_a, a.row(row));
            add(&mut of_b, b.row(row));
        });
        resampled.push(finite(score(&of_a))? - finite(score(&of_b))?);
        of_a.fill(0.0);
        of_b.fill(0.0);
        flips(a.len(), settings.seed, resample, |row, flip| {
            let (first, second) = if flip { (b, a) } else { (a, b) };
            add(&mut of_a, first.row(row));
            add(&mut of_b, second.row(row));
        });
        swapped += u32::from(as_large(finite(score(&of_a))? - finite(score(&of_b))?, difference));
    }
    let middle = resampled.iter().sum::<f64>() / resampled.len() as f64;
    let beyond = resampled.iter().filter(|&&d| as_large(d - middle, difference)).count();
    // The observed difference counts as one more draw, so that no p-value is 0.
    let p = |times: f64| (times + 1.0) / (f64::from(settings.resamples) + 1.0);
    let (low, high) = settings.interval(resampled);
    Ok(Comparison {
        a: score_a,
        b: score_b,
        difference: Interval { score: difference, low, high },
        p_bootstrap: p(beyond as f64),
        p_randomisation: p(f64::from(swapped)),
    })
}

/// Whether a difference is at least as large as the observed one. Sums in a different order may differ in the last
/// digits, so a tolerance makes equal differences count as equal.
fn as_large(found: f64, difference: f64) -> bool {
    found.abs() >= difference.abs() - 1e-12 * difference.abs().max(1.0)
}

fn finite(score: f64) -> Result<f64> {
    if score.is_finite() { Ok(score) } else { Err(Error::input("score of a resample", "a number", score)) }
}

/// Draws as many rows as there are, with replacement.
fn draw(rows: usize, seed: u64, resample: u32, mut found: impl FnMut(usize)) {
    let mut stream = Stream::new(seed, Purpose::Resample, u64::from(resample), 0);
    (0..rows).for_each(|_| found(stream.below(rows)));
}

/// Flips a fair coin for each row.
fn flips(rows: usize, seed: u64, resample: u32, mut found: impl FnMut(usize, bool)) {
    // Random bits in one uniform number.
    const BITS: usize = 53;
    let mut stream = Stream::new(seed, Purpose::Swap, u64::from(resample), 0);
    for start in (0..rows).step_by(BITS) {
        let mut bits = (stream.uniform() * (1_u64 << BITS) as f64) as u64;
        for row in start..rows.min(start + BITS) {
            found(row, bits & 1 == 1);
            bits >>= 1;
        }
    }
}

/// A random sample of `n` of the indices below `total`, or all if there are fewer, ascending; every set of `n` is
/// equally likely (Knuth's algorithm S). The result depends only on the three arguments.
#[must_use]
pub fn sample(total: usize, n: usize, seed: u64) -> Vec<usize> {
    let mut stream = Stream::new(seed, Purpose::Subset, 0, 0);
    let mut missing = n.min(total);
    let mut chosen = Vec::with_capacity(missing);
    for index in 0..total {
        if missing == 0 {
            break;
        }
        if stream.uniform() * ((total - index) as f64) < missing as f64 {
            chosen.push(index);
            missing -= 1;
        }
    }
    chosen
}

/// Samples of equal size, at most `most`, of the rows of two datasets of `a` and `b` rows. Entropies and similar
/// metrics grow with the number of rows and can be compared only at equal size.
#[must_use]
pub fn equal_samples(a: usize, b: usize, most: usize, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let n = a.min(b).min(most);
    (sample(a, n, seed), sample(b, n, seed))
}

#[cfg(test)]
#[path = "bootstrap_tests.rs"]
mod tests;

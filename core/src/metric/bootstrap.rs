//! How sure a corpus score is: confidence intervals by resampling rows, and tests between two systems on the same rows.
//!
//! A score is computed from sums over rows (n-gram matches and lengths for BLEU, a value and a one for a mean), so that a
//! resample costs additions only. Random numbers are those of [`Stream`]: resample `i` is the same whatever else is
//! computed, and both systems of a test see the same resamples.

use crate::random::Stream;
use crate::{Error, Result};

/// Stages of [`Stream`] that belong to this file.
const RESAMPLE: u32 = 0x4D01;
const SWAP: u32 = 0x4D02;
const SAMPLE: u32 = 0x4D03;

/// Sufficient statistics of each row: what must be summed to compute the score.
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

    /// Rows of one value each, for [`mean`].
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

    /// Sums over all rows, `[width]`.
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

/// The score of [`Rows::of_values`].
#[must_use]
pub fn mean(totals: &[f64]) -> f64 {
    if let [sum, n] = totals { sum / n } else { f64::NAN }
}

/// How to resample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Resamples, 1 to a million.
    pub resamples: u32,
    /// Share of resamples inside the interval, in (0, 1).
    pub level: f64,
    /// Same seed, same result.
    pub seed: u64,
}

impl Default for Settings {
    /// 1,000 resamples, 95 %.
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

    /// The middle `level` of the values, by linear interpolation between them.
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
    /// Score of the rows as they are.
    pub score: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Two systems on the same rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Score of the first.
    pub a: f64,
    /// Score of the second.
    pub b: f64,
    /// a - b, with its percentile bootstrap interval over common resamples (Koehn 2004).
    pub difference: Interval,
    /// Two-sided, from the same resamples: how often a difference, less the mean of all, is as large as that of a and b.
    pub p_bootstrap: f64,
    /// Two-sided approximate randomisation (Riezler and Maxwell 2005): how often the difference is as large when the rows
    /// of the two systems change places at random.
    pub p_randomisation: f64,
}

/// The score and its interval. `score` gets the sums over rows; order and number of rows are those of `rows` each time.
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

/// Compares two systems by both tests. Row i of one and row i of the other are about the same input.
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
    // The systems as they are count as one more draw, so that no p-value is 0.
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

/// Sums in another order differ in the last digits; equal differences must count as equal.
fn as_large(found: f64, difference: f64) -> bool {
    found.abs() >= difference.abs() - 1e-12 * difference.abs().max(1.0)
}

fn finite(score: f64) -> Result<f64> {
    if score.is_finite() { Ok(score) } else { Err(Error::input("score of a resample", "a number", score)) }
}

/// As many rows as there are, each drawn from all.
fn draw(rows: usize, seed: u64, resample: u32, mut found: impl FnMut(usize)) {
    let mut stream = Stream::new(seed, RESAMPLE, u64::from(resample), 0);
    (0..rows).for_each(|_| found(stream.below(rows)));
}

/// A fair coin for each row.
fn flips(rows: usize, seed: u64, resample: u32, mut found: impl FnMut(usize, bool)) {
    // Bits of a uniform number.
    const BITS: usize = 53;
    let mut stream = Stream::new(seed, SWAP, u64::from(resample), 0);
    for start in (0..rows).step_by(BITS) {
        let mut bits = (stream.uniform() * (1_u64 << BITS) as f64) as u64;
        for row in start..rows.min(start + BITS) {
            found(row, bits & 1 == 1);
            bits >>= 1;
        }
    }
}

/// `n` of `total` indices, or all if there are fewer, ascending; every set of `n` is equally likely (Knuth's algorithm S).
/// The choice depends on the three arguments alone, not on what is sampled beside it.
#[must_use]
pub fn sample(total: usize, n: usize, seed: u64) -> Vec<usize> {
    let mut stream = Stream::new(seed, SAMPLE, 0, 0);
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

/// Indices of equally many rows of two datasets of `a` and `b` rows, at most `most`: entropies and the like grow with the
/// number of rows and can be compared only so.
#[must_use]
pub fn equal_samples(a: usize, b: usize, most: usize, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let n = a.min(b).min(most);
    (sample(a, n, seed), sample(b, n, seed))
}

#[cfg(test)]
#[path = "bootstrap_tests.rs"]
mod tests;

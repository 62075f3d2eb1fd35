//! Counter-based random numbers: a draw depends on (seed, purpose, context, row, step) alone, not on earlier draws, so
//! that batch size, sharding and resuming do not change which numbers a row gets.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// 32-bit words per draw.
const WORDS: u128 = 2;

/// What a random stream is used for. Streams of different purposes are independent. The discriminants are part of the
/// key, so changing one would change the results of every run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Purpose {
    /// Tests, and greedy decoding, which needs no random numbers.
    Other = 0,
    /// Choice of datelines and openings of contexts.
    Prefix = 1,
    /// Number of sentences and tokens of contexts.
    Context = 2,
    /// Tokens of siblings.
    Siblings = 3,
    /// Tokens of a student's paraphrases.
    Paraphrases = 4,
    /// Tokens of a student's summaries.
    Summaries = 5,
    /// Initial values of low-rank adapters.
    Adapters = 10,
    /// Dropout masks.
    Dropout = 11,
    /// Order of the examples of an epoch.
    Order = 12,
    /// Choice of the held-out groups of examples.
    HeldOut = 13,
    /// Initial weights of a new model.
    Weights = 14,
    /// Masks and noise of pretraining.
    Noise = 16,
    /// Sample texts that a model generates during its pretraining.
    Written = 17,
    /// Pairs drawn from the siblings of runs.
    PairSample = 18,
    /// Damage of sentences that a reworder writes back.
    Damage = 21,
    /// Tokens decoded by `impossible bench`.
    Bench = 20,
    /// Items of a bootstrap resample.
    Resample = 0x4D01,
    /// Swaps of a permutation test.
    Swap = 0x4D02,
    /// Sampling without replacement.
    Subset = 0x4D03,
    /// Pairs that an audit scores.
    Audit = u32::MAX,
}

/// The random stream of one row: ChaCha8 with key (seed, purpose, context), the row as stream number, and two words of
/// output per step.
#[derive(Debug, Clone)]
pub struct Stream {
    generator: ChaCha8Rng,
}

impl Stream {
    /// The stream of `row` of `context` for a purpose, at step 0. Different arguments give independent streams.
    #[must_use]
    pub fn new(seed: u64, purpose: Purpose, context: u64, row: u32) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..12].copy_from_slice(&(purpose as u32).to_le_bytes());
        key[16..24].copy_from_slice(&context.to_le_bytes());
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(u64::from(row));
        Self { generator }
    }

    /// Moves to a step: `stream.at(t).uniform()` depends on t and on the arguments of `new` alone.
    pub fn at(&mut self, step: u32) -> &mut Self {
        self.generator.set_word_pos(u128::from(step) * WORDS);
        self
    }

    /// Draws a number uniformly from [0, 1), with 53 random bits, and advances one step.
    pub fn uniform(&mut self) -> f64 {
        (self.generator.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Draws 64 random bits and advances one step.
    pub fn bits(&mut self) -> u64 {
        self.generator.next_u64()
    }

    /// Draws an index uniformly from 0..n, or 0 if n is 0, and advances one step.
    pub fn below(&mut self, n: usize) -> usize {
        ((self.uniform() * n as f64) as usize).min(n.saturating_sub(1))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn take(stream: &mut Stream, n: usize) -> Vec<f64> {
        (0..n).map(|_| stream.uniform()).collect()
    }

    #[test]
    fn numbers_never_change() {
        let mut stream = Stream::new(17, Purpose::Siblings, 5_000_000_000, 99);
        assert_eq!(take(&mut stream, 3), GOLDEN);
        assert_eq!(stream.at(1_000_000).uniform(), GOLDEN_FAR);
    }

    #[test]
    fn order_of_draws_does_not_matter() {
        let straight = take(&mut Stream::new(1, Purpose::Context, 3, 4), 200);
        let mut stream = Stream::new(1, Purpose::Context, 3, 4);
        for step in (0..200_u32).rev() {
            assert_eq!(stream.at(step).uniform(), straight[step as usize]);
        }
        assert_eq!(stream.at(150).uniform(), straight[150]);
        assert_eq!(stream.uniform(), straight[151]);
        let _ = stream.at(u32::MAX).uniform();
    }

    #[test]
    fn every_argument_makes_another_stream() {
        let variants = [
            (0, Purpose::Other, 0, 0),
            (1, Purpose::Other, 0, 0),
            (0, Purpose::Prefix, 0, 0),
            (0, Purpose::Other, 1, 0),
            (0, Purpose::Other, 0, 1),
            (0, Purpose::Other, 1 << 32, 0),
            (1 << 32, Purpose::Other, 0, 0),
        ];
        let mut seen: Vec<u64> = variants
            .iter()
            .flat_map(|&(seed, purpose, context, row)| take(&mut Stream::new(seed, purpose, context, row), 100))
            .map(f64::to_bits)
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 700);
    }

    #[test]
    fn uniform_and_uncorrelated() {
        let rows: Vec<Vec<f64>> = (0..50).map(|row| take(&mut Stream::new(9, Purpose::Prefix, 7, row), 1000)).collect();
        let mut buckets = [0_u32; 20];
        for &u in rows.iter().flatten() {
            assert!((0.0..1.0).contains(&u));
            buckets[(u * 20.0) as usize] += 1;
        }
        // 50,000 draws, 2,500 a bucket, standard deviation 49.
        assert!(buckets.iter().all(|&n| (2250..2750).contains(&n)), "{buckets:?}");
        for pair in rows.windows(2) {
            let r: f64 = pair[0].iter().zip(&pair[1]).map(|(a, b)| 12.0 * (a - 0.5) * (b - 0.5)).sum::<f64>() / 1000.0;
            assert!(r.abs() < 0.16, "{r}");
        }
    }

    #[test]
    fn below_covers_the_range() {
        let mut stream = Stream::new(0, Purpose::Other, 0, 0);
        let mut seen = [false; 7];
        for _ in 0..200 {
            seen[stream.below(7)] = true;
        }
        assert_eq!(seen, [true; 7]);
        assert_eq!((stream.below(0), stream.below(1)), (0, 0));
    }

    // Computed with an independent ChaCha8 implementation in Python.
    const GOLDEN: [f64; 3] = [0.04177962152010761, 0.47247968875352964, 0.09066014702454528];
    const GOLDEN_FAR: f64 = 0.665304723293539;
}

//! The length critics, in characters: a paraphrase is about as long as its source, a summary is shorter.

use super::contract::FreeCritic;
use super::pair::Pair;
use super::sentence_set::SentenceSet;
use record::Refusal;

/// len(y) / len(x) in code points.
#[must_use]
pub fn ratio(siblings: &SentenceSet, pair: Pair) -> f32 {
    // x is never empty, as blank sentences are not in the set.
    siblings.get(pair.y).chars as f32 / siblings.get(pair.x).chars as f32
}

fn ratios(siblings: &SentenceSet, pairs: &[Pair]) -> Vec<f32> {
    pairs.iter().map(|&pair| ratio(siblings, pair)).collect()
}

/// Accepts min <= len(y) / len(x) <= max.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Minimum ratio.
    pub min: f32,
    /// Maximum ratio.
    pub max: f32,
}

impl Range {
    /// The pair, reversed if only the reversed pair is within the range.
    #[must_use]
    pub fn orient(&self, siblings: &SentenceSet, pair: Pair) -> Pair {
        let fits = |pair| self.accepts(ratio(siblings, pair));
        if !fits(pair) && fits(pair.reversed()) { pair.reversed() } else { pair }
    }
}

impl FreeCritic for Range {
    fn refusal(&self) -> Refusal {
        Refusal::Length
    }

    fn scores(&self, siblings: &SentenceSet, pairs: &[Pair]) -> Vec<f32> {
        ratios(siblings, pairs)
    }

    fn accepts(&self, score: f32) -> bool {
        (self.min..=self.max).contains(&score)
    }
}

/// Accepts len(y) / len(x) < max.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shorter {
    /// Exclusive upper bound of the ratio.
    pub max: f32,
}

impl Shorter {
    /// The pair with the longer sentence as x; unchanged if both are equally long.
    #[must_use]
    pub fn orient(siblings: &SentenceSet, pair: Pair) -> Pair {
        if siblings.get(pair.y).chars > siblings.get(pair.x).chars { pair.reversed() } else { pair }
    }
}

impl FreeCritic for Shorter {
    fn refusal(&self) -> Refusal {
        Refusal::Length
    }

    fn scores(&self, siblings: &SentenceSet, pairs: &[Pair]) -> Vec<f32> {
        ratios(siblings, pairs)
    }

    fn accepts(&self, score: f32) -> bool {
        score < self.max
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    const PAIR: Pair = Pair { x: 0, y: 1 };

    #[test]
    fn bounds_belong_to_the_range_but_not_to_shorter() {
        let siblings = SentenceSet::new([(0, "éééééééééé"), (1, "éééééééé")]).unwrap();
        let score = Range { min: 0.8, max: 1.5 }.scores(&siblings, &[PAIR])[0];
        assert_eq!(score, 0.8);
        assert!(Range { min: 0.8, max: 1.5 }.accepts(score));
        assert!(!Shorter { max: 0.8 }.accepts(score));
        assert!(!Range { min: 0.0, max: 1.0 }.accepts(f32::NAN));
    }

    #[test]
    fn orientation() {
        // 10 / 14 = 0.71 is out of range, 14 / 10 = 1.4 is within it.
        let siblings = SentenceSet::new([(0, "aaaaaaaaaaaaaa"), (1, "bbbbbbbbbb"), (2, "c")]).unwrap();
        let range = Range { min: 0.8, max: 1.5 };
        assert_eq!(range.orient(&siblings, PAIR), PAIR.reversed());
        assert_eq!(range.orient(&siblings, PAIR.reversed()), PAIR.reversed());
        assert_eq!(range.orient(&siblings, Pair { x: 0, y: 2 }), Pair { x: 0, y: 2 });
        assert_eq!(Shorter::orient(&siblings, PAIR.reversed()), PAIR);
        assert_eq!(Shorter::orient(&siblings, PAIR), PAIR);
    }
}

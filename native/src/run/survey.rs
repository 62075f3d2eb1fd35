//! Histograms of scores and a few example pairs for the report, collected in one pass over all pairs.

use record::{Kept, Scored, Task};

use super::judge::Draw;

/// Number of bins between 0 and 1.
pub const BINS: usize = 20;

/// Histogram of a score between 0 and 1; values outside are counted in the outermost bins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Number of values per bin; bin `i` starts at `i / 20`.
    pub bins: [u64; BINS],
}

impl Histogram {
    /// Counts a value; NaN is not counted.
    pub fn add(&mut self, value: f32) {
        if !value.is_nan() {
            // 1.0 belongs to the last bin. A score on the edge of a bin, such as 0.15, must not be rounded down.
            let bin = (f64::from(value) * BINS as f64 + 1e-6).clamp(0.0, (BINS - 1) as f64);
            self.bins[bin as usize] += 1;
        }
    }

    /// Number of counted values.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.bins.iter().sum()
    }
}

/// Number of example pairs per task.
pub const EXAMPLES: usize = 8;

/// Column and label of the scores with a histogram, in the order of [`TaskSurvey::scores`].
pub const SCORES: [(&str, &str); 4] = [
    ("rouge_l", "ROUGE-L of x and y"),
    ("cosine", "Cosine of the embeddings"),
    ("forward", "p(x entails y)"),
    ("backward", "p(y entails x)"),
];

/// Histograms of one score.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// Histogram of kept pairs.
    pub kept: Histogram,
    /// Histogram of refused pairs.
    pub refused: Histogram,
}

/// The survey of one task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskSurvey {
    /// Histograms, in the order of [`SCORES`].
    pub scores: [Split; 4],
    /// Kept pairs drawn at random, ordered by context.
    pub examples: Vec<Kept>,
}

/// Collects the surveys of both tasks; the result does not depend on the order of the pairs.
#[derive(Debug)]
pub struct Survey {
    scores: [[Split; 4]; 2],
    draws: [Draw; 2],
}

impl Survey {
    /// An empty survey; the seed decides which examples are drawn.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { scores: Default::default(), draws: [(); 2].map(|()| Draw::new(seed, EXAMPLES, 0)) }
    }

    /// Counts the scores of a pair, kept or refused.
    pub fn score(&mut self, s: &Scored) {
        let values = [Some(s.rouge_l), s.cosine, s.forward, s.backward];
        for (split, value) in self.scores[s.task as usize].iter_mut().zip(values) {
            let into = if s.kept() { &mut split.kept } else { &mut split.refused };
            if let Some(value) = value {
                into.add(value);
            }
        }
    }

    /// Offers a kept pair as an example.
    pub fn kept(&mut self, pair: &Kept) {
        self.draws[pair.scored.task as usize].offer(pair);
    }

    /// The surveys, in the order of [`Task::ALL`].
    #[must_use]
    pub fn finish(self) -> [TaskSurvey; 2] {
        let mut out: [TaskSurvey; 2] = Default::default();
        for ((survey, scores), draw) in out.iter_mut().zip(self.scores).zip(self.draws) {
            let mut examples: Vec<Kept> = draw.finish().into_iter().map(super::judge::Question::reveal).collect();
            examples.sort_by_key(|k| (k.scored.context, k.scored.x, k.scored.y));
            *survey = TaskSurvey { scores, examples };
        }
        out
    }
}

const _: () = assert!(Task::Paraphrase as usize == 0 && Task::Summary as usize == 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_into_their_bins() {
        let mut h = Histogram::default();
        for v in [0.0, -0.3, 0.049, 0.05, 0.15, 0.75, 0.999, 1.0, 1.5, f32::NAN] {
            h.add(v);
        }
        assert_eq!((h.bins[0], h.bins[1], h.bins[3], h.bins[15], h.bins[19]), (3, 1, 1, 1, 3));
        assert_eq!(h.total(), 9);
    }
}

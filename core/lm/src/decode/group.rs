//! Diverse beam search (Vijayakumar et al. 2016): groups of beams that are advanced one after the other in every step.
//! A group ranks tokens by log p - penalty * (number of live beams of earlier groups that took the token in the same
//! step).

use super::process::Processors;
use super::search::{BeamOptions, EarlyStopping, Finish, Hypothesis, Pool, Step, vocab_of};
use crate::{Error, Result};

/// Options of diverse beam search.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupOptions {
    /// Number of beams in all groups together, 1 to 1024, a multiple of `num_groups`.
    pub num_beams: usize,
    /// Number of groups.
    pub num_groups: usize,
    /// Penalty per beam of an earlier group that took the same token, 0 to 1,000,000.
    pub diversity_penalty: f64,
    /// Whether the penalty remains in the beam's score (transformers 4, fairseq) or only affects the ranking within the
    /// step (as in the paper).
    pub penalty_carried: bool,
    /// Maximum number of new tokens, 1 to 65,536.
    pub max_new_tokens: usize,
    /// Finished scores are divided by the number of new tokens to this power, -10 to 10.
    pub length_penalty: f64,
    /// End-of-text tokens, at most 64.
    pub eos: Vec<u32>,
    /// Processors applied to the log-probabilities, before the diversity penalty.
    pub processors: Processors,
}

/// Diverse beam search over one prompt. A group is closed when `num_beams / num_groups` of its beams are finished.
#[derive(Debug, Clone)]
pub struct GroupBeamSearch {
    beam: BeamOptions,
    penalty: f64,
    carried: bool,
    groups: Vec<Pool>,
}

impl GroupBeamSearch {
    /// `prompt` holds the tokens before the new ones, which processors take into account.
    ///
    /// # Errors
    /// [`Error::Input`] names the option that is out of range.
    pub fn new(options: GroupOptions, prompt: &[u32]) -> Result<Self> {
        let GroupOptions { num_beams, num_groups, diversity_penalty: penalty, .. } = options;
        if num_groups == 0 || !num_beams.is_multiple_of(num_groups) {
            return Err(Error::input("num_groups", format!("a divisor of num_beams ({num_beams})"), num_groups));
        }
        if !(0.0..=1e6).contains(&penalty) {
            return Err(Error::input("diversity_penalty", "0 to 1,000,000", penalty));
        }
        let beam = BeamOptions {
            num_beams,
            max_new_tokens: options.max_new_tokens,
            length_penalty: options.length_penalty,
            early_stopping: EarlyStopping::True,
            eos: options.eos,
            processors: options.processors,
        };
        beam.validate()?;
        let groups = vec![Pool::new(prompt, num_beams / num_groups); num_groups];
        Ok(Self { beam, penalty, carried: options.penalty_carried, groups })
    }

    /// The prompt and new tokens of the live beams, group by group: at the start one identical beam per group, none
    /// when done.
    #[must_use]
    pub fn rows(&self) -> Vec<&[u32]> {
        self.groups.iter().flat_map(|g| &g.live).map(|beam| beam.tokens.as_slice()).collect()
    }

    /// Takes the logits after each row, `[rows, vocab]`.
    ///
    /// # Errors
    /// [`Error::Input`] if that is not the number of rows (or the search is done), [`Error::NonFinite`] for NaN or
    /// infinity.
    pub fn advance(&mut self, logits: &[f32]) -> Result<Step> {
        let rows = self.groups.iter().map(|g| g.live.len()).sum();
        let vocab = vocab_of(logits, rows)?;
        let Self { beam, penalty, carried, groups } = self;
        let (mut parents, mut tokens, mut taken) = (Vec::new(), Vec::new(), Vec::new());
        let mut start = 0;
        for group in groups.iter_mut().filter(|g| !g.live.is_empty()) {
            let end = start + group.live.len();
            // At most num_beams tokens have been taken, so a scan is as fast as a map.
            let times = |token| taken.iter().filter(|&&t| t == token).count() as f64;
            let best =
                group.best(&logits[start * vocab..end * vocab], beam, *carried, |token| *penalty * times(token))?;
            let (from, chosen) = group.absorb(&best, beam);
            // A group that closes in this step still counts for the later groups.
            taken.extend_from_slice(&chosen);
            if group.full() {
                group.live.clear();
            }
            if !group.live.is_empty() {
                parents.extend(from.into_iter().map(|row| start + row));
                tokens.extend(chosen);
            }
            start = end;
        }
        Ok(Step { done: parents.is_empty(), parents, tokens })
    }

    /// The finished beams of each group, best first. In an unfinished search, live beams count as finished by length.
    #[must_use]
    pub fn finish(mut self) -> Vec<Vec<Hypothesis>> {
        for group in &mut self.groups {
            group.finish_live(&self.beam, Finish::Length);
        }
        self.groups.into_iter().map(|g| g.finished).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::super::search::tests::{Table, options as beam_options, run as run_beam};
    use super::*;

    fn run(
        table: &Table,
        num_groups: usize,
        diversity_penalty: f64,
        penalty_carried: bool,
        eos: &[u32],
    ) -> Vec<Vec<Hypothesis>> {
        let options = GroupOptions {
            num_beams: 6,
            num_groups,
            diversity_penalty,
            penalty_carried,
            max_new_tokens: 4,
            length_penalty: 0.8,
            eos: eos.to_vec(),
            processors: Processors::default(),
        };
        let mut search = GroupBeamSearch::new(options, &[0]).unwrap();
        loop {
            let before: Vec<Vec<u32>> = search.rows().iter().map(|r| r.to_vec()).collect();
            let step = search.advance(&table.logits(&search.rows())).unwrap();
            let after: Vec<Vec<u32>> = search.rows().iter().map(|r| r.to_vec()).collect();
            let rebuilt: Vec<Vec<u32>> =
                step.parents.iter().zip(&step.tokens).map(|(&p, &t)| [&before[p][..], &[t]].concat()).collect();
            assert_eq!(after, rebuilt);
            if step.done {
                return search.finish();
            }
        }
    }

    #[test]
    fn without_penalty_every_group_is_beam_search() {
        for seed in 0..10 {
            let table = Table::new(9, seed);
            for groups in [1, 2, 3, 6] {
                let options = BeamOptions { early_stopping: EarlyStopping::True, ..beam_options(6 / groups, &[8]) };
                let plain = run_beam(&table, options, &[0]);
                assert_eq!(run(&table, groups, 0.0, true, &[8]), vec![plain; groups]);
            }
        }
    }

    #[test]
    fn large_penalty_keeps_groups_apart() {
        let table = Table::new(9, 3);
        for carried in [true, false] {
            let found = run(&table, 6, 1e3, carried, &[]);
            for step in 0..4 {
                let mut taken: Vec<u32> = found.iter().map(|g| g[0].tokens[step]).collect();
                taken.sort_unstable();
                taken.dedup();
                assert_eq!(taken.len(), 6);
            }
        }
    }

    #[test]
    fn penalty_is_in_the_score_only_when_carried() {
        let table = Table::new(9, 4);
        let plain = |h: &Hypothesis| (h.raw_logprob_sum / 4_f64.powf(0.8) - h.score).abs() < 1e-5;
        assert!(run(&table, 3, 0.7, false, &[]).iter().flatten().all(plain));
        let carried = run(&table, 3, 0.7, true, &[]);
        assert!(carried[0].iter().all(plain) && !carried.iter().flatten().all(plain));
    }

    #[test]
    fn bad_options_are_errors() {
        let table = Table::new(3, 0);
        let good = GroupOptions {
            num_beams: 4,
            num_groups: 2,
            diversity_penalty: 0.5,
            penalty_carried: true,
            max_new_tokens: 3,
            length_penalty: 1.0,
            eos: vec![],
            processors: Processors::default(),
        };
        for bad in [
            GroupOptions { num_groups: 3, ..good.clone() },
            GroupOptions { num_groups: 0, ..good.clone() },
            GroupOptions { diversity_penalty: -1.0, ..good.clone() },
            GroupOptions { diversity_penalty: f64::NAN, ..good.clone() },
            GroupOptions { num_beams: 0, ..good.clone() },
        ] {
            assert!(matches!(GroupBeamSearch::new(bad, &[0]), Err(Error::Input { .. })));
        }
        let mut search = GroupBeamSearch::new(good, &[0]).unwrap();
        assert!(search.advance(&table.logits(&[&[0]])).is_err());
        assert!(matches!(search.advance(&[f32::INFINITY; 6]), Err(Error::NonFinite { .. })));
    }
}

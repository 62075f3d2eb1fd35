//! The searches against exhaustive search with a tabular model, and properties that must hold for any model.

use super::super::process::Processor;
use super::*;
use record::random::{Purpose, Stream};

/// A model whose logits depend only on the last token.
pub(in crate::decode) struct Table(Vec<Vec<f32>>);

impl Table {
    pub(in crate::decode) fn new(vocab: usize, seed: u64) -> Self {
        let mut stream = Stream::new(seed, Purpose::Other, 0, 0);
        Self((0..vocab).map(|_| (0..vocab).map(|_| stream.uniform() as f32 * 4.0).collect()).collect())
    }

    pub(in crate::decode) fn logits(&self, rows: &[&[u32]]) -> Vec<f32> {
        rows.iter().flat_map(|row| self.0[row[row.len() - 1] as usize].clone()).collect()
    }

    fn log_p(&self, last: u32, next: u32) -> f64 {
        let row = &self.0[last as usize];
        f64::from(row[next as usize]) - log_normaliser(row, "").unwrap()
    }
}

pub(in crate::decode) fn options(num_beams: usize, eos: &[u32]) -> BeamOptions {
    BeamOptions {
        num_beams,
        max_new_tokens: 4,
        length_penalty: 0.8,
        early_stopping: EarlyStopping::Never,
        eos: eos.to_vec(),
        processors: Processors::default(),
    }
}

pub(in crate::decode) fn run(table: &Table, options: BeamOptions, prompt: &[u32]) -> Vec<Hypothesis> {
    let mut search = BeamSearch::new(options, prompt).unwrap();
    loop {
        let before: Vec<Vec<u32>> = search.rows().iter().map(|r| r.to_vec()).collect();
        let step = search.advance(&table.logits(&search.rows())).unwrap();
        for ((row, &parent), &token) in search.rows().iter().zip(&step.parents).zip(&step.tokens) {
            assert_eq!(*row, [&before[parent][..], &[token]].concat());
        }
        assert_eq!(step.parents.len(), search.rows().len());
        if step.done {
            return search.finish();
        }
    }
}

/// Lists all sequences that end in `eos` or have four tokens, with their scores.
fn all(table: &Table, vocab: u32, eos: u32, so_far: &[u32], sum: f64, out: &mut Vec<(f64, Vec<u32>)>) {
    let last = so_far.last().copied().unwrap_or(0);
    for token in 0..vocab {
        let (tokens, sum) = ([so_far, &[token]].concat(), sum + table.log_p(last, token));
        if token == eos || tokens.len() == 4 {
            out.push((sum / (tokens.len() as f64).powf(0.8), tokens));
        } else {
            all(table, vocab, eos, &tokens, sum, out);
        }
    }
}

#[test]
fn wide_beam_is_exhaustive() {
    for seed in 0..5 {
        let table = Table::new(4, seed);
        let mut oracle = Vec::new();
        all(&table, 4, 3, &[], 0.0, &mut oracle);
        oracle.sort_by(|a, b| b.0.total_cmp(&a.0));
        let found = run(&table, options(256, &[3]), &[0]);
        assert_eq!(found.len(), oracle.len());
        for (h, (score, tokens)) in found.iter().zip(&oracle) {
            assert!((h.score - score).abs() < 1e-5);
            let n = h.tokens.len() as f64;
            assert!((h.raw_logprob_sum / n.powf(0.8) - h.score).abs() < 1e-5);
            assert_eq!(h.finish == Finish::Eos, h.tokens.ends_with(&[3]));
            assert!(h.tokens == *tokens || (h.score - score).abs() < 1e-6);
        }
    }
}

#[test]
fn one_beam_without_length_penalty_is_greedy() {
    for seed in 0..20 {
        let table = Table::new(7, seed);
        let processors = Processors::new(vec![Processor::NoRepeatNgram(2)]).unwrap();
        let options =
            BeamOptions { length_penalty: 0.0, max_new_tokens: 9, processors: processors.clone(), ..options(1, &[6]) };
        let beam = run(&table, options, &[1, 2]).remove(0);
        let mut greedy = Greedy::new(GreedyOptions { max_new_tokens: 9, eos: vec![6], processors }, &[1, 2]).unwrap();
        while !greedy.advance(&table.logits(&[greedy.tokens()])).unwrap().done {}
        let greedy = greedy.finish();
        assert_eq!((beam.tokens, beam.finish), (greedy.tokens, greedy.finish), "seed {seed}");
        assert!((beam.raw_logprob_sum - greedy.raw_logprob_sum).abs() < 1e-9);
    }
}

#[test]
fn early_stopping_only_ever_costs_score() {
    for seed in 0..30 {
        let table = Table::new(8, seed);
        let best = |early_stopping| {
            let options = BeamOptions { early_stopping, max_new_tokens: 12, ..options(3, &[7]) };
            run(&table, options, &[0])[0].score
        };
        let scores = [EarlyStopping::True, EarlyStopping::False, EarlyStopping::Never].map(best);
        assert!(scores[0] <= scores[1] + 1e-12 && scores[1] <= scores[2] + 1e-12, "{scores:?}");
    }
}

#[test]
fn dead_ends_and_stopping_early_give_what_there_is() {
    let table = Table::new(3, 1);
    let nothing = Processors::new(vec![Processor::Banned(vec![vec![0], vec![1], vec![2]])]).unwrap();
    let found = run(&table, BeamOptions { processors: nothing.clone(), ..options(2, &[]) }, &[0]);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].finish, found[0].tokens.len()), (Finish::NoToken, 0));
    let mut greedy = Greedy::new(GreedyOptions { max_new_tokens: 5, eos: vec![], processors: nothing }, &[0]).unwrap();
    assert!(greedy.advance(&table.logits(&[&[0]])).unwrap().done);
    assert_eq!(greedy.finish().finish, Finish::NoToken);
    let mut search = BeamSearch::new(options(2, &[]), &[0]).unwrap();
    search.advance(&table.logits(&search.rows())).unwrap();
    let found = search.finish();
    assert!(found.len() == 2 && found.iter().all(|h| h.tokens.len() == 1 && h.finish == Finish::Length));
}

#[test]
fn bad_input_is_an_error() {
    for options in [
        options(0, &[]),
        BeamOptions { max_new_tokens: 0, ..options(2, &[]) },
        BeamOptions { length_penalty: f64::NAN, ..options(2, &[]) },
        options(2, &[0; 65]),
    ] {
        assert!(matches!(BeamSearch::new(options, &[0]), Err(Error::Input { .. })));
    }
    let mut search = BeamSearch::new(options(2, &[]), &[0]).unwrap();
    assert!(matches!(search.advance(&[]), Err(Error::Input { .. })));
    assert!(matches!(search.advance(&[0.0, f32::NAN]), Err(Error::NonFinite { .. })));
    search.advance(&[0.0, 1.0, 2.0]).unwrap();
    assert!(matches!(search.advance(&[0.0; 7]), Err(Error::Input { .. })));
    while !search.advance(&[0.0; 6]).unwrap().done {}
    assert!(matches!(search.advance(&[0.0; 6]), Err(Error::Input { .. })));
}

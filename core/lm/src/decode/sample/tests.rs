//! The fast sampler against the reference chain of processors: every kept token is drawn for exactly its share of [0,
//! 1).

use super::super::process::tests::{floats, golden};
use super::*;
use record::random::{Purpose, Stream};

/// The tokens that the chain keeps and their probabilities, most likely first, ties by id.
fn expected(options: &SampleOptions, row: &[f32], history: &[u32], prompt_len: usize) -> Vec<(u32, f64)> {
    let mut row = row.to_vec();
    options.processors().unwrap().apply(history, prompt_len, &mut row);
    let max = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let mut kept: Vec<(u32, f64)> = (0..)
        .zip(&row)
        .filter(|(_, x)| **x > f32::NEG_INFINITY)
        .map(|(i, &x)| (i, (f64::from(x) - max).exp()))
        .collect();
    kept.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let total: f64 = kept.iter().map(|(_, w)| w).sum();
    kept.iter_mut().for_each(|(_, w)| *w /= total);
    kept
}

/// Draws at both ends of every token's share, with full rows and with candidates; returns how often the candidates
/// sufficed.
fn compare(
    options: &SampleOptions,
    row: &[f32],
    history: &[u32],
    prompt_len: usize,
    best: usize,
    what: &str,
) -> (usize, usize) {
    const EDGE: f64 = 3e-6;
    let sampler = Sampler::new(options.clone()).unwrap();
    let mut scratch = Scratch::default();
    let mut order: Vec<u32> = (0..row.len() as u32).collect();
    order.sort_by(|&a, &b| row[b as usize].total_cmp(&row[a as usize]).then(b.cmp(&a)));
    order.truncate(best);
    let logits: Vec<f32> = order.iter().map(|&i| row[i as usize]).collect();
    let scaled = row.iter().map(|&x| f64::from(x) / f64::from(options.temperature));
    let top = scaled.clone().fold(f64::MIN, f64::max);
    // Wrong by nearly the permitted error.
    let log_normaliser = (top + scaled.map(|x| (x - top).exp()).sum::<f64>().ln() + 9e-6) as f32;
    let candidates = Candidates { ids: &order, logits: &logits, log_normaliser, vocab: row.len() };
    let (mut start, mut drawn, mut proven) = (0.0, 0, 0);
    let kept = expected(options, row, history, prompt_len);
    let (last, stride) = (kept.len().saturating_sub(3), kept.len() / 15 + 1);
    for (i, (token, share)) in kept.into_iter().enumerate() {
        let inside = [start + EDGE, start + share - EDGE];
        start += share;
        if share < 3.0 * EDGE || (i > 10 && i < last && i % stride > 0) {
            continue;
        }
        for u in inside {
            drawn += 1;
            let found = sampler.draw(&mut row.to_vec(), history, prompt_len, u, &mut scratch).unwrap();
            assert_eq!(found, Some(token), "{what} u {u} {options:?}");
            if logits.iter().all(|x| x.is_finite()) {
                match sampler.draw_candidates(&candidates, history, prompt_len, u, &mut scratch).unwrap() {
                    Outcome::Token(found) => {
                        assert_eq!(found, token, "{what} candidates u {u} {options:?}");
                        proven += 1;
                    }
                    outcome => assert_eq!(outcome, Outcome::NeedFullRow),
                }
            }
        }
    }
    (drawn, proven)
}

#[test]
fn golden_rows() {
    let golden = golden();
    let mut cases = 0;
    for case in golden["cases"].as_array().unwrap() {
        let mut options = SampleOptions::default();
        for op in case["ops"].as_array().unwrap() {
            let value = op["value"].as_f64().unwrap();
            match op["op"].as_str().unwrap() {
                "temperature" => options.temperature = value as f32,
                "top_k" => options.top_k = value as usize,
                "top_p" => options.top_p = value as f32,
                "min_p" => options.min_p = value as f32,
                "typical_p" => options.typical_p = value as f32,
                other => panic!("{other}"),
            }
        }
        let row = floats(&golden["rows"][case["row"].as_str().unwrap()]);
        let shares = floats(&case["probs"]);
        for (token, share) in expected(&options, &row, &[], 0) {
            assert!((share - f64::from(shares[token as usize])).abs() < 1e-5);
        }
        for best in [3, row.len()] {
            compare(&options, &row, &[], 0, best, &case["row"].to_string());
        }
        cases += 1;
    }
    assert!(cases > 200);
}

/// Rows of different shapes: flat, steep, with ties, larger than the histogram's threshold.
fn row(stream: &mut Stream, vocab: usize, shape: usize) -> Vec<f32> {
    (0..vocab)
        .map(|_| {
            let x = (stream.uniform() + stream.uniform() + stream.uniform() - 1.5) as f32 * 3.0;
            match shape {
                0 => x,
                1 => x * 6.0 + 20.0,
                2 => (x * 2.0).round(),
                3 => -(stream.uniform() as f32 + 1e-7).ln() - 30.0,
                _ => 1.0,
            }
        })
        .collect()
}

#[test]
fn same_distribution_as_the_chain() {
    let mut stream = Stream::new(5, Purpose::Other, 0, 0);
    let (mut drawn, mut proven) = (0, 0);
    for case in 0..400 {
        let vocab = [1, 5, 40, 300, 300, 6000][stream.below(6)];
        let shape = stream.below(5);
        let row = row(&mut stream, vocab, shape);
        let mut pick = |values: &[f32]| values[stream.below(values.len())];
        let mut options = SampleOptions {
            temperature: pick(&[0.3, 0.5, 0.7, 1.0, 1.7]),
            top_k: pick(&[0.0, 0.0, 1.0, 7.0, 60.0]) as usize,
            top_p: pick(&[0.31, 0.9, 0.9, 1.0]),
            min_p: pick(&[0.0, 0.0, 0.037]),
            typical_p: pick(&[1.0, 1.0, 1.0, 0.83]),
            repetition_penalty: pick(&[1.0, 1.0, 1.3, 0.7]),
            no_repeat_ngram: pick(&[0.0, 1.0, 2.0, 3.0]) as usize,
            min_new_tokens: pick(&[0.0, 8.0]) as usize,
            ..SampleOptions::default()
        };
        // In rows with few distinct values, a group of ties may end exactly at a threshold, where rounding decides.
        if shape == 2 || shape == 4 {
            (options.typical_p, options.repetition_penalty) = (1.0, 1.0);
        }
        options.banned = (0..stream.below(4)).map(|_| stream.below(vocab) as u32).collect();
        options.eos = vec![stream.below(vocab) as u32];
        let reach = vocab.min(9);
        let history: Vec<u32> = (0..stream.below(30)).map(|_| stream.below(reach) as u32).collect();
        let best = [1, 20, 100, vocab][stream.below(4)].min(vocab);
        let prompt_len = history.len() / 2;
        if expected(&options, &row, &history, prompt_len).is_empty() {
            let mut scratch = Scratch::default();
            assert_eq!(
                Sampler::new(options).unwrap().draw(&mut row.clone(), &history, prompt_len, 0.5, &mut scratch).unwrap(),
                None
            );
            continue;
        }
        let (d, p) =
            compare(&options, &row, &history, prompt_len, best, &format!("case {case} shape {shape} best {best}"));
        (drawn, proven) = (drawn + d, proven + p);
    }
    assert!(drawn > 4_000 && proven > drawn / 10, "{drawn} {proven}");
}

#[test]
fn candidates_prove_a_typical_nucleus() {
    let mut stream = Stream::new(6, Purpose::Other, 0, 0);
    let mut row = row(&mut stream, 6000, 0);
    (0..40).for_each(|i| row[i * 100] += 7.0 - 0.1 * i as f32);
    let options = SampleOptions {
        temperature: 0.5,
        top_p: 0.9,
        no_repeat_ngram: 3,
        banned: vec![0, 17],
        ..SampleOptions::default()
    };
    let history = [200, 300, 400, 5, 200, 300];
    let (drawn, proven) = compare(&options, &row, &history, 2, 128, "nucleus");
    assert!(drawn > 4 && proven == drawn, "{drawn} {proven}");
}

#[test]
fn every_u_gives_a_kept_token() {
    let sampler = Sampler::new(SampleOptions { banned: vec![2], ..SampleOptions::default() }).unwrap();
    let mut scratch = Scratch::default();
    for u in [0.0, f64::MIN_POSITIVE, 0.5, 1.0 - f64::EPSILON, 1.0 - f64::EPSILON / 2.0] {
        let token = sampler.draw(&mut [0.0, -200.0, 5.0, 0.0], &[], 0, u, &mut scratch).unwrap();
        assert!(matches!(token, Some(0 | 3)), "{u} {token:?}");
    }
}

#[test]
fn refuses_what_is_not_finite() {
    let sampler = Sampler::new(SampleOptions { banned: vec![1], ..SampleOptions::default() }).unwrap();
    let mut scratch = Scratch::default();
    let mut draw = |row: &[f32], u| sampler.draw(&mut row.to_vec(), &[], 0, u, &mut scratch);
    for row in [[0.0, f32::NAN, 1.0], [0.0, 0.0, f32::NAN], [0.0, f32::INFINITY, 0.0], [f32::NEG_INFINITY; 3]] {
        assert!(matches!(draw(&row, 0.5), Err(Error::NonFinite { .. })), "{row:?}");
    }
    assert_eq!(draw(&[f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY], 0.5), Ok(None));
    assert!(matches!(draw(&[], 0.5), Err(Error::Input { .. })));
    for u in [-0.1, 1.0, f64::NAN] {
        assert!(matches!(draw(&[0.0], u), Err(Error::Input { .. })));
    }
    let mut ask = |ids: &[u32], logits: &[f32], log_normaliser| {
        sampler.draw_candidates(&Candidates { ids, logits, log_normaliser, vocab: 9 }, &[], 0, 0.5, &mut scratch)
    };
    assert!(matches!(ask(&[0], &[f32::NAN], 0.0), Err(Error::NonFinite { .. })));
    assert!(matches!(ask(&[0], &[0.0], f32::INFINITY), Err(Error::NonFinite { .. })));
    assert!(matches!(ask(&[0, 1], &[0.0], 0.0), Err(Error::Input { .. })));
    assert!(matches!(ask(&[], &[], 0.0), Err(Error::Input { .. })));
    assert!(Sampler::new(SampleOptions { temperature: 0.0, ..SampleOptions::default() }).is_err());
}

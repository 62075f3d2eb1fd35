#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::metric::golden::{Pair, assert_near, json, pairs, sentences};

fn corpus(pairs: &[Pair], chrf: Chrf, references: usize) -> ChrfStats {
    let mut counter = ChrfCounter::new(chrf);
    pairs
        .iter()
        .map(|pair| {
            let most = pair.references.len().min(references);
            counter.stats(&pair.hypothesis, &pair.references[..most]).unwrap()
        })
        .sum()
}

#[test]
fn corpus_equals_sacrebleu() {
    let (pairs, golden) = (pairs(), &json("bleu.json")["corpus"]);
    for (name, chrf, references) in [
        ("chrf_all_references", Chrf::Characters, usize::MAX),
        ("chrf++_all_references", Chrf::PlusPlus, usize::MAX),
        ("chrf_first_reference", Chrf::Characters, 1),
    ] {
        let stats = corpus(&pairs, chrf, references);
        assert_near(chrf.score(&stats), &golden[name], name);
        assert_eq!(ChrfStats::from_values(&stats.values()), stats);
    }
}

#[test]
fn sentences_equal_sacrebleu() {
    let golden = json("bleu.json");
    let mut seen = 0;
    for (name, chrf) in [("chrf", Chrf::Characters), ("chrf++", Chrf::PlusPlus)] {
        let mut counter = ChrfCounter::new(chrf);
        for (pair, expected) in pairs().iter().zip(golden["sentences"].as_array().unwrap()) {
            let stats = counter.stats(&pair.hypothesis, &pair.references).unwrap();
            assert_near(chrf.score(&stats), &expected[name], &pair.hypothesis);
            seen += 1;
        }
    }
    assert_eq!(seen, 84);
}

/// Expected scores: sacrebleu 2.6.0.
#[test]
fn empty_short_and_emoji() {
    for (hypothesis, references, characters, plus_plus) in [
        ("", &[""][..], 0.0, 0.0),
        ("", &["a b"], 0.0, 0.0),
        ("a b", &[""], 0.0, 0.0),
        ("w", &["w"], 100.0, 100.0),
        ("word", &["word"], 100.0, 100.0),
        ("a", &["b"], 0.0, 0.0),
        ("abc", &["abcdefgh"], 32.250580046403705, 24.18793503480278),
        ("(so) 'x' !? a,b.", &["so x !? (a,b)"], 24.607051049763616, 26.63102660818562),
        ("😀 👍🏽", &["😀👍🏽"], 100.0, 75.0),
        ("😀👍 a b c d", &["😀 👍 a b c e", "a b c d"], 84.67741935483872, 88.59223300970875),
        ("the cat sat", &["the cat", "cat sat", "the dog sat on it"], 83.4542337114218, 84.5453669813138),
        ("ßtraße é", &["straße é"], 73.45238095238095, 61.33928571428571),
    ] {
        for (chrf, expected) in [(Chrf::Characters, characters), (Chrf::PlusPlus, plus_plus)] {
            let stats = ChrfCounter::new(chrf).stats(hypothesis, references).unwrap();
            let found = chrf.score(&stats);
            assert!((found - expected).abs() < 1e-9, "{hypothesis:?} {references:?}: {found} instead of {expected}");
        }
    }
}

#[test]
fn identity_bounds_and_symmetric_matches() {
    let texts = sentences();
    for chrf in [Chrf::Characters, Chrf::PlusPlus] {
        let mut counter = ChrfCounter::new(chrf);
        for x in &texts {
            let own = chrf.score(&counter.stats(x, &[x]).unwrap());
            let perfect = if x.trim().is_empty() { 0.0 } else { 100.0 };
            assert!((own - perfect).abs() < 1e-9, "{x:?}");
            for y in texts.iter().step_by(5) {
                let stats = counter.stats(x, &[y]).unwrap();
                let score = chrf.score(&stats);
                assert!((0.0..=100.0 + 1e-9).contains(&score), "{x:?} {y:?} {score}");
                let matches = |stats: &ChrfStats| stats.orders.map(|order| order.matches);
                assert_eq!(matches(&stats), matches(&counter.stats(y, &[x]).unwrap()), "{x:?} {y:?}");
                // One more reference never lowers the score of a row.
                assert!(chrf.score(&counter.stats(x, &[y, &texts[0]]).unwrap()) >= score);
            }
        }
    }
}

#[test]
fn spaces_do_not_count_and_rows_may_come_in_any_order() {
    let mut counter = ChrfCounter::new(Chrf::Characters);
    let spaced = counter.stats(" a\tbc\u{3000}d\u{1c}e ", &["abcdf"]).unwrap();
    assert_eq!(spaced, counter.stats("abcde", &["ab  cdf"]).unwrap());
    let mut pairs = pairs();
    let forward = corpus(&pairs, Chrf::PlusPlus, usize::MAX);
    pairs.reverse();
    assert_eq!(forward, corpus(&pairs, Chrf::PlusPlus, usize::MAX));
}

#[test]
fn a_line_of_many_words() {
    let mut counter = ChrfCounter::new(Chrf::PlusPlus);
    let long: String = (0..100_000).map(|n| format!("w{} ", n % 30_000)).collect();
    let stats = counter.stats(&long, &[&long]).unwrap();
    assert!(stats.orders.iter().all(|order| order.matches == order.hypothesis && order.matches == order.reference));
    assert_eq!(stats.orders[CHARACTERS].matches, 100_000);
}

#[test]
fn settings() {
    let signature = Chrf::PlusPlus.signature(ReferenceCount::Varying);
    assert!(
        signature.starts_with("nrefs:var|case:mixed|eff:yes|nc:6|nw:2|space:no|version:impossible-"),
        "{signature}"
    );
    assert!(ChrfCounter::new(Chrf::Characters).stats::<&str>("a", &[]).is_err());
    assert_eq!(Chrf::Characters.score(&ChrfStats::default()), 0.0);
}

#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::Value;

use super::*;
use crate::metric::golden::{Pair, assert_near, json, pairs, sentences};

fn check(name: &str, settings: Bleu, stats: &BleuStats, expected: &Value) {
    let score = settings.score(stats);
    let counts = |name: &str| -> Vec<u64> { serde_json::from_value(expected[name].clone()).unwrap() };
    assert_eq!(stats.matches.to_vec(), counts("counts"), "{name}");
    assert_eq!(stats.totals.to_vec(), counts("totals"), "{name}");
    assert_eq!(stats.hypothesis_len, expected["sys_len"].as_u64().unwrap(), "{name}");
    assert_eq!(stats.reference_len, expected["ref_len"].as_u64().unwrap(), "{name}");
    assert_near(score.score, &expected["score"], name);
    assert_near(score.brevity_penalty, &expected["bp"], name);
    for (found, expected) in score.precisions.iter().zip(expected["precisions"].as_array().unwrap()) {
        assert_near(*found, expected, name);
    }
}

fn corpus(pairs: &[Pair], references: impl Fn(&Pair) -> Vec<String>) -> BleuStats {
    let mut counter = BleuCounter::new();
    pairs.iter().map(|pair| counter.stats(&pair.hypothesis, &references(pair)).unwrap()).sum()
}

#[test]
fn corpus_equals_sacrebleu() {
    let (pairs, golden) = (pairs(), &json("bleu.json")["corpus"]);
    let all = corpus(&pairs, |pair| pair.references.clone());
    let first = corpus(&pairs, |pair| vec![pair.references[0].clone()]);
    let source = corpus(&pairs, |pair| vec![pair.source.clone()]);
    for (name, stats) in [("all_references", all), ("first_reference", first), ("against_source", source)] {
        check(name, Bleu::CORPUS, &stats, &golden[name]);
    }
    let signature = |counts: ReferenceCount, name: &str| {
        let (ours, theirs) = (Bleu::CORPUS.signature(counts), golden[name]["signature"].as_str().unwrap().to_owned());
        assert_eq!(ours.split_once("version:").unwrap().0, theirs.split_once("version:").unwrap().0);
    };
    signature(ReferenceCount::of(pairs.iter().map(|pair| pair.references.len())), "all_references");
    signature(ReferenceCount::of(pairs.iter().map(|_| 1)), "first_reference");
}

#[test]
fn sentences_equal_sacrebleu() {
    let golden = json("bleu.json");
    let mut counter = BleuCounter::new();
    let mut seen = 0;
    for (pair, expected) in pairs().iter().zip(golden["sentences"].as_array().unwrap()) {
        assert_eq!(expected["id"], pair.id);
        let name = format!("row {}", pair.id);
        let stats = counter.stats(&pair.hypothesis, &pair.references).unwrap();
        check(&name, Bleu::SENTENCE, &stats, &expected["references"]);
        let stats = counter.stats(&pair.hypothesis, &[&pair.source]).unwrap();
        check(&name, Bleu::SENTENCE, &stats, &expected["against_source"]);
        seen += 1;
    }
    assert_eq!(seen, 42);
}

#[test]
fn signature_is_that_of_sacrebleu_with_our_version() {
    let signature = Bleu::SENTENCE.signature(ReferenceCount::Same(1));
    let expected =
        concat!("nrefs:1|case:mixed|eff:yes|tok:13a|smooth:exp|version:impossible-", env!("CARGO_PKG_VERSION"));
    assert_eq!(signature, expected);
}

#[test]
fn no_reference_is_an_error() {
    let error = BleuCounter::new().stats::<&str>("a", &[]).unwrap_err();
    assert_eq!(error.to_string(), "references: expected at least one for each row, found none");
}

#[test]
fn a_text_against_itself_is_perfect_and_scores_are_bounded() {
    let mut counter = BleuCounter::new();
    let texts = sentences();
    for x in &texts {
        let own = counter.stats(x, &[x]).unwrap();
        let perfect = if own.hypothesis_len == 0 { 0.0 } else { 100.0 };
        assert!((Bleu::SENTENCE.score(&own).score - perfect).abs() < 1e-9, "{x:?}");
        for y in texts.iter().step_by(7) {
            let stats = counter.stats(x, &[y]).unwrap();
            for settings in [Bleu::SENTENCE, Bleu::CORPUS] {
                let score = settings.score(&stats).score;
                assert!((0.0..=100.0 + 1e-9).contains(&score), "{x:?} {y:?} {score}");
            }
            // Matches are symmetric, and one more reference never removes a match.
            assert_eq!(stats.matches, counter.stats(y, &[x]).unwrap().matches);
            let more = counter.stats(x, &[y, &texts[3]]).unwrap();
            assert!(stats.matches.iter().zip(&more.matches).all(|(one, two)| one <= two));
        }
    }
}

#[test]
fn order_of_rows_and_of_references_changes_nothing() {
    let mut pairs = pairs();
    let forward = corpus(&pairs, |pair| pair.references.clone());
    pairs.rotate_left(17);
    pairs.reverse();
    let shuffled = corpus(&pairs, |pair| pair.references.iter().rev().cloned().collect());
    assert_eq!(forward, shuffled);
}

#[test]
fn a_resample_is_the_sum_of_its_rows() {
    let pairs = pairs();
    let mut counter = BleuCounter::new();
    let rows: Vec<_> = pairs.iter().map(|pair| counter.stats(&pair.hypothesis, &pair.references).unwrap()).collect();
    let drawn: Vec<usize> = (0..rows.len()).map(|k| k * k % rows.len()).collect();
    let sum: BleuStats = drawn.iter().map(|&k| rows[k]).sum();
    let mut fresh = BleuCounter::new();
    let again: BleuStats =
        drawn.iter().map(|&k| fresh.stats(&pairs[k].hypothesis, &pairs[k].references).unwrap()).sum();
    assert_eq!(sum, again);
    // The same as floats, for `bootstrap::Rows`.
    let mut totals = [0.0; BleuStats::WIDTH];
    for &k in &drawn {
        totals.iter_mut().zip(rows[k].values()).for_each(|(total, value)| *total += value);
    }
    assert_eq!(BleuStats::from_values(&totals), sum);
}

/// Expected scores: sacrebleu 2.6.0.
#[test]
fn empty_short_and_emoji() {
    let mut counter = BleuCounter::new();
    for (hypothesis, references, sentence, corpus) in [
        ("", &[""][..], 0.0, 0.0),
        ("", &["a b"], 0.0, 0.0),
        ("a b", &[""], 0.0, 0.0),
        ("word", &["word"], 100.0, 0.0),
        ("word", &["word", "word word"], 100.0, 0.0),
        ("a b c", &["a b d"], 55.03212081491043, 0.0),
        ("a b", &["a b c d e f g h i"], 3.0197383422318516, 0.0),
        ("😀 👍🏽", &["😀 👍🏽"], 100.0, 0.0),
        ("😀👍🏽 a b c d", &["😀 👍🏽 a b c d"], 54.75182535069452, 54.75182535069452),
    ] {
        let stats = counter.stats(hypothesis, references).unwrap();
        for (settings, expected) in [(Bleu::SENTENCE, sentence), (Bleu::CORPUS, corpus)] {
            let found = settings.score(&stats).score;
            assert!((found - expected).abs() < 1e-9, "{hypothesis:?} {references:?}: {found} instead of {expected}");
        }
    }
    let none = Bleu::CORPUS.score(&BleuStats::default());
    assert_eq!((none.score, none.brevity_penalty), (0.0, 1.0));
}

#[test]
fn a_line_of_many_words() {
    let mut counter = BleuCounter::new();
    let long: String = (0..100_000).map(|n| format!("w{} ", n % 30_000)).collect();
    let stats = counter.stats(&long, &[&long, "short"]).unwrap();
    assert_eq!(stats.matches, [100_000, 99_999, 99_998, 99_997]);
    assert_eq!(stats.reference_len, 100_000);
    let repeated = "a ".repeat(100_000);
    assert_eq!(counter.stats(&repeated, &["a a a"]).unwrap().matches, [3, 2, 1, 0]);
}

#[test]
fn the_nearest_length_is_the_shorter_of_two() {
    assert_eq!(closest(5, [9, 3, 7].into_iter()), Some(3));
    assert_eq!(closest(5, [8, 6].into_iter()), Some(6));
    assert_eq!(closest(5, [].into_iter()), None);
}

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::metric::golden::{Pair, assert_near, json, pairs};

fn stats(counter: &mut BleuCounter, pair: &Pair, references: &[String]) -> IbleuStats {
    IbleuStats {
        references: counter.stats(&pair.hypothesis, references).unwrap(),
        source: counter.stats(&pair.hypothesis, &[&pair.source]).unwrap(),
    }
}

#[test]
fn equals_the_golden_values() {
    let (pairs, golden) = (pairs(), json("bleu.json"));
    let mut counter = BleuCounter::new();
    let sentence = Ibleu::new(Ibleu::ALPHA, Bleu::SENTENCE).unwrap();
    for (pair, expected) in pairs.iter().zip(golden["sentences"].as_array().unwrap()) {
        let stats = stats(&mut counter, pair, &pair.references);
        assert_near(sentence.score(&stats), &expected["ibleu_alpha0.7"], &pair.hypothesis);
    }
    let corpus = Ibleu::new(Ibleu::ALPHA, Bleu::CORPUS).unwrap();
    let all: IbleuStats = pairs.iter().map(|pair| stats(&mut counter, pair, &pair.references)).sum();
    assert_near(corpus.score(&all), &golden["corpus"]["ibleu_alpha0.7_all_references"], "all references");
    let first: IbleuStats = pairs.iter().map(|pair| stats(&mut counter, pair, &pair.references[..1])).sum();
    assert_near(corpus.score(&first), &golden["corpus"]["ibleu_alpha0.7_first_reference"], "first reference");
    assert_eq!(IbleuStats::from_values(&all.values()), all);
    assert_eq!(IbleuStats::from_values(&[]), IbleuStats::default());
}

#[test]
fn self_bleu_equals_the_golden_values() {
    let golden = json("bleu.json");
    let sets = golden["self_bleu_sets"].as_object().unwrap();
    assert_eq!(sets.len(), 4);
    for (name, set) in sets {
        let sentences: Vec<String> = serde_json::from_value(set["sentences"].clone()).unwrap();
        let found = self_bleu(&sentences).unwrap();
        assert_near(found.mean, &set["self_bleu"], name);
        for (row, expected) in found.rows.iter().zip(set["each"].as_array().unwrap()) {
            assert_near(Bleu::SENTENCE.score(row).score, expected, name);
        }
    }
}

/// The linear algorithm agrees with the definition, on sentences of every length and on repeated ones.
#[test]
fn self_bleu_is_each_against_all_others() {
    let mut sentences = crate::metric::golden::sentences();
    sentences.extend(["", "", "a", "a b", "the the the", "the the"].map(str::to_owned));
    let found = self_bleu(&sentences).unwrap();
    let mut counter = BleuCounter::new();
    for (k, row) in found.rows.iter().enumerate() {
        let others: Vec<_> = sentences.iter().enumerate().filter(|(j, _)| *j != k).map(|(_, other)| other).collect();
        assert_eq!(*row, counter.stats(&sentences[k], &others).unwrap(), "{:?}", sentences[k]);
    }
    sentences.reverse();
    assert!((self_bleu(&sentences).unwrap().mean - found.mean).abs() < 1e-9);
}

#[test]
fn the_length_of_another() {
    assert_eq!(closest_other(5, &[5, 5]), 5);
    assert_eq!(closest_other(5, &[3, 5, 7]), 3);
    assert_eq!(closest_other(5, &[2, 5, 7]), 7);
    assert_eq!(closest_other(5, &[5, 9]), 9);
    assert_eq!(closest_other(5, &[1, 5]), 1);
}

#[test]
fn copying_costs_what_the_weight_says() {
    let mut counter = BleuCounter::new();
    let copy = "a sentence that was copied";
    let stats = IbleuStats {
        references: counter.stats(copy, &["nothing like it at all"]).unwrap(),
        source: counter.stats(copy, &[copy]).unwrap(),
    };
    for alpha in [0.0, 0.7, 0.9, 1.0] {
        let score = Ibleu::new(alpha, Bleu::SENTENCE).unwrap().score(&stats);
        assert!((score + 100.0 * (1.0 - alpha)).abs() < 1e-9, "{alpha}: {score}");
    }
}

#[test]
fn settings() {
    for alpha in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert!(Ibleu::new(alpha, Bleu::CORPUS).is_err(), "{alpha}");
    }
    let signature = Ibleu::new(0.7, Bleu::CORPUS).unwrap().signature(ReferenceCount::Same(2));
    assert!(signature.starts_with("alpha:0.7|nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:impossible-"));
    let error = self_bleu(&["one"]).unwrap_err().to_string();
    assert_eq!(error, "sentences of self-BLEU: expected at least two, found 1");
}

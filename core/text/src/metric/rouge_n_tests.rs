#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::Value;

use super::*;
use crate::metric::golden::{assert_near, lines, pairs, sentences};

fn named(scores: &RougeScores) -> [(&'static str, Rouge); 4] {
    [("rouge1", scores.rouge1), ("rouge2", scores.rouge2), ("rougeL", scores.rouge_l), ("rougeLsum", scores.rouge_lsum)]
}

fn check(scores: &RougeScores, expected: &Value, what: &str) {
    for (name, rouge) in named(scores) {
        let what = format!("{what} {name}");
        for (found, expected) in [rouge.precision, rouge.recall, rouge.f].iter().zip(expected[name].as_array().unwrap())
        {
            assert_near(*found, expected, &what);
        }
    }
}

#[test]
fn equals_rouge_score() {
    let mut seen = 0;
    for (key, stemmed) in [("plain", false), ("stem", true)] {
        let mut counter = RougeCounter::new(stemmed);
        for (pair, golden) in pairs().iter().zip(lines("rouge.jsonl")) {
            assert_eq!(golden["id"], pair.id);
            let mut row = |name: &str, targets: &[String]| {
                let what = format!("row {} {key} {name}", pair.id);
                check(&counter.stats(&pair.hypothesis, targets).unwrap().sums, &golden[key][name], &what);
                seen += 1;
            };
            row("against_source", std::slice::from_ref(&pair.source));
            row("first_reference", &pair.references[..1]);
            row("multi_reference", &pair.references);
        }
    }
    assert_eq!(seen, 2 * 3 * 42);
}

/// Golden tokens after stemming, compared by ids in the test's own vocabulary.
#[test]
fn stemmed_words_are_those_of_rouge_score() {
    let mut counter = RougeCounter::new(true);
    for (pair, golden) in pairs().iter().zip(lines("rouge.jsonl")) {
        let expected: Vec<String> = serde_json::from_value(golden["tokens_stem"].clone()).unwrap();
        let words = counter.text(&pair.hypothesis).words;
        let expected: Vec<u32> = expected.iter().map(|stem| counter.stems.id(stem)).collect();
        assert_eq!(words, expected, "{:?}", pair.hypothesis);
    }
}

/// Targets, then prediction, then [P, R, F] of ROUGE-Lsum. Expected: rouge-score 0.1.2.
#[test]
fn lsum_of_several_sentences() {
    for (targets, prediction, expected) in [
        (&["a b c\nd e f"][..], "a b\nd f g", [0.8, 0.6666666666666666, 0.7272727272727272]),
        (
            &["the cat sat\non the mat"],
            "the mat\nthe cat\nthe the the",
            [0.5714285714285714, 0.6666666666666666, 0.6153846153846153],
        ),
        (&["a b a b"], "b a\na b\nb b", [0.5, 0.75, 0.6]),
        (&["x y z"], "z y x\nx z", [0.4, 0.6666666666666666, 0.5]),
        (&["w1 w2 w3 w4 w5"], "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", [0.4, 0.8, 0.5333333333333333]),
        (&["", "\n\n"], "a\nb", [0.0, 0.0, 0.0]),
        (&["a\n\n\nb", "b\na"], "\na b\n", [1.0, 1.0, 1.0]),
        (&["a\na"], "a\nb", [0.5, 0.5, 0.5]),
        (&["a b"], "b\na", [1.0, 1.0, 1.0]),
        (&["b\na"], "a b", [1.0, 1.0, 1.0]),
        (&["one two\nthree", "three\none two four"], "one\ntwo\nthree four", [1.0, 1.0, 1.0]),
    ] {
        let scores = RougeCounter::new(false).stats(prediction, targets).unwrap().sums;
        let Rouge { precision, recall, f } = scores.rouge_lsum;
        for (found, expected) in [precision, recall, f].iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{targets:?} {prediction:?}: {:?}", scores.rouge_lsum);
        }
    }
}

#[test]
fn identity_bounds_and_symmetry() {
    let texts = sentences();
    for stemmed in [false, true] {
        let mut counter = RougeCounter::new(stemmed);
        for x in &texts {
            let own = counter.stats(x, &[x]).unwrap().sums;
            let words = counter.text(x).len();
            assert_eq!(own.rouge1.f, if words > 0 { 1.0 } else { 0.0 }, "{x:?}");
            assert_eq!(own.rouge2.f, if words > 1 { 1.0 } else { 0.0 }, "{x:?}");
            assert_eq!(own.rouge_l, own.rouge1, "{x:?}");
            for y in texts.iter().step_by(5) {
                let (ahead, back) = (counter.stats(x, &[y]).unwrap().sums, counter.stats(y, &[x]).unwrap().sums);
                for ((name, a), (_, b)) in named(&ahead).into_iter().zip(named(&back)) {
                    assert!([a.precision, a.recall, a.f].iter().all(|v| (0.0..=1.0).contains(v)), "{x:?} {y:?} {name}");
                    // Only Lsum is asymmetric, since its union is taken over the target's sentences.
                    if name != "rougeLsum" {
                        assert_eq!((a.precision, a.recall, a.f), (b.recall, b.precision, b.f), "{x:?} {y:?} {name}");
                    }
                }
                assert!(ahead.rouge_l.f <= ahead.rouge1.f && ahead.rouge_lsum.f <= ahead.rouge1.f, "{x:?} {y:?}");
            }
        }
    }
}

#[test]
fn the_best_target_is_chosen_for_each_score_and_more_never_hurt() {
    let mut counter = RougeCounter::new(false);
    for pair in pairs() {
        let all = counter.stats(&pair.hypothesis, &pair.references).unwrap().sums;
        let single: Vec<_> = pair
            .references
            .iter()
            .map(|reference| named(&counter.stats(&pair.hypothesis, &[reference]).unwrap().sums))
            .collect();
        for (at, (name, found)) in named(&all).into_iter().enumerate() {
            let best = single.iter().map(|scores| scores[at].1.f).fold(0.0, f64::max);
            assert_eq!(found.f, best, "{} {name}", pair.id);
        }
    }
}

/// Expected choices: rouge-score 0.1.2. In the last row both F are 2/3, the second of which rouge-score rounds up.
#[test]
fn of_equal_targets_the_first_unless_rounding_says_otherwise() {
    let mut counter = RougeCounter::new(false);
    for (targets, precision, recall) in [
        (["a b x y", "a b c q w e r t"], 0.5, 0.5),
        (["a b c q w e r t", "a b x y"], 0.75, 0.375),
        (["a b c q q", "a b"], 0.5, 1.0),
    ] {
        let found = counter.stats("a b c d", &targets).unwrap().sums.rouge1;
        assert_eq!((found.precision, found.recall), (precision, recall), "{targets:?}");
    }
}

#[test]
fn the_mean_of_rows_in_any_order() {
    let mut pairs = pairs();
    let mut counter = RougeCounter::new(true);
    let mut sum = |pairs: &[crate::metric::golden::Pair]| -> RougeStats {
        pairs.iter().map(|pair| counter.stats(&pair.hypothesis, &pair.references).unwrap()).sum()
    };
    let forward = sum(&pairs);
    pairs.reverse();
    let backward = sum(&pairs);
    assert_eq!((forward.rows, backward.rows), (42, 42));
    assert_eq!(RougeStats::from_values(&forward.values()), forward);
    for ((name, a), (_, b)) in named(&forward.mean()).into_iter().zip(named(&backward.mean())) {
        assert!((a.f - b.f).abs() < 1e-12 && a.f > 0.0 && a.f < 1.0, "{name}");
    }
    assert_eq!(RougeStats::default().mean(), RougeScores::default());
}

/// ASCII lines take a path without string allocations, which must tokenise exactly as `rouge_tokens` does.
#[test]
fn both_ways_of_cutting_agree() {
    let mut counter = RougeCounter::new(false);
    for text in ["The cat, sat.", "it's a well-known U.S. fact", "_under_score_ 1,500.50", "\u{1c}A\u{b}b\0c", ""] {
        let plain = counter.text(text);
        let accented = counter.text(&format!("{text}é"));
        assert_eq!(plain, accented, "{text:?}");
        let expected: Vec<_> = rouge_tokens(text).iter().map(|word| counter.words.id(word)).collect();
        assert_eq!(plain.words, expected, "{text:?}");
    }
}

#[test]
fn texts_of_another_counter_are_harmless() {
    let far = {
        let mut counter = RougeCounter::new(false);
        counter.text("a b c d e f g h i j k l");
        counter.text("x\ny\nz")
    };
    let stats = RougeCounter::new(false).stats_of_texts(&far, std::slice::from_ref(&far)).unwrap();
    assert_eq!(stats.sums.rouge_lsum.f, 1.0);
    assert!(RougeCounter::new(false).stats::<&str>("a", &[]).is_err());
}

#[test]
fn a_line_of_many_words() {
    let mut counter = RougeCounter::new(true);
    let long: String = (0..100_000).map(|n| format!("w{} ", n % 30_000)).collect();
    let two = format!("{long}\nlast words");
    let scores = counter.stats(&two, &[&long]).unwrap().sums;
    let [x, y] = [100_000.0, 100_002.0];
    for rouge in [scores.rouge1, scores.rouge_l, scores.rouge_lsum] {
        assert_eq!((rouge.recall, rouge.precision), (1.0, x / y));
    }
    assert_eq!(scores.rouge2.recall, 1.0);
}

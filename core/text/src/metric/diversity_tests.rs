#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::Value;

use super::*;
use crate::metric::golden;
use record::random::{Purpose, Stream};

fn column(field: &str) -> Vec<String> {
    golden::lines("pairs.jsonl").iter().map(|row| row[field].as_str().expect("a text").to_owned()).collect()
}

fn close(found: Option<f64>, expected: &Value, what: &str) {
    match (found, expected.as_f64()) {
        (None, None) => assert!(expected.is_null(), "{what}: {expected}"),
        (Some(found), Some(expected)) => {
            assert!((found - expected).abs() < 1e-9, "{what}: {found} instead of {expected}");
        }
        _ => panic!("{what}: {found:?} instead of {expected}"),
    }
}

#[test]
fn equals_the_golden_values() {
    let expected = golden::json("diversity.json");
    let (sources, hypotheses) = (column("source"), column("hypothesis"));
    let sets = [
        ("sources", sources.clone()),
        ("hypotheses", hypotheses.clone()),
        ("hypotheses_twice", [hypotheses.clone(), hypotheses.clone()].concat()),
        ("identical", vec!["a b c d e f".to_owned(); 40]),
        ("short", vec!["a b".to_owned()]),
        ("empty", vec![]),
    ];
    assert_eq!(expected["sets"].as_object().unwrap().len(), sets.len());
    for (name, texts) in &sets {
        let expected = &expected["sets"][name];
        let lexical = Diversity::of(texts);
        assert_eq!(lexical.tokens, expected["n_tokens"].as_u64().unwrap(), "{name}");
        for n in 0..3 {
            close(Some(lexical.entropy[n]), &expected[format!("h{}", n + 1)], name);
            assert!(lexical.entropy[n].is_sign_positive(), "{name}: no minus before 0");
        }
        close(lexical.distinct[1], &expected["distinct2"], name);
        close(lexical.msttr, &expected["msttr100_full_segments"], name);
        close(lexical.msttr_with_last, &expected["msttr100_with_last"], name);
        let mut fifty = Diversity::new(50);
        texts.iter().for_each(|text| fifty.add(text));
        close(fifty.lexical().msttr, &expected["msttr50_full_segments"], name);
    }
    let mut sum = 0.0;
    for (i, (x, y)) in sources.iter().zip(&hypotheses).enumerate() {
        close(Some(jaccard(x, y)), &expected["jaccard"][i], &format!("pair {i}"));
        sum += jaccard(x, y);
    }
    close(Some(sum / 42.0), &expected["jaccard_mean"], "mean");
}

fn random_texts(seed: u64, texts: usize) -> Vec<String> {
    (0..texts)
        .map(|row| {
            let mut stream = Stream::new(seed, Purpose::Other, 0, row as u32);
            let len = stream.below(30);
            (0..len)
                .map(|_| ["a", "b", "A", "😀", "naïve", "c.", "日本"][stream.below(7)])
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
}

#[test]
fn counting_equals_a_plain_count() {
    for seed in 0..20 {
        let texts = random_texts(seed, 12);
        let lexical = Diversity::of(&texts);
        for n in 1..=3 {
            let mut counts = HashMap::<Vec<&str>, u64>::new();
            for text in &texts {
                let tokens: Vec<&str> = text.split_whitespace().collect();
                tokens.windows(n).for_each(|gram| *counts.entry(gram.to_vec()).or_default() += 1);
            }
            let total = counts.values().sum::<u64>() as f64;
            let entropy: f64 = counts.values().map(|&c| c as f64 / total * (total / c as f64).log2()).sum();
            assert!((lexical.entropy[n - 1] - entropy).abs() < 1e-9, "{seed} {n}");
            assert!(lexical.entropy[n - 1] <= (counts.len() as f64).log2() + 1e-9);
            assert_eq!(lexical.distinct[n - 1], Some(counts.len() as f64 / total));
        }
    }
}

#[test]
fn order_does_not_matter_for_entropies() {
    let mut texts = random_texts(5, 40);
    let before = Diversity::of(&texts);
    texts.reverse();
    texts.rotate_left(7);
    let after = Diversity::of(&texts);
    assert_eq!((before.entropy, before.distinct), (after.entropy, after.distinct));
}

#[test]
fn a_uniform_distribution_has_the_entropy_of_its_size() {
    assert_eq!(entropy_bits([7; 64]), 6.0);
    assert_eq!(entropy_bits([0, 0, 3]), 0.0);
    assert_eq!(entropy_bits([u64::MAX, u64::MAX]), 1.0);
}

#[test]
fn odd_texts() {
    let long = "word ".repeat(200_000);
    let lexical = Diversity::of([long.as_str(), "", "one", "😀", "\n\t"]);
    assert_eq!((lexical.texts, lexical.tokens), (5, 200_002));
    assert!(lexical.entropy[0] < 0.01 && lexical.entropy[2] == 0.0);
    assert!((lexical.msttr.unwrap() - 1.0).abs() < 1e-9);
    let one = Diversity::of(["one"]);
    assert_eq!((one.entropy, one.distinct, one.msttr), ([0.0; 3], [Some(1.0), None, None], None));
    assert_eq!(Diversity::new(0).lexical().msttr_with_last, None);
}

#[test]
fn jaccard_is_symmetric_and_bounded() {
    let texts = random_texts(8, 30);
    for x in &texts {
        for y in &texts {
            let value = jaccard(x, y);
            assert!(value == jaccard(y, x) && (0.0..=1.0).contains(&value));
        }
        assert_eq!(jaccard(x, x), if x.is_empty() { 0.0 } else { 1.0 });
    }
}

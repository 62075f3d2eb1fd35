//! Access to the golden values in `tests/golden/metrics`, for tests.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::Value;

/// One row of `pairs.jsonl`.
pub(super) struct Pair {
    pub id: u64,
    pub source: String,
    pub hypothesis: String,
    pub references: Vec<String>,
}

fn read(name: &str) -> String {
    let path = format!("{}/../../tests/golden/metrics/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(super) fn json(name: &str) -> Value {
    serde_json::from_str(&read(name)).unwrap()
}

pub(super) fn lines(name: &str) -> Vec<Value> {
    read(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(super) fn pairs() -> Vec<Pair> {
    lines("pairs.jsonl")
        .into_iter()
        .map(|row| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            Pair {
                id: row["id"].as_u64().unwrap(),
                source: text(&row["source"]),
                hypothesis: text(&row["hypothesis"]),
                references: row["references"].as_array().unwrap().iter().map(text).collect(),
            }
        })
        .collect()
}

/// Sources, hypotheses and first references.
pub(super) fn sentences() -> Vec<String> {
    pairs().into_iter().flat_map(|pair| [pair.source, pair.hypothesis, pair.references[0].clone()]).collect()
}

/// Asserts that a value is within 1e-9 of the golden one.
pub(super) fn assert_near(found: f64, expected: &Value, what: &str) {
    let expected = expected.as_f64().unwrap();
    assert!((found - expected).abs() < 1e-9, "{what}: {found} instead of {expected}");
}

//! Words as ROUGE counts them.

use std::collections::HashMap;

/// Lowercase runs of `[a-z0-9]`; everything else separates. The same tokens as the default tokenizer of rouge-score
/// 0.1.2 without stemming. Lowercasing follows Unicode, so "K" (the Kelvin sign) becomes `k`, while "É" separates
/// words.
pub fn rouge_tokens(text: &str) -> Vec<String> {
    text.to_lowercase()
        .split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Numbers the distinct words in order of first occurrence, so that overlap measures compare `u32`s.
#[derive(Debug, Clone, Default)]
pub struct Interner {
    ids: HashMap<String, u32>,
}

impl Interner {
    /// An interner that has seen no words.
    pub fn new() -> Self {
        Self::default()
    }

    /// The ROUGE tokens of `text` as ids; unseen words get the next ids.
    pub fn intern(&mut self, text: &str) -> Vec<u32> {
        rouge_tokens(text)
            .into_iter()
            .map(|word| {
                let next = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
                *self.ids.entry(word).or_insert(next)
            })
            .collect()
    }

    /// Number of distinct words seen; every id is smaller.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether no word has been seen yet.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn tokens_split_at_everything_but_ascii_letters_and_digits() {
        for (text, expected) in [
            ("The cat, sat.", "the cat sat"),
            ("it's a well-known U.S. fact", "it s a well known u s fact"),
            ("café naïve", "caf na ve"),
            ("1,500.50 €", "1 500 50"),
            ("_under_score_", "under score"),
            ("中文 Привет", ""),
            ("", ""),
            ("  \n\t ", ""),
            ("\u{212A}elvin", "kelvin"),
        ] {
            assert_eq!(rouge_tokens(text).join(" "), expected, "{text:?}");
        }
    }

    /// Expected: the tokens that rouge-score itself makes of the hypotheses.
    #[test]
    fn tokens_are_those_of_rouge_score() {
        let read = |name: &str| -> Vec<serde_json::Value> {
            let path = format!("{}/../../tests/golden/metrics/{name}", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(&path).expect("golden file");
            text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
        };
        let (pairs, golden) = (read("pairs.jsonl"), read("rouge.jsonl"));
        assert!(golden.len() >= 40);
        for (pair, row) in pairs.iter().zip(&golden) {
            assert_eq!(pair["id"], row["id"]);
            let tokens = rouge_tokens(pair["hypothesis"].as_str().expect("a text"));
            assert_eq!(serde_json::json!(tokens), row["tokens"], "{pair}");
        }
    }

    #[test]
    fn same_word_same_id_in_order_of_first_sight() {
        let mut words = Interner::new();
        assert!(words.is_empty());
        assert_eq!(words.intern("A b a"), [0, 1, 0]);
        assert_eq!(words.intern("c B!"), [2, 1]);
        assert_eq!(words.len(), 3);
    }
}

//! A limit on pairs with the same summary: a generic sentence such as "It's a myth." can follow from a third of a
//! context's siblings.

use std::collections::HashMap;

/// A pair that competes for a place under the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate<'a> {
    /// Text of the summary.
    pub summary: &'a str,
    /// Score of the pair; higher is better.
    pub score: f64,
}

/// The text by which summaries are compared: in lower case, with single spaces and without punctuation at the end.
#[must_use]
pub fn normalised(text: &str) -> String {
    let text = text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    let letters = text.trim_end_matches(|c: char| !c.is_alphanumeric());
    if letters.is_empty() { text } else { letters.to_string() }
}

/// Indices of the `max` best candidates of each summary, in ascending order; ties keep the earlier candidate.
#[must_use]
pub fn cap(candidates: &[Candidate], max: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by(|&a, &b| candidates[b].score.total_cmp(&candidates[a].score));
    let mut taken = HashMap::<String, usize>::new();
    order.retain(|&index| {
        let taken = taken.entry(normalised(candidates[index].summary)).or_default();
        *taken += 1;
        *taken <= max
    });
    order.sort_unstable();
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_stay() {
        let candidates = [("It's a myth.", 0.8), ("Sales rose.", 0.1), ("it's  a myth!", 0.9), ("It's a myth.", 0.9)]
            .map(|(summary, score)| Candidate { summary, score });
        assert_eq!(cap(&candidates, 1), [1, 2]);
        assert_eq!(cap(&candidates, 2), [1, 2, 3]);
        assert_eq!(cap(&candidates, 3), [0, 1, 2, 3]);
    }

    #[test]
    fn texts_without_letters_stay_apart() {
        assert_ne!(normalised("..."), normalised("?!"));
        assert_eq!(normalised("日本。"), "日本");
    }
}

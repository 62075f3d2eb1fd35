//! At most so many pairs with one summary: "It's a myth." follows from a third of what a teacher says.

use std::collections::HashMap;

/// One candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate<'a> {
    /// The summary's text.
    pub summary: &'a str,
    /// Higher is better.
    pub score: f64,
}

/// Lower case, single spaces, nothing but letters and digits at the end.
#[must_use]
pub fn normalised(text: &str) -> String {
    let text = text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    let letters = text.trim_end_matches(|c: char| !c.is_alphanumeric());
    if letters.is_empty() { text } else { letters.to_string() }
}

/// Indices of the best `max` candidates of each summary, ascending; of equal scores the first stays.
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

//! Quotation marks: a quotation that opens and never closes is a fragment of what was said.

use super::{FreeCritic, Pair, SentenceSet};
use record::Refusal;

/// Accepts pairs whose sentences close every quotation they open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotes;

/// Every double quotation mark has its counterpart, in order. Single ones are apostrophes too and not looked at.
#[must_use]
pub fn balanced(text: &str) -> bool {
    let mut open = 0_i64;
    for c in text.chars() {
        match c {
            '\u{201c}' => open += 1,
            '\u{201d}' => open -= 1,
            _ => {}
        }
        if open < 0 {
            return false;
        }
    }
    open == 0 && text.matches('"').count().is_multiple_of(2)
}

impl FreeCritic for Quotes {
    fn refusal(&self) -> Refusal {
        Refusal::Quotes
    }

    /// 1 = balanced, 0 = not.
    fn scores(&self, siblings: &SentenceSet, pairs: &[Pair]) -> Vec<f32> {
        let whole = |index| siblings.get(index).quotes;
        pairs.iter().map(|pair| f32::from(u8::from(whole(pair.x) && whole(pair.y)))).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn quotations_close() {
        for (text, expected) in [
            ("", true),
            ("He said no.", true),
            ("He said \"no\".", true),
            ("He said \"no.", false),
            ("\u{201c}No,\u{201d} he said.", true),
            ("\u{201c}No, he said.", false),
            ("No,\u{201d} he said \u{201c}yes.", false),
            ("It's the firms' plan.", true),
        ] {
            assert_eq!(balanced(text), expected, "{text}");
        }
        let siblings = SentenceSet::new([(0, "He said \"no\"."), (1, "He said \"no.")]).unwrap();
        let pairs = [(0, 0), (0, 1), (1, 0)].map(|(x, y)| Pair { x, y });
        assert_eq!(Quotes.scores(&siblings, &pairs), [1.0, 0.0, 0.0]);
    }
}

//! Punctuation that the rules look at: quotations that close, and questions.

/// Every double quotation mark has its counterpart, in order. Single ones are apostrophes too and not looked at.
#[must_use]
pub fn quotations_close(text: &str) -> bool {
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

/// Whether a sentence ends in a question mark, also among other marks. A bracket closes an aside, not the sentence.
#[must_use]
pub fn is_question(text: &str) -> bool {
    let marks = text.trim_end().chars().rev().take_while(|c| !c.is_alphanumeric() && *c != ')');
    marks.into_iter().any(|c| matches!(c, '?' | '\u{ff1f}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotations() {
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
            assert_eq!(quotations_close(text), expected, "{text}");
        }
    }

    #[test]
    fn questions() {
        for (text, expected) in [
            ("", false),
            ("How many days is that?", true),
            ("Really?!", true),
            ("How many days (or nights) is that?", true),
            ("\u{201c}How many days is that?\u{201d} ", true),
            ("He asked: how many days is that? Nobody knew.", false),
            ("It is (is it?).", false),
        ] {
            assert_eq!(is_question(text), expected, "{text}");
        }
    }
}

//! The tokens that BLEU counts: the rules of the NIST script mteval-v13a as sacrebleu applies them (`tok:13a`).
//!
//! 1. `<skipped>` and hyphens at line ends are removed, `&quot; &amp; &lt; &gt;` are decoded (in this order, once
//!    each).
//! 2. ASCII symbols other than `' , - .` are tokens of their own.
//! 3. `.` and `,` are tokens of their own unless between digits.
//! 4. `-` after a digit is a token of its own.

use std::borrow::Cow;

/// Whitespace as in Python's `str.split`: that of Unicode, and the four ASCII separators.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// Calls `token` with each 13a token of `text`, in order. Time and memory are linear in the length of the text.
pub fn tokenize_13a(text: &str, mut token: impl FnMut(&str)) {
    let text = clean(text.trim_end_matches(is_space));
    for run in text.split(is_space) {
        let mut start = 0;
        for (at, byte) in run.bytes().enumerate() {
            if is_symbol(byte) {
                split_word(&run[start..at], &mut token);
                token(&run[at..=at]);
                start = at + 1;
            }
        }
        split_word(&run[start..], &mut token);
    }
}

fn clean(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for (sign, from, to) in [
        ('<', "<skipped>", ""),
        ('\n', "-\n", ""),
        ('&', "&quot;", "\""),
        ('&', "&amp;", "&"),
        ('&', "&lt;", "<"),
        ('&', "&gt;", ">"),
    ] {
        // Searching for one character is faster than for a string, and most lines contain none of these.
        if text.contains(sign) && text.contains(from) {
            text = Cow::Owned(text.replace(from, to));
        }
    }
    text
}

fn is_symbol(byte: u8) -> bool {
    byte.is_ascii_punctuation() && !is_point(byte) && byte != b'\'' && byte != b'-'
}

fn is_point(byte: u8) -> bool {
    byte == b'.' || byte == b','
}

/// Applies rules 3 and 4 to a run without spaces and symbols. All splits are next to ASCII bytes, so slices end at
/// character boundaries.
fn split_word(word: &str, token: &mut impl FnMut(&str)) {
    let bytes = word.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut start = 0;
    // sacrebleu's rules are substitutions that consume the character before a point: in a run of points, only every
    // second one is split off because of what precedes it. For the others, what follows decides.
    let mut free = true;
    for (at, &byte) in bytes.iter().enumerate() {
        let after_digit = at > 0 && digit(at - 1);
        let alone = if is_point(byte) {
            let cut = free && !after_digit;
            free = !cut;
            // A point that has been split off is followed by a space; otherwise, only a following digit keeps this one
            // inside the word.
            cut || !digit(at + 1)
        } else {
            free = true;
            byte == b'-' && after_digit
        };
        if alone {
            if start < at {
                token(&word[start..at]);
            }
            token(&word[at..=at]);
            start = at + 1;
        }
    }
    if start < word.len() {
        token(&word[start..]);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<String> {
        let mut tokens = Vec::new();
        tokenize_13a(text, |token| tokens.push(token.to_owned()));
        tokens
    }

    #[test]
    fn equals_sacrebleu() {
        let read = |name: &str| {
            std::fs::read_to_string(format!("{}/../../tests/golden/metrics/{name}", env!("CARGO_MANIFEST_DIR")))
                .unwrap()
        };
        let golden: serde_json::Value = serde_json::from_str(&read("bleu.json")).unwrap();
        let mut seen = 0;
        for (pair, row) in read("pairs.jsonl").lines().zip(golden["sentences"].as_array().unwrap()) {
            let pair: serde_json::Value = serde_json::from_str(pair).unwrap();
            assert_eq!(pair["id"], row["id"]);
            assert_eq!(serde_json::json!(tokens(pair["hypothesis"].as_str().unwrap())), row["tokens_13a"], "{pair}");
            seen += 1;
        }
        assert_eq!(seen, 42);
    }

    /// Expected tokens: sacrebleu 2.6.0.
    #[test]
    fn points_dashes_entities_and_spaces() {
        for (text, expected) in CASES {
            assert_eq!(tokens(text).join(" "), *expected, "{text:?}");
        }
    }

    const CASES: &[(&str, &str)] = &[
        ("", ""),
        ("   \t\n", ""),
        ("a..b", "a . . b"),
        ("a...b....c", "a . . . b . . . . c"),
        ("1..2", "1 . . 2"),
        ("1...2", "1 . . .2"),
        ("1.5", "1.5"),
        ("1.a", "1 . a"),
        ("a.1", "a . 1"),
        ("1.,2", "1 . , 2"),
        (".5", ". 5"),
        ("5.", "5 ."),
        ("..", ". ."),
        ("...", ". . ."),
        ("1-2", "1 - 2"),
        ("1--2", "1 - -2"),
        ("x-1", "x-1"),
        ("1.-2", "1 . -2"),
        ("12-", "12 -"),
        ("-12", "-12"),
        ("co-op", "co-op"),
        ("it's 'so'", "it's 'so'"),
        ("a-\nb", "ab"),
        ("a\nb", "a b"),
        ("a<skipped>b", "ab"),
        ("&amp;lt;", "<"),
        ("&amp;quot;", "& quot ;"),
        ("&lt;&gt; &quot;x&quot; &amp; y", "< > \" x \" & y"),
        ("$1,234.56!", "$ 1,234.56 !"),
        ("50%", "50 %"),
        ("a_b#c@d", "a _ b # c @ d"),
        ("é.é,5,é", "é . é , 5 , é"),
        ("五.5。5", "五 . 5。5"),
        ("١.5", "١ . 5"),
        ("x\u{a0}y\u{3000}z", "x y z"),
        ("a\u{1c}b", "a b"),
        ("\u{1f600}.\u{1f44d}\u{1f3fd},", "\u{1f600} . \u{1f44d}\u{1f3fd} ,"),
        ("http://x.org/a?b=c&d", "http : / / x . org / a ? b = c & d"),
        ("1,234,567.", "1,234,567 ."),
        ("1.,,3,.4", "1 . , ,3 , . 4"),
        ("U.S.A.", "U . S . A ."),
        ("3.14.15..16", "3.14.15 . . 16"),
        ("a.,b", "a . , b"),
        ("-.-.5-.", "- . - . 5 - ."),
        ("tail  \u{2028}", "tail"),
    ];

    #[test]
    fn tokens_are_the_text_without_its_spaces() {
        let removed = ["&", "<skipped>", "-\n"];
        for (text, _) in CASES.iter().filter(|(text, _)| !removed.iter().any(|part| text.contains(part))) {
            let tokens = tokens(text);
            assert!(tokens.iter().all(|token| !token.is_empty() && !token.contains(is_space)), "{text:?}");
            assert_eq!(tokens.concat(), text.replace(is_space, ""), "{text:?}");
        }
    }

    #[test]
    fn a_very_long_line_is_linear() {
        let mut seen = 0;
        tokenize_13a(&"1.5,x-. ".repeat(200_000), |_| seen += 1);
        assert_eq!(seen, 200_000 * tokens("1.5,x-. ").len());
    }
}

//! Whether a run of sentences is a sane left context.

use std::collections::HashSet;

use record::ContextOutcome;

/// Why these sentences should not be used as a left context; `None` if they may be.
///
/// * `quiz-like`: option lists, "Answer:", blanks, "Emma or Harold?", three question marks or mostly questions;
/// * `broken`: control characters, markup, links, code, unbalanced brackets;
/// * `short`: fewer than 6 words per sentence on average (or no sentence);
/// * `repetitive`: a sentence occurs twice, three sentences start with the same three words, or fewer than 45 % of the
///   words are distinct.
pub fn degenerate(sentences: &[&str]) -> Option<ContextOutcome> {
    if quiz_like(sentences) {
        return Some(ContextOutcome::QuizLike);
    }
    if broken(sentences) {
        return Some(ContextOutcome::Broken);
    }
    let words: Vec<Vec<String>> = sentences.iter().map(|s| plain_words(s)).collect();
    let total: usize = words.iter().map(Vec::len).sum();
    if total < 6 * sentences.len().max(1) {
        return Some(ContextOutcome::Short);
    }
    let distinct: HashSet<&String> = words.iter().flatten().collect();
    let same_start =
        |w: &Vec<String>| words.iter().filter(|o| o.len() >= 3 && w.len() >= 3 && o[..3] == w[..3]).count() >= 3;
    let whole: HashSet<&Vec<String>> = words.iter().collect();
    // In integers: distinct / total < 0.45.
    if whole.len() < words.len() || distinct.len() * 100 < total * 45 || words.iter().any(same_start) {
        return Some(ContextOutcome::Repetitive);
    }
    None
}

fn plain_words(s: &str) -> Vec<String> {
    s.split_whitespace()
        .map(|w| w.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase())
        .filter(|w| !w.is_empty())
        .collect()
}

fn quiz_like(sentences: &[&str]) -> bool {
    let marks: usize = sentences.iter().map(|s| s.matches('?').count()).sum();
    let asking = sentences.iter().filter(|s| s.contains('?')).count();
    let options = sentences.iter().flat_map(|s| s.split_whitespace()).filter(|w| is_option(w)).count();
    marks >= 3
        || (asking >= 2 && asking * 2 > sentences.len())
        || options >= 2
        || sentences.iter().any(|s| {
            let lower = s.to_lowercase();
            let said = ["answer:", "answers:", "question:", "q:", "a:", "true or false", "choose the", "___"];
            s.split_whitespace().next().is_some_and(is_option)
                || said.iter().any(|&mark| match mark.len() {
                    2 => lower.split_whitespace().any(|w| w == mark),
                    _ => lower.contains(mark),
                })
                || either_or(s)
        })
}

/// Whether a word is the label of an option: "A)", "(b)", "3)".
fn is_option(word: &str) -> bool {
    let mut chars = word.strip_prefix('(').unwrap_or(word).chars();
    chars.next().is_some_and(|c| c.is_ascii_alphanumeric()) && chars.next() == Some(')')
}

/// Whether the sentence asks to choose between two names: "Emma or Harold?"
fn either_or(s: &str) -> bool {
    let words: Vec<&str> = s.split_whitespace().collect();
    let capital = |w: &str| w.starts_with(char::is_uppercase);
    words.windows(3).any(|w| capital(w[0]) && w[1] == "or" && capital(w[2]) && w[2].ends_with('?'))
}

fn broken(sentences: &[&str]) -> bool {
    let bad = [
        "http:", "https:", "www.", "```", "</", "/>", "{", "}", "();", "=>", "->", "::", "==", "!=", "[[", "]]", "**",
        "#include", "\\",
    ];
    let mut depth = [0i64; 2];
    for s in sentences {
        if bad.iter().any(|mark| s.contains(mark))
            || s.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER)
        {
            return true;
        }
        for pair in s.as_bytes().windows(2) {
            if pair[0] == b'<' && (pair[1].is_ascii_alphabetic() || pair[1] == b'!') {
                return true;
            }
        }
        // &amp; &lt; &#36;
        let entity = |tail: &str| tail.find(';').is_some_and(|n| (2..9).contains(&n) && !tail[..n].contains(' '));
        if s.split('&').skip(1).any(entity) {
            return true;
        }
        for c in s.chars() {
            match c {
                '(' => depth[0] += 1,
                ')' => depth[0] -= 1,
                '[' => depth[1] += 1,
                ']' => depth[1] -= 1,
                _ => {}
            }
            if depth.iter().any(|&d| d < 0) {
                return true;
            }
        }
    }
    depth != [0, 0]
}

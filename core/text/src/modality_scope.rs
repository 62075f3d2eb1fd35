//! What a denial is about: the words that it covers.

use std::collections::HashSet;

use super::lex::Token;
use super::words::{is_function, is_stop};

/// How many words a denial can cover on either side of the word that it applies to.
const REACH: usize = 24;
/// How far behind a comma the "or" of a list is looked for.
const LIST_REACH: usize = 8;

/// Words that set a claim against another.
const CONTRASTS: &str = "but while whereas although though yet however instead rather unlike";

/// The markers of the words that are denied, given the places of those that denials apply to: `verbs`, whose clause is
/// denied, and `nouns`; and the ends of clauses that a denial closes ("the bar is not"). A word that also stands elsewhere
/// has none.
pub(super) fn markers(tokens: &[Token], verbs: &[usize], nouns: &[usize], closed: &[usize]) -> Vec<String> {
    let mut covered = vec![false; tokens.len()];
    for &end in closed.iter().filter(|&&end| tokens.get(end).is_none_or(|t| t.breaks || is_stop(&t.text))) {
        covered[left(tokens, end)..end].fill(true);
    }
    for &at in verbs {
        covered[left(tokens, at)..right(tokens, at)].fill(true);
    }
    for &at in nouns {
        covered[at..right(tokens, at)].fill(true);
    }
    let mut core = vec![false; tokens.len()];
    verbs.iter().chain(nouns).for_each(|&at| core[at] = true);
    let elsewhere: HashSet<&str> =
        tokens.iter().zip(&covered).filter(|(_, covered)| !**covered).map(|(token, _)| token.stem.as_str()).collect();
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate().filter(|(at, _)| covered[*at]) {
        if (core[at] || !(token.used || is_function(&token.text))) && !elsewhere.contains(token.stem.as_str()) {
            found.push(format!("{} {}", if core[at] { "?not" } else { "?nor" }, token.stem));
        }
    }
    let contrast = |token: &Token| CONTRASTS.split_ascii_whitespace().any(|word| word == token.text);
    if !found.is_empty() && tokens.iter().any(contrast) {
        found.push("?but".to_owned());
    }
    found
}

/// The token after the last one that a denial of the word at `at` covers: it ends at a conjunction other than "and" and
/// "or", and at punctuation that does not belong to a list with "or".
fn right(tokens: &[Token], at: usize) -> usize {
    let ends = |token: &Token| is_stop(&token.text) && !matches!(token.text.as_str(), "and" | "or");
    let listed = |at: usize| {
        let rest = tokens[at..].iter().take(LIST_REACH).take_while(|token| !ends(token));
        rest.into_iter().any(|token| matches!(token.text.as_str(), "or" | "nor"))
    };
    let last = tokens.len().min(at + 1 + REACH);
    (at + 1..last).find(|&i| ends(&tokens[i]) || (tokens[i].breaks && !listed(i))).unwrap_or(last)
}

/// The first token that a denial of the verb at `at` covers: all of its clause, which begins at a conjunction, or at the
/// comma behind a clause that begins with one.
fn left(tokens: &[Token], at: usize) -> usize {
    let opens = |token: &Token| is_stop(&token.text) && !matches!(token.text.as_str(), "and" | "or");
    let first = at.saturating_sub(REACH);
    let clause =
        |end: usize| (first..=end).rev().find(|&i| tokens[i].breaks || i == 0).is_some_and(|i| opens(&tokens[i]));
    let comma = |next: &Token, i: usize| next.breaks && (next.begins || clause(i));
    let begins = |i: usize| opens(&tokens[i]) || tokens.get(i + 1).filter(|_| i + 1 < at).is_some_and(|t| comma(t, i));
    // "Tea, not coffee".
    if (first..at).any(|i| tokens[i].text == "not" && tokens[i].breaks) {
        return at;
    }
    (first..at).rev().find(|&i| begins(i)).map_or(first, |i| i + 1)
}

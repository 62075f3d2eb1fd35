//! What a sentence claims beyond names and numbers: negation, modality, quantity, order and direction. Rules only, for
//! English.
//!
//! A sentence becomes a sorted set of markers. `kind word` is a kind and the word it is about, its anchor: "will not
//! open" -> `not open`, `will open`; "most users" -> `most user`; a kind without a word is about the sentence. `?kind` can
//! be the counterpart of a kind on the other side, never a demand of its own: "oppose" of "not", "about" of "nearly".
//! `+axis`, `-axis` are the poles of opposites ("rise", "fall"), `<`, `>`, `=` and a word the neighbour that has to be the
//! same, as "A sold it to B" is what "B bought it from A" says. `ing word` goes on, `done word` has happened, `un word` is
//! "unhappy", `the word` a definite plural. `~word` is claimed plainly. The lists are in `modality_words`.
//!
//! Kinds: `not`; `will` ("is going to", "is set to"), `would`, `expect`, `plan`, `hope`, `might` ("could", "likely"),
//! `must`, `try`, `alleged`, `if`; `all`, `most`, `some`, `few`, `only`, `near`, `more`, `less`, `upto`; `first`, `last`,
//! `next`, `former`, `again`, `also`. Where the reading is in doubt, the pair is accepted.

use std::cmp::Ordering;

#[path = "modality_lex.rs"]
mod lex;
#[path = "modality_reader.rs"]
mod reader;
#[path = "modality_words.rs"]
mod words;

/// Kinds that must be on both sides of a paraphrase, and in x if they are in y.
fn is_demand(kind: &str) -> bool {
    is_verbal(kind)
        || matches!(kind, "if" | "most" | "few" | "only" | "near" | "more" | "less" | "upto")
        || matches!(kind, "first" | "last" | "next" | "again" | "also")
}

/// Kinds whose verb is not claimed plainly.
fn is_verbal(kind: &str) -> bool {
    matches!(kind, "not" | "will" | "would" | "expect" | "plan" | "hope" | "might" | "must" | "try" | "alleged")
}

/// Of a kind of quantity without which more is claimed of its noun: the kinds that claim as little.
fn as_little(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "most" => &["most", "some", "few"],
        "few" => &["few", "not", "some"],
        "near" => &["near", "less", "upto"],
        "less" => &["less", "near", "upto"],
        "upto" => &["upto", "less", "near"],
        "more" => &["more", "less", "near", "upto", "some"],
        "former" => &["former"],
        _ => return None,
    })
}

/// Distinct markers of `text`, sorted.
#[must_use]
pub fn markers(text: &str) -> Vec<String> {
    reader::read(lex::lex(text)).into_iter().collect()
}

/// Both sides claim the same.
#[must_use]
pub fn agree(x: &[String], y: &[String]) -> bool {
    let one_way = |x: &[String], y: &[String]| {
        demands_met(x, y) && plain_claims_fit(x, y) && quantity_kept(x, y, |kind| kind == "former") && scope_kept(x, y)
    };
    one_way(x, y) && one_way(y, x) && !opposed(x, y)
}

/// `y` claims nothing that `x` does not: it may leave things out, but not what weakens or denies what it keeps.
#[must_use]
pub fn contained(y: &[String], x: &[String]) -> bool {
    demands_met(y, x)
        && plain_claims_fit(x, y)
        && plain_claims_fit(y, x)
        // "40 came" follows from "more than 40 came".
        && quantity_kept(x, y, |kind| kind != "more")
        && scope_kept(x, y)
        && !opposed(x, y)
}

/// Markers before the plain words.
fn claims(list: &[String]) -> &[String] {
    &list[..list.partition_point(|m| m.as_str() < "~")]
}

/// Kind and anchor.
fn parts(marker: &str) -> (&str, &str) {
    marker.split_once(' ').unwrap_or((marker, ""))
}

fn has(list: &[String], marker: &str) -> bool {
    list.binary_search_by(|m| m.as_str().cmp(marker)).is_ok()
}

fn has_plain(list: &[String], word: &str) -> bool {
    list.binary_search_by(|m| m.strip_prefix('~').map_or(Ordering::Less, |m| m.cmp(word))).is_ok()
}

/// The kind, about anything.
fn has_kind(list: &[String], kind: &str) -> bool {
    list.get(list.partition_point(|m| m.as_str() < kind)).is_some_and(|m| parts(m).0 == kind)
}

/// The kind or a counterpart of it.
fn has_counterpart(list: &[String], kind: &str) -> bool {
    let doubtful = |m: &String| m.strip_prefix('?').map_or(m.as_str() < "?", |m| m < kind);
    has_kind(list, kind)
        || list
            .get(list.partition_point(doubtful))
            .and_then(|m| m.strip_prefix('?'))
            .is_some_and(|m| parts(m).0 == kind)
}

fn mentions(list: &[String], word: &str) -> bool {
    has_plain(list, word) || claims(list).iter().any(|m| parts(m).1 == word)
}

/// Every kind that `x` demands has a counterpart in `y`. A quantity is demanded where `y` speaks of the same thing.
fn demands_met(x: &[String], y: &[String]) -> bool {
    claims(x).iter().all(|marker| {
        let (kind, word) = parts(marker);
        !is_demand(kind) || has_counterpart(y, kind) || (as_little(kind).is_some() && !mentions(y, word))
    })
}

/// What `x` denies or leaves open is not claimed plainly by a `y` that denies or leaves open nothing in that way, unless
/// `x` says both.
fn plain_claims_fit(x: &[String], y: &[String]) -> bool {
    claims(x).iter().all(|marker| {
        let (kind, word) = parts(marker);
        let kind = if kind == "un" { "not" } else { kind };
        if kind == "ing" {
            return !has(y, &format!("done {word}")) || has(x, &format!("done {word}"));
        }
        !is_verbal(kind)
            || word.is_empty()
            || !has_plain(y, word)
            || has_plain(x, word)
            || has_kind(y, kind)
            || (kind == "not" && has(y, "?not"))
    })
}

/// `y` does not say more than `x` of a noun by leaving out a quantity of these kinds.
fn quantity_kept(x: &[String], y: &[String], counts: impl Fn(&str) -> bool) -> bool {
    claims(x).iter().all(|marker| {
        let (kind, word) = parts(marker);
        let Some(weaker) = as_little(kind).filter(|_| counts(kind)) else { return true };
        word.is_empty() || !has_plain(y, word) || weaker.iter().any(|kind| has_counterpart(y, kind))
    })
}

/// "Several patents" are not "the patents" or "all patents".
fn scope_kept(x: &[String], y: &[String]) -> bool {
    claims(x).iter().filter_map(|m| m.strip_prefix("some ")).all(|word| {
        let said = |list: &[String]| ["the", "all"].iter().any(|kind| has(list, &format!("{kind} {word}")));
        !said(y) || said(x) || has(y, &format!("some {word}"))
    })
}

/// One side has only the opposite of what the other has. Where a side has both, the subject (`=`) decides.
fn opposed(x: &[String], y: &[String]) -> bool {
    let signed = |list: &[String]| list.partition_point(|m| m.as_str() < ".");
    let (x, y) = (&x[..signed(x)], &y[..signed(y)]);
    let flip = |m: &str| m.strip_prefix('+').map_or_else(|| m.replacen('-', "+", 1), |rest| format!("-{rest}"));
    let pole = |m: &str| parts(m).0.trim_end_matches(['<', '>']).to_owned();
    let any = |list: &[String], wanted: &str| list.iter().any(|m| pole(m) == wanted);
    x.iter().any(|marker| {
        let other = flip(marker);
        let settled = if parts(marker).0.ends_with('=') {
            has(y, marker) || has(x, &other)
        } else {
            any(y, &pole(marker)) || any(x, &pole(&other))
        };
        has(y, &other) && !settled
    })
}

#[cfg(test)]
#[path = "modality_cases.rs"]
mod cases;

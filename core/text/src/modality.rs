//! What a text claims beyond names and numbers: negation, modality, quantity, order and direction. Rule-based, for
//! English.
//!
//! A text becomes a sorted set of markers; the word lists are in `modality_words`.
//!
//! * `kind word`: a kind of claim and the word it applies to, its anchor: "will not open" -> `not open`, `will open`;
//!   "most users" -> `most user`. A kind without a word applies to the whole text.
//! * `?kind`: can match a kind in the other text, but does not itself have to be matched: "oppose" can match "not",
//!   "about" can match "nearly".
//! * `+axis`, `-axis`: the two poles of a pair of opposites ("rise", "fall"). `<` or `>` and a word name the left or
//!   right neighbour that must be the same for the poles to conflict: "A sold it to B" agrees with "B bought it from
//!   A". `=` and a word name the subject, which decides when a text has both poles.
//! * `ing word` is in progress, `done word` has happened, `un word` is negated by a prefix ("unhappy"), `the word` is a
//!   definite plural, `~word` is claimed without qualification.
//!
//! * `?not word`, `?nor word`: a denial applies to the word, or covers it ("did not buy a car": `?not buy`, `?nor car`),
//!   and the word stands nowhere else. `?but`: the text sets what it denies against something else.
//!
//! Kinds: `not`; `will` ("is going to", "is set to"), `would`, `expect`, `plan`, `hope`, `might` ("could", "likely"),
//! `must`, `try`, `alleged`, `if`; `all`, `most`, `some`, `few`, `only`, `near`, `more`, `less`, `upto`; `first`,
//! `last`, `next`, `former`, `again`, `also`. When the reading is in doubt, the pair is accepted.

use std::cmp::Ordering;

#[path = "modality_lex.rs"]
mod lex;
#[path = "modality_reader.rs"]
mod reader;
#[path = "modality_scope.rs"]
mod scope;
#[path = "modality_words.rs"]
mod words;

/// Kinds that must be on both sides for [`agree`], and in `x` whenever they are in `y` for [`contained`].
fn is_demand(kind: &str) -> bool {
    is_verbal(kind)
        || matches!(kind, "if" | "most" | "few" | "only" | "near" | "more" | "less" | "upto")
        || matches!(kind, "first" | "last" | "next" | "again" | "also")
}

/// Kinds that qualify a verb, so that it is not claimed outright.
fn is_verbal(kind: &str) -> bool {
    matches!(kind, "not" | "will" | "would" | "expect" | "plan" | "hope" | "might" | "must" | "try" | "alleged")
}

/// For a kind of quantity whose omission would strengthen the claim about its noun: the kinds that claim no more than
/// it does.
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

/// The distinct markers of `text`, sorted.
#[must_use]
pub fn markers(text: &str) -> Vec<String> {
    reader::read(lex::lex(text)).into_iter().collect()
}

/// Whether both sides make the same claims.
#[must_use]
pub fn agree(x: &[String], y: &[String]) -> bool {
    let one_way = |x: &[String], y: &[String]| {
        demands_met(x, y) && plain_claims_fit(x, y) && quantity_kept(x, y, |kind| kind == "former") && scope_kept(x, y)
    };
    one_way(x, y) && one_way(y, x) && !opposed(x, y) && !crossed(x, y)
}

/// Whether `y` claims nothing that `x` does not: it may leave things out, but not whatever weakens or denies what it
/// keeps.
#[must_use]
pub fn contained(y: &[String], x: &[String]) -> bool {
    demands_met(y, x)
        && plain_claims_fit(x, y)
        && plain_claims_fit(y, x)
        // "40 came" follows from "more than 40 came".
        && quantity_kept(x, y, |kind| kind != "more")
        && scope_kept(x, y)
        && !opposed(x, y)
        && !crossed(x, y)
}

/// All markers except the plain words (`~word`), which sort last.
fn claims(list: &[String]) -> &[String] {
    &list[..list.partition_point(|m| m.as_str() < "~")]
}

/// Splits a marker into kind and anchor.
fn parts(marker: &str) -> (&str, &str) {
    marker.split_once(' ').unwrap_or((marker, ""))
}

fn has(list: &[String], marker: &str) -> bool {
    list.binary_search_by(|m| m.as_str().cmp(marker)).is_ok()
}

fn has_plain(list: &[String], word: &str) -> bool {
    list.binary_search_by(|m| m.strip_prefix('~').map_or(Ordering::Less, |m| m.cmp(word))).is_ok()
}

/// Whether the kind occurs with any anchor.
fn has_kind(list: &[String], kind: &str) -> bool {
    list.get(list.partition_point(|m| m.as_str() < kind)).is_some_and(|m| parts(m).0 == kind)
}

/// Whether the kind or a counterpart of it (`?kind`) occurs.
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

/// Whether every kind in `x` that must be matched has a counterpart in `y`. A quantity must be matched only if `y`
/// mentions its noun.
fn demands_met(x: &[String], y: &[String]) -> bool {
    claims(x).iter().all(|marker| {
        let (kind, word) = parts(marker);
        !is_demand(kind) || has_counterpart(y, kind) || (as_little(kind).is_some() && !mentions(y, word))
    })
}

/// Whether nothing that `x` denies or leaves open is claimed outright by `y`, unless `y` qualifies something in the
/// same way or `x` also claims it outright.
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

/// Whether `y` does not strengthen a claim about a noun by leaving out a quantity for which `counts` holds.
fn quantity_kept(x: &[String], y: &[String], counts: impl Fn(&str) -> bool) -> bool {
    claims(x).iter().all(|marker| {
        let (kind, word) = parts(marker);
        let Some(weaker) = as_little(kind).filter(|_| counts(kind)) else { return true };
        word.is_empty() || !has_plain(y, word) || weaker.iter().any(|kind| has_counterpart(y, kind))
    })
}

/// Whether "several patents" in `x` has not become "the patents" or "all patents" in `y`.
fn scope_kept(x: &[String], y: &[String]) -> bool {
    claims(x).iter().filter_map(|m| m.strip_prefix("some ")).all(|word| {
        let said = |list: &[String]| ["the", "all"].iter().any(|kind| has(list, &format!("{kind} {word}")));
        !said(y) || said(x) || has(y, &format!("some {word}"))
    })
}

/// Whether one side has only the opposite of what the other has. If a side has both poles, the subject (`=`) decides.
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

/// Whether each side denies something that the other claims: "no cough but fever", "no fever but cough". Of the words
/// that a denial only covers, those count where both sides set it against something else.
fn crossed(x: &[String], y: &[String]) -> bool {
    let contrast = has(x, "?but") && has(y, "?but");
    let denied = |list: &[String], word: &str| {
        ["not", "?not", "?nor", "un"].iter().any(|kind| has(list, &format!("{kind} {word}")))
    };
    let only_here = |x: &[String], y: &[String]| {
        claims(x).iter().any(|marker| {
            let (kind, word) = parts(marker);
            let counts = kind == "?not" || (contrast && kind == "?nor");
            counts && !word.is_empty() && has_plain(y, word) && !denied(y, word)
        })
    };
    only_here(x, y) && only_here(y, x)
}

#[cfg(test)]
#[path = "modality_cases.rs"]
mod cases;

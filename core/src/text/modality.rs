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
//! `next`, `former`, `again`. Where the reading is in doubt, the pair is accepted.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

#[path = "modality_words.rs"]
mod words;
use words::{Pole, hints, is_function, is_report, is_stop, phrase, poles, stem};

/// Kinds that must be on both sides of a paraphrase, and in x if they are in y.
fn is_demand(kind: &str) -> bool {
    is_verbal(kind)
        || matches!(kind, "if" | "most" | "few" | "only" | "near" | "more" | "less" | "upto")
        || matches!(kind, "first" | "last" | "next" | "again")
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

/// Words between a verb and what makes it modal.
const ANCHOR_REACH: usize = 7;

/// Distinct markers of `text`, sorted.
#[must_use]
pub fn markers(text: &str) -> Vec<String> {
    let tokens = lex(text);
    let reported = tokens.iter().any(|t| is_report(&t.stem));
    let mut reader = Reader { tokens, reported, found: BTreeSet::new() };
    let hits = reader.phrases();
    reader.claims(&hits);
    reader.words();
    reader.found.into_iter().collect()
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

/// Where the anchor of a kind is.
enum Mode {
    Verb,
    Noun,
    Nowhere,
}

impl Mode {
    /// By the suffix, else by the kind.
    fn of(marker: &str) -> (&str, Self) {
        match marker.split_once('.') {
            Some((kind, "v")) => (kind, Self::Verb),
            Some((kind, "n")) => (kind, Self::Noun),
            Some((kind, _)) => (kind, Self::Nowhere),
            None if is_verbal(marker) => (marker, Self::Verb),
            None if matches!(marker, "all" | "some") || as_little(marker).is_some() => (marker, Self::Noun),
            None => (marker, Self::Nowhere),
        }
    }
}

struct Token {
    text: String,
    stem: String,
    /// Only a name has a capital here.
    name: bool,
    /// First in a sentence or quotation, where anything has a capital.
    begins: bool,
    /// A mark stands before it.
    breaks: bool,
    /// Belongs to a phrase.
    used: bool,
    /// It is denied or left open.
    held: bool,
    denied: bool,
}

/// A phrase that was found.
struct Hit {
    end: usize,
    gives: &'static str,
}

struct Reader {
    tokens: Vec<Token>,
    /// Somebody says, thinks or expects something.
    reported: bool,
    found: BTreeSet<String>,
}

impl Reader {
    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |t| &t.text)
    }

    fn before(&self, at: usize) -> &str {
        at.checked_sub(1).map_or("", |i| self.text(i))
    }

    fn add(&mut self, kind: &str, word: &str) {
        self.found.insert(if word.is_empty() { kind.to_owned() } else { format!("{kind} {word}") });
    }

    /// The phrases, the longest first; none spans a mark or a name.
    fn phrases(&mut self) -> Vec<Hit> {
        let mut hits = Vec::new();
        let mut at = 0;
        while let Some(token) = self.tokens.get(at) {
            let rest = &self.tokens[at..];
            let span = rest.iter().enumerate().take_while(|(i, t)| !t.name && (*i == 0 || !t.breaks)).map(|(_, t)| t);
            let words = span.map(|t| (t.text.as_str(), t.stem.as_str()));
            let Some((len, gives)) = phrase(&token.stem, words) else {
                at += 1;
                continue;
            };
            if let Some(gives) = self.meant(at, at + len, gives) {
                hits.push(Hit { end: at + len, gives });
                self.tokens[at..at + len].iter_mut().for_each(|t| t.used = true);
                at += len;
            } else {
                at += 1;
            }
        }
        hits
    }

    /// What a phrase gives at this place; `None`: it is not that phrase.
    fn meant(&self, begin: usize, end: usize, gives: &'static str) -> Option<&'static str> {
        let (previous, next) = (self.before(begin), self.text(end));
        let name_next = self.tokens.get(end).is_none_or(|t| t.name);
        let number = is_number(next) || (is_determiner(next) && is_number(self.text(end + 1)));
        let plural = |at: usize| !self.tokens.get(at).is_none_or(|t| t.breaks) && is_plural(self.text(at));
        match self.text(begin) {
            // Mostly a question or a name.
            "may" | "might" if self.tokens[begin].begins => Some("?might"),
            "will" if self.tokens[begin].begins => Some("?will"),
            "may" if next.starts_with(|c: char| c.is_ascii_digit()) || previous == "in" || next == "of" => None,
            "will" if next == "of" || is_determiner(previous) => None,
            "going" if is_determiner(next) || name_next => None,
            "would" if self.reported => Some("will ?would"),
            "could" if matches!(next, "see" | "hear" | "feel" | "tell" | "afford" | "remember") => Some("?might"),
            "most" if end == begin + 1 => {
                let superlative =
                    is_determiner(previous) || matches!(previous, "at" | "is" | "are" | "was" | "were" | "be");
                (!superlative && (plural(end) || plural(end + 1))).then_some(gives)
            }
            "some" if is_number(next) => Some("?near"),
            "few" if is_determiner(previous) || matches!(previous, "last" | "next" | "past" | "every") => None,
            // "Declined to 5 percent".
            _ if gives == "not" && is_number(next) => None,
            // "Should it break".
            "should" if is_determiner(next) || is_pronoun(next) => Some("if"),
            // "the last decade" is a span, "the last bus" one of a row.
            "last"
                if name_next
                    || is_number(next)
                    || matches!(next, "few" | "several" | "decade" | "couple" | "century") =>
            {
                Some("?last")
            }
            "first" | "last" if previous == "at" => None,
            "if" if matches!(next, "not" | "any" | "only" | "ever") => None,
            _ if matches!(gives, "more" | "less" | "upto" | "near.q") => number.then_some(gives.trim_end_matches(".q")),
            _ => Some(gives),
        }
    }

    /// The markers of the phrases, with their anchors.
    fn claims(&mut self, hits: &[Hit]) {
        let mut verbal: Vec<(&str, usize)> = Vec::new();
        for hit in hits {
            for given in hit.gives.split_whitespace() {
                let (kind, mode) = Mode::of(given);
                match mode {
                    Mode::Nowhere => self.add(kind, ""),
                    Mode::Verb => match self.verb(hit.end, kind == "not") {
                        Some(at) => verbal.push((kind, at)),
                        None => self.add(kind, ""),
                    },
                    Mode::Noun => {
                        let nouns = self.nouns(hit.end, kind != "former");
                        if nouns.is_empty() || kind == "not" {
                            self.add(kind, "");
                        }
                        for at in nouns {
                            let word = self.tokens[at].stem.clone();
                            self.add(kind, &word);
                            if kind == "not" {
                                self.tokens[at].held = true;
                            }
                        }
                    }
                }
            }
        }
        let mut denials: HashMap<usize, u32> = HashMap::new();
        for (_, at) in verbal.iter().filter(|(kind, _)| *kind == "not") {
            *denials.entry(*at).or_default() += 1;
        }
        for &(kind, at) in &verbal {
            let denials = denials.get(&at).copied().unwrap_or(0);
            let token = &mut self.tokens[at];
            let word = token.stem.clone();
            // "Cannot deny", "never fails to".
            if kind == "not" && denials > 1 {
                self.add("?not", "");
                continue;
            }
            token.held = true;
            token.denied |= kind == "not";
            // "Does not want to help" is close to "does not help".
            let soft = denials > 0 && !matches!(kind, "not" | "will");
            self.add(&if soft && !kind.starts_with('?') { format!("?{kind}") } else { kind.to_owned() }, &word);
        }
    }

    /// The verb, or what stands for it, that a phrase before `at` is about.
    fn verb(&self, at: usize, nouns: bool) -> Option<usize> {
        for (at, token) in self.tokens.iter().enumerate().skip(at).take(ANCHOR_REACH) {
            if token.breaks || (!token.used && (is_stop(&token.text) || (!nouns && is_determiner(&token.text)))) {
                return None;
            }
            let adverb = token.text.len() > 4 && token.text.ends_with("ly");
            if !token.used && !adverb && !is_function(&token.text) {
                return Some(at);
            }
        }
        None
    }

    /// The words of the noun phrase that begins at `at`, or number and unit.
    fn nouns(&self, at: usize, names: bool) -> Vec<usize> {
        let mut nouns = Vec::new();
        for (at, token) in self.tokens.iter().enumerate().skip(at).take(ANCHOR_REACH) {
            if token.breaks || is_stop(&token.text) {
                break;
            }
            if token.name && !names {
                continue;
            }
            if !is_function(&token.text) && !token.used {
                nouns.push(at);
            } else if !nouns.is_empty() {
                break;
            }
            if nouns.len() == 3 {
                break;
            }
        }
        nouns
    }

    /// What single words give: counterparts, opposites, aspects, and themselves.
    fn words(&mut self) {
        for at in 0..self.tokens.len() {
            let token = &self.tokens[at];
            if token.name {
                let word = token.stem.clone();
                self.found.insert(format!("~{word}"));
                continue;
            }
            let (text, word) = (token.text.clone(), token.stem.clone());
            let (used, denied, held) = (token.used, token.denied, token.held);
            for kind in hints(&word) {
                self.add(&format!("?{kind}"), "");
            }
            if let Some(rest) = text.strip_prefix("un").filter(|rest| rest.len() > 3) {
                if denied {
                    self.found.remove(&format!("not {word}"));
                }
                let rest = stem(rest);
                self.add("?not", "");
                if !denied {
                    self.add("un", &rest);
                }
            }
            if text.len() > 5 && text.ends_with("less") {
                self.add("?not", "");
            }
            if !used && !denied {
                for pole in poles(&text, &word) {
                    self.pole(at, *pole);
                }
            }
            if used || held || is_function(&text) {
                continue;
            }
            if self.before(at) == "to" {
                self.add("?will", &word);
                self.add("?plan", "");
                continue;
            }
            if let Some(aspect) = self.aspect(at) {
                self.add(aspect, &word);
            }
            self.found.insert(format!("~{word}"));
        }
        self.definites();
    }

    /// "the patents" -> `the patent`.
    fn definites(&mut self) {
        let ends = |at: usize| self.tokens.get(at).is_none_or(|t| t.breaks || t.used || t.name || is_function(&t.text));
        let heads: Vec<String> = (0..self.tokens.len())
            .filter(|&at| matches!(self.text(at), "the" | "these" | "those" | "its" | "their" | "all" | "his" | "her"))
            .filter_map(|at| (at + 1..at + 4).find(|&head| !ends(head) && ends(head + 1)))
            .filter(|&head| is_plural(self.text(head)))
            .map(|head| self.tokens[head].stem.clone())
            .collect();
        for head in heads {
            self.add("the", &head);
        }
    }

    /// An axis, with the words beside it.
    fn pole(&mut self, at: usize, pole: Pole) {
        let name = format!("{}{}", if pole.first { '+' } else { '-' }, pole.axis);
        let passive = self.before(at) == "by" || at.checked_sub(1).is_some_and(|i| self.tokens[i].stem == "be");
        // "Was bought by", "was sold to": the same from both sides.
        if pole.left && !pole.right && passive {
            return;
        }
        let skip = |t: &Token| (is_function(&t.text) && !is_pronoun(&t.text)) || t.text.ends_with("ly");
        let whole = |i: &usize| !self.tokens.get(i + 1).is_none_or(|t| t.breaks);
        let left =
            (at.saturating_sub(4)..at).rev().take_while(whole).find_map(|i| self.tokens.get(i).filter(|t| !skip(t)));
        let right = self.tokens.iter().skip(at + 1).take(4).take_while(|t| !t.breaks).find(|t| !skip(t));
        let right = right.filter(|t| !is_pronoun(&t.text)).map(|t| t.stem.clone());
        let left = left.map(|t| t.stem.clone());
        if !pole.left && !pole.right {
            self.add(&name, "");
            if let Some(left) = left {
                self.add(&format!("{name}="), &left);
            }
            return;
        }
        if let Some(left) = left.filter(|_| pole.left) {
            self.add(&format!("{name}<"), &left);
        }
        if let Some(right) = right.filter(|_| pole.right) {
            self.add(&format!("{name}>"), &right);
        }
    }

    /// "is changing" -> `ing`, "has changed" -> `done`.
    fn aspect(&self, at: usize) -> Option<&'static str> {
        let token = self.tokens.get(at)?;
        let mut auxiliary = at.checked_sub(1)?;
        while self.tokens.get(auxiliary)?.text.ends_with("ly")
            || matches!(self.text(auxiliary), "already" | "also" | "now" | "still" | "just")
        {
            auxiliary = auxiliary.checked_sub(1)?;
        }
        // "The mill's opening".
        let subject = self.before(auxiliary);
        let (auxiliary, owned) = (self.text(auxiliary), !is_pronoun(subject) && !matches!(subject, "that" | "who"));
        let ing = token.text.ends_with("ing");
        match auxiliary {
            "is" | "are" | "am" | "'re" | "'m" if ing && token.stem != "be" => Some("ing"),
            "'s" if ing && !owned && token.stem != "be" => Some("ing"),
            "has" | "have" | "'ve" if !ing && token.stem != "be" => Some("done"),
            _ => None,
        }
    }
}

fn is_determiner(text: &str) -> bool {
    matches!(
        text,
        "the"
            | "a"
            | "an"
            | "his"
            | "her"
            | "its"
            | "their"
            | "our"
            | "my"
            | "your"
            | "this"
            | "these"
            | "those"
            | "'s"
    )
}

fn is_pronoun(text: &str) -> bool {
    matches!(text, "i" | "he" | "she" | "it" | "we" | "you" | "they")
}

fn is_number(text: &str) -> bool {
    const WORDS: &str = "one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty \
         sixty seventy \
        eighty ninety hundred hundreds thousand thousands million millions billion billions trillion dozen dozens \
        half twice double \
        third quarter";
    text.starts_with(|c: char| c.is_ascii_digit()) || (!text.is_empty() && WORDS.split_whitespace().any(|w| w == text))
}

fn is_plural(text: &str) -> bool {
    matches!(text, "people" | "men" | "women" | "children")
        || (text.len() > 3
            && text.ends_with('s')
            && !text.ends_with("ss")
            && !text.ends_with("us")
            && !text.ends_with("is"))
}

/// Words in lowercase with the forms of "not" and "will" written out; marks are kept as breaks.
fn lex(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let (mut breaks, mut begins) = (false, true);
    let mut at = 0;
    let inner = |c: char| c.is_alphanumeric() || c == '\'' || c == '’';
    while let Some(c) = text[at..].chars().next() {
        if !inner(c) {
            begins |= matches!(c, '.' | '!' | '?' | ':' | '"' | '“' | '”' | '‘' | '`' | '–' | '—' | '(');
            breaks |= !c.is_whitespace() && !matches!(c, '-' | '‑' | '$' | '£' | '€' | '%' | '\'');
            at += c.len_utf8();
            continue;
        }
        let digits = c.is_ascii_digit();
        let rest = &text[at..];
        let mut len = rest.find(|c| !inner(c)).unwrap_or(rest.len());
        // 1,500.25
        while digits && rest[len..].starts_with([',', '.']) && rest[len + 1..].starts_with(|c: char| c.is_ascii_digit())
        {
            len += 1 + rest[len + 1..].find(|c| !inner(c)).unwrap_or(rest.len() - len - 1);
        }
        at += len;
        let written = &rest[..len];
        let name = c.is_uppercase()
            && !begins
            && !matches!(written, "I")
            && !written.starts_with("I'")
            && !written.starts_with("I’");
        let clean = written.to_lowercase().replace('’', "'");
        let mut push = |text: &str, first: bool| {
            let stem = stem(text);
            tokens.push(Token {
                text: text.to_owned(),
                stem,
                name,
                begins: begins && first && c.is_uppercase(),
                breaks: breaks && first,
                used: false,
                held: false,
                denied: false,
            });
        };
        let word = clean.trim_matches('\'');
        let contraction = matches!(clean.as_str(), "'s" | "'ll" | "'re" | "'ve" | "'m" | "'d");
        match clean.as_str() {
            "n't" => push("not", true),
            "'ll" => push("will", true),
            _ if contraction => push(&clean, true),
            "cannot" => {
                push("can", true);
                push("not", false);
            }
            "won't" => {
                push("will", true);
                push("not", false);
            }
            "can't" | "shan't" => {
                push(&clean[..clean.len() - 2].replace("shan", "shall").replace('\'', ""), true);
                push("not", false);
            }
            "gonna" => {
                push("going", true);
                push("to", false);
            }
            _ => {
                if let Some(verb) = word.strip_suffix("n't") {
                    if !verb.is_empty() {
                        push(verb, true);
                    }
                    push("not", verb.is_empty());
                } else if let Some((verb, tail)) =
                    word.split_once('\'').filter(|(_, t)| matches!(*t, "s" | "ll" | "re" | "ve" | "m" | "d"))
                {
                    push(verb, true);
                    let tail = if tail == "ll" { "will".to_owned() } else { format!("'{tail}") };
                    push(&tail, false);
                } else if !word.is_empty() {
                    push(word, true);
                } else {
                    breaks = true;
                    begins = true;
                    continue;
                }
            }
        }
        (breaks, begins) = (false, false);
    }
    tokens
}

#[cfg(test)]
#[path = "modality_cases.rs"]
mod cases;

//! Derives the markers of a text from its words.

use std::collections::{BTreeSet, HashMap};

use super::lex::Token;
use super::scope;
use super::words::{Pole, hints, is_function, is_report, is_stop, phrase, poles, stem};
use super::{as_little, is_verbal};

/// How many words after a phrase its anchor may be.
const ANCHOR_REACH: usize = 7;

/// The markers of a text.
pub(super) fn read(tokens: Vec<Token>) -> BTreeSet<String> {
    let reported = tokens.iter().any(|t| is_report(&t.stem));
    let mut reader = Reader { tokens, reported, found: BTreeSet::new() };
    let hits = reader.phrases();
    reader.claims(&hits);
    reader.words();
    reader.found
}

/// The part of speech that anchors a kind.
enum Mode {
    Verb,
    Noun,
    Nowhere,
}

impl Mode {
    /// Splits off the suffix `.v`, `.n` or `.0`, which states the mode; without one the kind has a default.
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

/// A recognised phrase: the token after it, and the markers it gives.
struct Hit {
    end: usize,
    gives: &'static str,
}

struct Reader {
    tokens: Vec<Token>,
    /// The text contains a verb of saying, thinking or expecting.
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

    /// The phrases in order of position, the longest at each; none spans punctuation or a name.
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

    /// The markers that a phrase gives in this context; `None` if the context shows that it is something else.
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
            // "the last decade" is a period, "the last bus" the end of a series.
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

    /// Adds the markers of the phrases, with their anchors.
    fn claims(&mut self, hits: &[Hit]) {
        let mut verbal: Vec<(&str, usize)> = Vec::new();
        let (mut denied, mut missing, mut closed) = (Vec::new(), Vec::new(), Vec::new());
        for hit in hits {
            for given in hit.gives.split_whitespace() {
                let (kind, mode) = Mode::of(given);
                match mode {
                    Mode::Nowhere => self.add(kind, ""),
                    Mode::Verb => match self.verb(hit.end, kind == "not") {
                        Some(at) => verbal.push((kind, at)),
                        None => {
                            self.add(kind, "");
                            if kind == "not" {
                                closed.push(hit.end);
                            }
                        }
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
                                missing.push(at);
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
            if kind == "not" {
                denied.push(at);
            }
            // "Does not want to help" is close to "does not help".
            let soft = denials > 0 && !matches!(kind, "not" | "will");
            self.add(&if soft && !kind.starts_with('?') { format!("?{kind}") } else { kind.to_owned() }, &word);
        }
        self.found.extend(scope::markers(&self.tokens, &denied, &missing, &closed));
    }

    /// The verb, or the word in its place, that a phrase ending before `at` applies to.
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

    /// Up to three content words of the noun phrase, or number and unit, that begins at `at`.
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

    /// Adds the markers of single words: counterparts, opposites, aspects, and the plain words themselves.
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

    /// Adds the markers of definite plurals: "the patents" -> `the patent`.
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

    /// Adds the marker of a pole with the neighbouring words that qualify it.
    fn pole(&mut self, at: usize, pole: Pole) {
        let name = format!("{}{}", if pole.first { '+' } else { '-' }, pole.axis);
        let passive = self.before(at) == "by" || at.checked_sub(1).is_some_and(|i| self.tokens[i].stem == "be");
        // In "was bought by" and "was sold to" the left neighbour is the same, so it tells nothing.
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

    /// The aspect of the verb at `at`: "is changing" -> `ing`, "has changed" -> `done`.
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

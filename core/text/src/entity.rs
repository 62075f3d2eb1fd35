//! Names a text mentions: people, places, organisations, nationalities, months, weekdays. Rule-based, for English.
//!
//! A name is a run of capitalised words: "Barack Obama", "Bank of England", "al-Qaeda", "U.S." -> `barack obama`, `bank
//! of england`, `qaeda`, `us`. Titles, initials, particles, possessives and the dots of acronyms are dropped;
//! adjectives of nationality become the country ("American" -> `us`); a month or weekday is always a name by itself.
//! Accents, the kind of apostrophe and the Unicode form make no difference ("São Paulo" -> `sao paulo`). The initials of
//! a name stand for it where the other text has it in full ("WHO", "World Health Organization"). For names with "and" or
//! "for" inside, which are read as several, the initials are one more doubtful name with the words that they stand for:
//! `?fda=food drug administration`.
//!
//! A word that may be capitalised only because it starts a sentence or a quotation is a doubtful name, written `?word`:
//! it can match a name in the other text, but does not itself have to be matched. A first word is doubtful if
//! `entity_words` lists it, if it has the ending of a common noun or verb, or if the text also contains it in
//! lowercase. Sentences of more than 12 letters that are entirely in capitals are skipped.

use std::collections::{BTreeSet, HashSet};

#[path = "entity_fold.rs"]
mod fold;
#[path = "entity_words.rs"]
mod words;
use fold::fold;
use words::{
    canonical, demonym_initial, is_common, is_date, is_designator, is_direction, is_function, is_generic, is_office,
    is_particle, is_title, shorten,
};

/// The distinct normalised names in `text`, sorted; doubtful ones begin with `?`.
pub fn entities(text: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    let text = fold(text);
    let lower: HashSet<&str> =
        text.split(|c: char| !is_inner(c)).filter(|w| w.starts_with(char::is_lowercase)).collect();
    for sentence in super::sentence::split(&text) {
        let letters = || sentence.chars().filter(|c| c.is_alphabetic());
        if letters().count() > 12 && !letters().any(char::is_lowercase) {
            continue;
        }
        let (mut run, mut title) = (Run::default(), Title::default());
        for word in split_words(sentence) {
            let text = strip(word.text);
            if word.breaks {
                title.close(&mut found);
            }
            if !title.goes_on(text) {
                title.close(&mut found);
            }
            if word.breaks || (!is_name(text) && !is_joiner(text)) {
                run.close(&mut found);
            }
            if text.is_empty() {
                continue;
            }
            if is_name(text) {
                run.add(text, word.begins, &lower, &mut found);
            } else if is_joiner(text) && !run.words.is_empty() {
                run.words.push(text.to_owned());
            }
        }
        run.close(&mut found);
        title.close(&mut found);
    }
    let sure: HashSet<String> =
        found.iter().filter(|e| !e.starts_with('?')).flat_map(|e| e.split(' ')).map(str::to_owned).collect();
    found.into_iter().filter(|e| e.strip_prefix('?').is_none_or(|w| !sure.contains(w))).collect()
}

/// Whether both sides mention the same names; "Barack Obama" and "Obama" are the same, "Manchester United" and
/// "Manchester" are not.
pub fn agree(x: &[String], y: &[String]) -> bool {
    contained(x, y) && contained(y, x)
}

/// Whether every name in `y` that is not doubtful has a counterpart in `x`.
pub fn contained(y: &[String], x: &[String]) -> bool {
    // An item with `=` has the initials of some words of x. They stand for these words only, see `abbreviated`.
    let stands = |e: &str, f: &str| if f.contains('=') { alike(e, name_of(f)) } else { same(e, name_of(f)) };
    y.iter().filter(|e| !e.starts_with('?')).all(|e| x.iter().any(|f| stands(e, f)) || abbreviated(e, y, x))
}

/// The name of an item, without what says that it is doubtful.
fn name_of(item: &str) -> &str {
    let name = item.strip_prefix('?').unwrap_or(item);
    name.split_once('=').map_or(name, |(initials, _)| initials)
}

/// Whether a name of `y` is part of a longer one whose initials are in `x`.
fn abbreviated(name: &str, y: &[String], x: &[String]) -> bool {
    y.iter().filter_map(|item| item.strip_prefix('?')?.split_once('=')).any(|(initials, words)| {
        let part = name.split(' ').all(|word| word == "of" || words.split(' ').any(|w| w == word));
        part && x.iter().any(|f| f == initials)
    })
}

/// Whether `short` is the initials of `long`, with or without those of "of" and of company forms at its end. The names
/// that have a short form of their own do not count.
fn initials(short: &str, long: &str) -> bool {
    let letters = short.len() >= 2 && short.bytes().all(|b| b.is_ascii_lowercase());
    // "Jo" is no abbreviation of "James Osborne".
    let likely = short.len() > 2 || short == "la" || !short.contains(['a', 'e', 'i', 'o', 'u', 'y']);
    if !letters || !likely || matches!(short, "us" | "uk" | "un" | "eu") || !long.contains(' ') {
        return false;
    }
    let fits = |words: &[&str]| {
        let starts = |(c, word): (char, &&str)| word.starts_with(c) || demonym_initial(word) == Some(c);
        words.len() == short.len() && short.chars().zip(words).all(starts)
    };
    let words: Vec<&str> = long.split(' ').collect();
    let plain: Vec<&str> = words.iter().copied().filter(|word| *word != "of").collect();
    let company = plain.iter().rposition(|word| !is_designator(word)).map_or(0, |last| last + 1);
    fits(&words) || fits(&plain) || fits(&plain[..company])
}

/// Whether two names consist of the same words in any order, or the shorter is a short form of the longer: its last
/// word, with some of the words before it. "Korea" does not stand for "North Korea", nor "England" for "Bank of
/// England".
fn same(a: &str, b: &str) -> bool {
    initials(a, b) || initials(b, a) || alike(a, b)
}

/// As [`same`], without initials.
fn alike(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let (a, b) = (key(a), key(b));
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    let of = |words: &[&str]| words.contains(&"of");
    let sorted = |words: &[&'_ str]| {
        let mut words: Vec<String> = words.iter().filter(|w| **w != "of").map(|w| (*w).to_owned()).collect();
        words.sort_unstable();
        words
    };
    if long.len() <= short.len() + 1 && sorted(&long) == sorted(&short) {
        return true;
    }
    if of(&long) || of(&short) || long.last() != short.last() {
        return false;
    }
    let guarded =
        short.len() == 1 && (short.iter().all(|w| is_generic(w)) || (long.len() == 2 && is_direction(long[0])));
    let mut rest = long.iter();
    !guarded && short.iter().all(|w| rest.any(|l| l == w))
}

/// The words of a name that are compared: without company forms ("Inc", "Ltd"), and in the singular.
fn key(name: &str) -> Vec<&str> {
    let all = || {
        name.split(' ')
            .map(|w| w.strip_suffix('s').filter(|s| s.len() >= 5 && !s.ends_with(['s', 'i', 'u'])).unwrap_or(w))
    };
    let kept: Vec<&str> = all().filter(|w| !is_designator(w)).collect();
    if kept.is_empty() { all().collect() } else { kept }
}

#[derive(Default)]
struct Run {
    words: Vec<String>,
    doubtful: bool,
}

impl Run {
    fn add(&mut self, text: &str, begins: bool, lower: &HashSet<&str>, found: &mut BTreeSet<String>) {
        for part in parts(text) {
            let acronym =
                part.chars().filter(|c| c.is_alphabetic()).count() > 1 && !part.chars().any(char::is_lowercase);
            let word = part.to_lowercase();
            // "IT", "US" and "WHO" are names, "It" and "Who" are not.
            if is_function(&word) && !acronym {
                let modal = matches!(word.as_str(), "may" | "will");
                if modal && !begins {
                    self.single(canonical(&word), false, found);
                } else {
                    self.close(found);
                    if modal {
                        found.insert(format!("?{word}"));
                    }
                }
                continue;
            }
            let shared = canonical(&word);
            if is_date(shared) {
                self.single(shared, begins && (is_common(&word) || lower.contains(word.as_str())), found);
                continue;
            }
            if is_title(&word) && (!acronym || matches!(word.as_str(), "ceo" | "cfo")) {
                // A title ends the name before it, unless it is a surname: "Stephen King".
                self.title(&word, begins, found);
                continue;
            }
            self.doubtful |=
                begins && self.words.is_empty() && !acronym && (is_common(&word) || lower.contains(word.as_str()));
            if word.chars().count() > 1 && (acronym || !is_particle(&word)) {
                self.words.push(shared.to_owned());
            }
        }
    }

    fn single(&mut self, word: &str, doubtful: bool, found: &mut BTreeSet<String>) {
        self.close(found);
        found.insert(format!("{}{word}", if doubtful { "?" } else { "" }));
    }

    fn title(&mut self, word: &str, begins: bool, found: &mut BTreeSet<String>) {
        // Few titles are also surnames: "Stephen King" is one name, "German Chancellor" is a country and a title.
        let surname =
            matches!(word, "king" | "prince" | "bishop" | "pope" | "major" | "judge" | "father" | "queen" | "chair");
        while self.words.last().is_some_and(|w| is_office(w)) {
            self.words.pop();
        }
        let country = self.words.last().is_none_or(|w| canonical(w) == w.as_str() && is_country(w));
        if surname && !begins && !self.words.is_empty() && !country {
            self.words.push(word.to_owned());
        } else {
            self.close(found);
        }
    }

    fn close(&mut self, found: &mut BTreeSet<String>) {
        while self.words.last().is_some_and(|w| is_joiner(w)) {
            self.words.pop();
        }
        let run = std::mem::take(&mut self.words).join(" ");
        let doubtful = std::mem::take(&mut self.doubtful) && !run.contains(' ');
        if !run.is_empty() {
            found.insert(format!("{}{}", if doubtful { "?" } else { "" }, shorten(&run)));
        }
    }
}

/// Capitalised words joined by "and", "for", "of" and "the": perhaps the long form of an abbreviation.
#[derive(Default)]
struct Title {
    words: Vec<String>,
    initials: String,
    /// "And" or "for" was among them, so that they are read as several names.
    joined: bool,
}

impl Title {
    /// Takes the next word, unless it cannot belong to the title.
    fn goes_on(&mut self, text: &str) -> bool {
        if matches!(text, "and" | "for" | "of" | "the") {
            self.joined |= matches!(text, "and" | "for") && !self.words.is_empty();
            return true;
        }
        let parts = parts(text);
        for part in &parts {
            let word = part.to_lowercase();
            if is_function(&word) || is_particle(&word) || word.chars().count() < 2 {
                return false;
            }
            self.initials.extend(word.chars().next());
            self.words.push(canonical(&word).to_owned());
        }
        !parts.is_empty() && is_name(text)
    }

    /// Adds the initials of at least three and at most eight words.
    fn close(&mut self, found: &mut BTreeSet<String>) {
        let title = std::mem::take(self);
        if title.joined && (3..=8).contains(&title.words.len()) {
            found.insert(format!("?{}={}", title.initials, title.words.join(" ")));
        }
    }
}

fn is_country(word: &str) -> bool {
    matches!(
        word,
        "us" | "uk"
            | "france"
            | "germany"
            | "italy"
            | "spain"
            | "russia"
            | "china"
            | "japan"
            | "india"
            | "israel"
            | "iran"
    ) || matches!(
        word,
        "iraq" | "england" | "ireland" | "saudi" | "sweden" | "norway" | "denmark" | "netherlands" | "belgium"
    )
}

/// Contains a capital anywhere, as "iPhone" and "al-Qaeda" do.
fn is_name(word: &str) -> bool {
    word.chars().any(char::is_uppercase)
}

fn is_joiner(word: &str) -> bool {
    word == "of" || is_particle(word)
}

fn is_inner(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '\'' | '’' | '-' | '‑' | '.' | '&')
}

/// Strips the possessive and any surrounding punctuation: "Obama's" -> "Obama", "U.S." -> "U.S".
fn strip(word: &str) -> &str {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    let bare = word.strip_suffix("'s").or_else(|| word.strip_suffix("’s")).unwrap_or(word);
    bare.trim_end_matches(|c: char| !c.is_alphanumeric())
}

/// Capitalised parts of a hyphenated word without dots and apostrophes: "anti-American" -> "American", "F-16" -> "F16".
fn parts(word: &str) -> Vec<String> {
    let clean = |part: &str| part.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
    let pieces: Vec<&str> = word.split(['-', '‑']).collect();
    if let [letters, digits] = pieces[..]
        && letters.len() <= 2
        && digits.starts_with(|c: char| c.is_ascii_digit())
    {
        return vec![clean(word)];
    }
    // "It's", "I'm", "They'll": only the stem counts. "O'Neill" stays whole.
    let stem = |piece: &str| match piece.split_once(['\'', '’']) {
        Some((stem, "s" | "t" | "m" | "d" | "ll" | "re" | "ve")) => clean(stem),
        _ => clean(piece),
    };
    pieces.into_iter().filter(|p| is_name(p)).map(stem).filter(|p| !p.is_empty()).collect()
}

struct Word<'a> {
    text: &'a str,
    /// The word begins a sentence or quotation, where any word is capitalised.
    begins: bool,
    /// A name cannot continue from the previous word to this one.
    breaks: bool,
}

fn split_words(sentence: &str) -> Vec<Word<'_>> {
    let mut words: Vec<Word<'_>> = Vec::new();
    let mut gap_at = 0;
    let mut at = 0;
    while let Some(start) = sentence[at..].find(is_inner).map(|i| at + i) {
        let end = sentence[start..].find(|c: char| !is_inner(c)).map_or(sentence.len(), |i| start + i);
        let text = &sentence[start..end];
        if text.contains(char::is_alphanumeric) {
            let gap = &sentence[gap_at..start];
            let quoted = text.starts_with(['\'', '’'])
                || gap.contains(['"', '“', '‘', '`', ':', '•', '*', '?', '!'])
                || gap.contains("--");
            let dash = words.last().is_some_and(|w| w.text.ends_with('-')) || gap.contains(['–', '—', '(']);
            let previous = words.last().map_or("", |w| w.text);
            let stop = previous.ends_with('\'') || previous.ends_with("..");
            // "Chelsea's Lampard" are two names.
            let owner = previous.ends_with("'s") || previous.ends_with("’s");
            words.push(Word {
                text,
                begins: words.is_empty() || quoted || dash || stop,
                breaks: !words.is_empty()
                    && (quoted || dash || stop || owner || gap.contains(|c: char| !c.is_whitespace())),
            });
            gap_at = end;
        }
        at = end;
    }
    words
}

#[cfg(test)]
#[path = "entity_cases.rs"]
mod cases;

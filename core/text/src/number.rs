//! The numbers a text mentions, normalised so that two texts can be compared.
//!
//! * "1,500", "1500", "fifteen hundred" -> `1500`; "2.50" -> `2.5`; "$1.5 million", "£1.5m" -> `1500000`; "5 %" -> `5`.
//! * Ranges and dates give each of their numbers; in "10-12 million" both are millions; "2014-15" -> `2014`, `2015`.
//! * Ordinals keep a suffix ("third" and "3rd" -> `3rd`), except next to a month: "May 3rd" -> `3`. "1990s" -> `1990s`.
//! * "2/3", "two thirds" -> `2/3`; a fraction with a terminating decimal becomes that: "half", "1/2", "½" -> `0.5`.
//!   "10:30", "10 a.m." -> `10am`.
//! * "dozen" -> `12`; "hundreds", "dozens", ... stay words: they are not numbers, but must still match.
//! * "one" and "first" mostly mean "a", "somebody" or "at the start": "one" counts only inside a larger number, before
//!   a magnitude, fraction or unit ("one million", "one percent"), after "number" and a few such words, and in "one in
//!   five", "one or two"; "first" and "1st" only next to a month. "second" counts unless it is a unit of time ("30
//!   seconds", "a second ago").
//! * "half" counts unless it is a period ("first half"). Digits inside names (G7, F-16, Covid-19) are not numbers.
//!   Roman numerals and digits of other scripts are ignored.

use std::collections::BTreeSet;
#[path = "number_words.rs"]
mod words;
use words::{is_currency, is_dash, is_month, magnitude, vulgar};

/// The distinct normalised numbers in `text`, sorted as strings.
pub fn numbers(text: &str) -> Vec<String> {
    let mut reader = Reader { tokens: lex(text), found: Vec::new() };
    let mut at = 0;
    while at < reader.tokens.len() {
        at = reader.read(at).max(at + 1);
    }
    reader.found.into_iter().map(|f| f.text()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Whether both sides mention the same numbers.
pub fn agree(x: &[String], y: &[String]) -> bool {
    contained(x, y) && contained(y, x)
}

/// Whether every number in `y` occurs in `x`.
pub fn contained(y: &[String], x: &[String]) -> bool {
    y.iter().all(|n| x.contains(n))
}

#[derive(PartialEq, Clone, Copy)]
enum Form {
    Digits,
    Word,
    Mark,
}

struct Token {
    text: String,
    form: Form,
    /// No space precedes it.
    glued: bool,
    capital: bool,
}

/// A number found in the text.
struct Found {
    /// `None` if `mark` is the complete number, as in "10:30".
    value: Option<Decimal>,
    /// A suffix that distinguishes it from a plain number: "rd", "s", "am".
    mark: String,
    /// Index of the token after it.
    end: usize,
    /// Whether a magnitude ("million") was part of it.
    scaled: bool,
}

impl Found {
    fn text(&self) -> String {
        self.value.as_ref().map(Decimal::text).unwrap_or_default() + &self.mark
    }
}

/// A decimal number of any length, exact: its digits, of which the last `scale` are after the point.
#[derive(Clone)]
struct Decimal {
    digits: String,
    scale: usize,
    minus: bool,
}

impl Decimal {
    fn parse(text: &str) -> Self {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = whole.chars().chain(part.chars()).filter(char::is_ascii_digit).collect();
        Self { digits, scale: part.len(), minus: false }
    }

    fn whole(value: u64) -> Self {
        Self { digits: value.to_string(), scale: 0, minus: false }
    }

    /// A whole number with the decimals `part` (".5") appended.
    fn plus(self, part: &str) -> Self {
        Self { digits: self.digits + &part[1..], scale: part.len() - 1, minus: self.minus }
    }

    fn shift(&mut self, power: usize) {
        self.digits.extend(std::iter::repeat_n('0', power.saturating_sub(self.scale)));
        self.scale = self.scale.saturating_sub(power);
    }

    fn text(&self) -> String {
        let (whole, part) = self.digits.split_at(self.digits.len().saturating_sub(self.scale));
        let (whole, part) = (whole.trim_start_matches('0'), part.trim_end_matches('0'));
        let sign = if self.minus && !(whole.is_empty() && part.is_empty()) { "-" } else { "" };
        let whole = if whole.is_empty() { "0" } else { whole };
        if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
    }

    fn approx(&self) -> f64 {
        self.text().parse().unwrap_or(f64::INFINITY)
    }
}

fn lex(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut glued = false;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let (form, len) =
            if c.is_ascii_digit() || (c == '.' && !glued && rest[1..].starts_with(|d: char| d.is_ascii_digit())) {
                (Form::Digits, digits_len(rest.as_bytes()))
            } else if c.is_alphabetic() {
                (Form::Word, rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len()))
            } else {
                (Form::Mark, c.len_utf8())
            };
        if !c.is_whitespace() {
            tokens.push(Token { text: rest[..len].to_lowercase(), form, glued, capital: c.is_uppercase() });
        }
        glued = !c.is_whitespace();
        at += len;
    }
    tokens
}

/// Length of `1,500.25`, `10:30`, `1.2.3` at the start of `b`.
fn digits_len(b: &[u8]) -> usize {
    let run = |from: usize| b[from..].iter().take_while(|c| c.is_ascii_digit()).count();
    let mut len = run(0);
    if (1..=3).contains(&len) {
        // Groups of three (or two, as in India), the last of three.
        let mut end = len;
        while end < 40 && b.get(end) == Some(&b',') && matches!(run(end + 1), 2 | 3) {
            let group = run(end + 1);
            end += 1 + group;
            if group == 3 {
                len = end;
            }
        }
    }
    if (1..=2).contains(&len) && b.get(len) == Some(&b':') && run(len + 1) == 2 {
        return len + 3;
    }
    while b.get(len) == Some(&b'.') && run(len + 1) > 0 {
        len += 1 + run(len + 1);
    }
    len
}

struct Reader {
    tokens: Vec<Token>,
    found: Vec<Found>,
}

impl Reader {
    /// The text of a token; "" out of range.
    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |t| &t.text)
    }

    fn before(&self, at: usize, back: usize) -> &str {
        at.checked_sub(back).map_or("", |i| self.text(i))
    }

    fn glued(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|t| t.glued)
    }

    fn is_digits(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|t| t.form == Form::Digits)
    }

    /// The token after a hyphen that joins two words at `at`; otherwise `at`.
    fn hop(&self, at: usize) -> usize {
        if is_dash(self.text(at)) && self.glued(at) && self.glued(at + 1) { at + 1 } else { at }
    }

    /// If `words` follow from token `at`, separated by spaces or hyphens, the token after them.
    fn follow(&self, mut at: usize, words: &[&str]) -> Option<usize> {
        for word in words {
            at = self.hop(at);
            if self.text(at) != *word {
                return None;
            }
            at += 1;
        }
        Some(at)
    }

    fn push(&mut self, value: Option<Decimal>, mark: &str, end: usize) -> usize {
        self.found.push(Found { value, mark: mark.to_owned(), end, scaled: false });
        end
    }

    /// Reads the number, if any, that starts at token `at`; returns the token to continue from.
    fn read(&mut self, at: usize) -> usize {
        match self.tokens[at].form {
            Form::Digits => self.read_digits(at),
            Form::Word => self.read_words(at),
            Form::Mark => match vulgar(self.text(at)) {
                Some(part) => self.finish(Decimal::parse(part), at + 1, at),
                None => at + 1,
            },
        }
    }

    fn read_digits(&mut self, at: usize) -> usize {
        if self.in_name(at) {
            return at + 1;
        }
        let text = self.text(at).to_owned();
        let prev = self.before(at, 1).to_owned();
        let next = if self.glued(at + 1) { self.text(at + 1).to_owned() } else { String::new() };
        let mut value = Decimal::parse(&text);
        if let Some((half, end)) = self.half_day(at + 1) {
            return self.push(None, &(clock(&text.replace('.', ":")) + half), end);
        }
        if text.contains(':') || text.matches('.').count() > 1 {
            return self.push(None, &clock(&text), at + 1);
        }
        if matches!(next.as_str(), "st" | "nd" | "rd" | "th") {
            return self.ordinal(value, at, at + 2);
        }
        if next == "s" && text.ends_with('0') && matches!(text.len(), 2 | 4) {
            return self.push(Some(value), "s", at + 2);
        }
        let minus =
            matches!(prev.as_str(), "-" | "−") && self.glued(at) && (!self.glued(at - 1) || self.before(at, 2) == "(");
        value.minus = minus;
        let pair = |r: &Self, to: usize| Some((r.text(at).parse::<u64>().ok()?, r.text(to).parse::<u64>().ok()?));
        // "2/3" is a fraction, but "12/05/2004" is three numbers.
        if next == "/" && self.text(at + 3) != "/" && prev != "/" {
            match pair(self, at + 2) {
                Some((n, d)) if n > 0 && n < d && d <= 100 => return self.fraction(n, d, at + 3),
                _ => {}
            }
        }
        // "2014-15" is a range of years, but "2014-05-12" is three numbers.
        if is_dash(&next) && !is_dash(self.text(at + 3)) && text.len() == 4 && self.text(at + 2).len() == 2 {
            match pair(self, at + 2) {
                Some((from, to)) if (1000..2100).contains(&from) && to > from % 100 => {
                    self.push(Some(value), "", at + 1);
                    return self.push(Some(Decimal::whole(from / 100 * 100 + to)), "", at + 3);
                }
                _ => {}
            }
        }
        // "4 1/2" is 4.5.
        if next.is_empty()
            && value.scale == 0
            && self.text(at + 1) == "1"
            && self.text(at + 2) == "/"
            && self.text(at + 3) == "2"
        {
            return self.finish(value.plus(".5"), at + 4, at);
        }
        self.finish(value, at + 1, at)
    }

    /// Whether the digits belong to a name, as in G7, F-16 and Covid-19, but not in USD5 or mid-1990s.
    fn in_name(&self, at: usize) -> bool {
        let Some(word) = at.checked_sub(1).and_then(|i| self.tokens.get(i)).filter(|_| self.glued(at)) else {
            return false;
        };
        if word.form == Form::Word {
            return !is_currency(&word.text);
        }
        let Some(name) = at.checked_sub(2).and_then(|i| self.tokens.get(i)) else { return false };
        is_dash(&word.text) && word.glued && ((name.capital && name.text.len() <= 2) || name.text == "covid")
    }

    /// If "am", "p.m." or the like stands at token `at`: "am" or "pm", and the token after it.
    fn half_day(&self, at: usize) -> Option<(&'static str, usize)> {
        let dotted = self.text(at + 1) == "." && self.text(at + 2) == "m" && self.glued(at + 2);
        match self.text(at) {
            "am" => Some(("am", at + 1)),
            "pm" => Some(("pm", at + 1)),
            "a" if dotted => Some(("am", at + 3)),
            "p" if dotted => Some(("pm", at + 3)),
            _ => None,
        }
    }

    fn ordinal(&mut self, value: Decimal, begin: usize, end: usize) -> usize {
        let article = usize::from(self.before(begin, 1) == "the");
        let of = usize::from(self.text(end) == "of");
        let text = value.text();
        let mark = match text.as_bytes() {
            _ if is_month(self.before(begin, 1 + article)) || is_month(self.text(end + of)) => "",
            b"1" => return end,
            [.., b'1', _] => "th",
            [.., b'1'] => "st",
            [.., b'2'] => "nd",
            [.., b'3'] => "rd",
            _ => "th",
        };
        self.push(Some(value), mark, end)
    }

    fn fraction(&mut self, n: u64, d: u64, end: usize) -> usize {
        let common = (1..=n.min(d)).rev().find(|k| n.is_multiple_of(*k) && d.is_multiple_of(*k)).unwrap_or(1);
        let (n, d) = (n / common, d / common);
        if 10_000u64.is_multiple_of(d) {
            let value = Decimal { digits: format!("{:05}", n * (10_000 / d)), scale: 4, minus: false };
            return self.finish(value, end, end);
        }
        self.push(None, &format!("{n}/{d}"), end)
    }

    /// Completes a number that began at token `begin` and has been read up to `at`: "and a half", magnitudes, and the
    /// lower end of a range of which it is the upper.
    fn finish(&mut self, mut value: Decimal, mut at: usize, begin: usize) -> usize {
        if let Some(end) = self.follow(at, &["and", "a", "half"]).filter(|_| value.scale == 0) {
            (value, at) = (value.plus(".5"), end);
        } else if let Some(part) = vulgar(self.text(at)).filter(|_| self.glued(at) && value.scale == 0) {
            (value, at) = (value.plus(&part[1..]), at + 1);
        }
        let currency = is_currency(self.before(begin, 1));
        let mut power = 0;
        loop {
            let next = self.hop(at);
            let suffix = self.glued(next) && next == at;
            let step = match self.text(next) {
                "m" if suffix && currency => 6,
                "b" if suffix && currency => 9,
                "k" if suffix => 3,
                "mn" | "mln" => 6,
                "bn" | "bln" => 9,
                "tn" | "trn" => 12,
                word => magnitude(word).unwrap_or(0),
            };
            if step == 0 || power + step > 30 {
                break;
            }
            power += step;
            at = next + 1;
        }
        value.shift(power);
        if let Some(end) = self.follow(at, &["dozen"])
            && let Ok(n) = value.text().parse::<u32>()
        {
            (value, at) = (Decimal::whole(u64::from(n) * 12), end);
        }
        if power > 0 {
            self.scale_range(begin, power, &value);
        }
        self.found.push(Found { value: Some(value), mark: String::new(), end: at, scaled: power > 0 });
        at
    }

    /// In "10-12 million" and "$10 to $12 million" the lower number is in millions too.
    fn scale_range(&mut self, begin: usize, power: usize, upper: &Decimal) {
        let link = begin.saturating_sub(if is_currency(self.before(begin, 1)) { 2 } else { 1 });
        if !is_dash(self.text(link)) && !matches!(self.text(link), "to" | "or") {
            return;
        }
        if let Some(last) = self.found.last_mut().filter(|f| f.end == link && !f.scaled && f.mark.is_empty())
            && let Some(value) = &mut last.value
        {
            let mut scaled = value.clone();
            scaled.shift(power);
            if scaled.approx() < upper.approx() {
                *value = scaled;
            }
        }
    }
}

/// Normalises a time of day: "09:00" -> "9".
fn clock(text: &str) -> String {
    let text = text.strip_suffix(":00").unwrap_or(text);
    match text.strip_prefix('0') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => rest.to_owned(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
#[path = "number_cases.rs"]
mod cases;

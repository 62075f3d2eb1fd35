//! Walks over the tokens of a text and reads its numbers.

use super::lex::{Form, Token, lex};
use super::lists::{is_currency, is_dash, is_month, magnitude, magnitude_rank, vulgar};
use super::value::Value;

/// A number found in the text.
pub(super) struct Found {
    /// What it can be; at least one, each with at least one value.
    pub(super) readings: Vec<Vec<Value>>,
    /// Index of its first token.
    pub(super) begin: usize,
    /// Index of the token after it.
    pub(super) end: usize,
    /// The power of the magnitudes in it.
    pub(super) power: usize,
}

/// The numbers of a text, in order.
pub(super) fn read(text: &str) -> Vec<Found> {
    let mut reader = Reader { tokens: lex(text), found: Vec::new() };
    let mut at = 0;
    while at < reader.tokens.len() {
        at = reader.read(at).max(at + 1);
    }
    reader.found
}

pub(super) struct Reader {
    pub(super) tokens: Vec<Token>,
    pub(super) found: Vec<Found>,
}

impl Reader {
    /// The text of a token; "" out of range.
    pub(super) fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |t| &t.text)
    }

    pub(super) fn before(&self, at: usize, back: usize) -> &str {
        at.checked_sub(back).map_or("", |i| self.text(i))
    }

    pub(super) fn glued(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|t| t.glued)
    }

    pub(super) fn is_digits(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|t| t.form == Form::Digits)
    }

    pub(super) fn is_word(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|t| t.form == Form::Word)
    }

    /// The token after a hyphen that joins two words at `at`; otherwise `at`.
    pub(super) fn hop(&self, at: usize) -> usize {
        if is_dash(self.text(at)) && self.glued(at) && self.glued(at + 1) { at + 1 } else { at }
    }

    /// If `words` follow from token `at`, separated by spaces or hyphens, the token after them.
    pub(super) fn follow(&self, mut at: usize, words: &[&str]) -> Option<usize> {
        for word in words {
            at = self.hop(at);
            if self.text(at) != *word {
                return None;
            }
            at += 1;
        }
        Some(at)
    }

    /// Whether a number ends before token `at`.
    pub(super) fn number_before(&self, at: usize) -> bool {
        self.found.last().is_some_and(|f| f.end == at && at > 0)
    }

    /// Adds a number that is complete, and returns the token after it.
    pub(super) fn push(&mut self, readings: Vec<Vec<Value>>, begin: usize, end: usize) -> usize {
        self.found.push(Found { readings, begin, end, power: 0 });
        end
    }

    pub(super) fn push_word(&mut self, word: &str, begin: usize, end: usize) -> usize {
        self.push(vec![vec![Value::word(word)]], begin, end)
    }

    /// Reads the number, if any, that starts at token `at`; returns the token to continue from.
    fn read(&mut self, at: usize) -> usize {
        match self.tokens[at].form {
            Form::Digits => self.read_digits(at),
            Form::Word => self.read_words(at),
            Form::Mark => match vulgar(self.text(at)) {
                Some((n, d)) => self.fraction(u128::from(n), d, at, at + 1),
                None => at + 1,
            },
        }
    }

    fn read_digits(&mut self, at: usize) -> usize {
        if self.in_name(at) {
            return at + 1;
        }
        let text = self.text(at).to_owned();
        // Like "one of 12", which is said as often as "one of the 12".
        if text == "1" && self.text(at + 1) == "of" && (self.is_digits(at + 2) || self.cardinal(at + 2).is_some()) {
            return at + 1;
        }
        let next = if self.glued(at + 1) { self.text(at + 1).to_owned() } else { String::new() };
        if let Some((half, end)) = self.half_day(at + 1) {
            return self.push_word(&(clock(&text.replace('.', ":")) + half), at, end);
        }
        if text.contains(':') || text.matches('.').count() > 1 {
            return self.push_word(&clock(&text), at, at + 1);
        }
        let mut value = Value::parse(&text);
        if matches!(next.as_str(), "st" | "nd" | "rd" | "th") {
            return self.ordinal(value, at, at + 2);
        }
        if let Some(power) = magnitude_rank(self.text(self.hop(at + 1))) {
            value.shift(power);
            return self.ordinal(value, at, self.hop(at + 1) + 1);
        }
        if let Some(end) = self.decade_end(at) {
            let century = (text.len() == 2).then(|| Value::parse(&format!("19{text}")));
            let readings = std::iter::once(value).chain(century).map(|year| vec![year.marked("s")]);
            return self.push(readings.collect(), at, end);
        }
        if let Some(end) = self.slash_or_years(at, &next) {
            return end;
        }
        let mut readings = vec![vec![value]];
        // A point before three digits separates decimals in "1.250 %" and "1.250 million".
        let decimal =
            matches!(self.text(at + 1), "%" | "percent" | "per" | "pct") || magnitude(self.text(at + 1)).is_some();
        let other = &self.tokens[at].other;
        let open = if decimal { other.len() > 1 } else { !other.is_empty() };
        if open {
            readings.push(other.iter().map(|part| Value::parse(part)).collect());
        }
        self.finish(readings, at, at + 1, (0, 0))
    }

    /// The end of "1990s", "90s" or "the 1990's".
    fn decade_end(&self, at: usize) -> Option<usize> {
        let text = self.text(at);
        if !text.ends_with('0') || !matches!(text.len(), 2 | 4) || !self.glued(at + 1) {
            return None;
        }
        let apostrophe = matches!(self.text(at + 1), "'" | "’") && self.text(at + 2) == "s" && self.glued(at + 2);
        match self.text(at + 1) {
            "s" => Some(at + 2),
            _ if apostrophe && matches!(self.before(at, 1), "the" | "early" | "late" | "mid" | "-") => Some(at + 3),
            _ => None,
        }
    }

    /// Reads "2/3" and "2014-15" at `at`, given the mark glued to the first number.
    fn slash_or_years(&mut self, at: usize, mark: &str) -> Option<usize> {
        let slash = is_slash(mark);
        // "12/05/2004" and "2014-05-12" are three numbers.
        let more = is_slash(self.text(at + 3)) || is_slash(self.before(at, 1)) || is_dash(self.text(at + 3)) && !slash;
        if !(slash || is_dash(mark)) || more || !self.glued(at + 2) || !self.tokens[at].other.is_empty() {
            return None;
        }
        let (from, to) = (self.text(at).parse::<u64>().ok()?, self.text(at + 2).parse::<u64>().ok()?);
        if slash && from > 0 && from < to && to <= 100 {
            return Some(self.fraction(u128::from(from), to, at, at + 3));
        }
        let years = self.text(at).len() == 4 && self.text(at + 2).len() == 2;
        if !years || !(1000..2100).contains(&from) || to <= from % 100 {
            return None;
        }
        let year = |year: u64| vec![vec![Value::whole(u128::from(year))]];
        self.push(year(from), at, at + 1);
        Some(self.push(year(from / 100 * 100 + to), at + 2, at + 3))
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
    pub(super) fn half_day(&self, at: usize) -> Option<(&'static str, usize)> {
        let dotted = self.text(at + 1) == "." && self.text(at + 2) == "m" && self.glued(at + 2);
        match self.text(at) {
            "am" => Some(("am", at + 1)),
            "pm" => Some(("pm", at + 1)),
            "a" if dotted => Some(("am", at + 3)),
            "p" if dotted => Some(("pm", at + 3)),
            _ => None,
        }
    }

    /// Adds an ordinal, or the number that it is next to a month. "First" does not count elsewhere.
    pub(super) fn ordinal(&mut self, value: Value, begin: usize, end: usize) -> usize {
        match self.ordinal_value(value, begin, end) {
            Some(value) => self.push(vec![vec![value]], begin, end),
            None => end,
        }
    }

    pub(super) fn ordinal_value(&self, value: Value, begin: usize, end: usize) -> Option<Value> {
        let article = usize::from(self.before(begin, 1) == "the");
        let of = usize::from(self.text(end) == "of");
        let text = value.text();
        let mark = match text.as_bytes() {
            _ if is_month(self.before(begin, 1 + article)) || is_month(self.text(end + of)) => "",
            b"1" => return None,
            [.., b'1', _] => "th",
            [.., b'1'] => "st",
            [.., b'2'] => "nd",
            [.., b'3'] => "rd",
            _ => "th",
        };
        Some(value.marked(mark))
    }
}

/// The slash of a fraction.
pub(super) fn is_slash(text: &str) -> bool {
    matches!(text, "/" | "\u{2044}")
}

/// Normalises a time of day: "09:00" -> "9".
pub(super) fn clock(text: &str) -> String {
    let text = text.strip_suffix(":00").unwrap_or(text);
    match text.strip_prefix('0') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => rest.to_owned(),
        _ => text.to_owned(),
    }
}

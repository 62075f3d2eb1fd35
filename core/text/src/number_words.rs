//! Reading number words, and deciding which of them count.

use super::{Decimal, Form, Reader};

/// A number written in words.
struct Words {
    value: u64,
    /// Index of the token after it.
    end: usize,
    ordinal: bool,
}

impl Reader {
    pub(super) fn read_words(&mut self, at: usize) -> usize {
        let word = self.text(at).to_owned();
        match word.as_str() {
            "hundreds" | "thousands" | "millions" | "billions" | "trillions" | "dozens" => {
                return self.push(None, &word, at + 1);
            }
            "dozen" => return self.push(Some(Decimal::whole(12)), "", at + 1),
            "half" => return self.half(at),
            "a" | "an" => {
                if let Some(d) = denominator(self.text(at + 1)).filter(|&d| d > 2 && self.text(at + 2) == "of") {
                    return self.fraction(1, d, at + 2);
                }
            }
            _ => {}
        }
        let Some(read) = self.cardinal(at) else { return at + 1 };
        if read.ordinal {
            let time = word == "second" && !self.is_rank(at);
            return if time { at + 1 } else { self.ordinal(Decimal::whole(read.value), at, read.end) };
        }
        let after = self.hop(read.end);
        let plural = self.text(after).ends_with('s');
        if let Some(d) = denominator(self.text(after)).filter(|_| read.value == 1 || (plural && read.value < 100)) {
            return self.fraction(read.value, d, after + 1);
        }
        if self.text(read.end) == "point"
            && let Some(part) = self.cardinal(read.end + 1).filter(|p| p.value < 100 && !p.ordinal)
        {
            return self.finish(Decimal::whole(read.value).plus(&format!(".{}", part.value)), part.end, at);
        }
        if read.value == 1 && !self.counts_one(at) {
            return at + 1;
        }
        self.finish(Decimal::whole(read.value), read.end, at)
    }

    /// Reads "half": a number in "half a million", "half a dozen" and "half of", but not in "first half" and
    /// "half-time".
    fn half(&mut self, at: usize) -> usize {
        let (prev, next) = (self.before(at, 1), self.text(at + 1));
        if next == "a" && magnitude(self.text(at + 2)).is_some() {
            return self.finish(Decimal::parse("0.5"), at + 2, at);
        }
        if next == "a" && self.text(at + 2) == "dozen" {
            return self.push(Some(Decimal::whole(6)), "", at + 3);
        }
        let period = matches!(prev, "first" | "second" | "opening" | "other" | "better" | "1st" | "2nd");
        if period || is_dash(prev) || is_dash(next) {
            return at + 1;
        }
        self.push(Some(Decimal::parse("0.5")), "", at + 1)
    }

    /// Whether "second" at `at` is a rank rather than a unit of time.
    fn is_rank(&self, at: usize) -> bool {
        let timed = matches!(self.before(at, 1), "per" | "each" | "every" | "split" | "one" | "-")
            || at.checked_sub(1).is_some_and(|i| self.is_digits(i));
        let next = self.tokens.get(at + 1).filter(|t| t.form == Form::Word).map_or("", |t| &t.text);
        !timed && (self.before(at, 1) != "a" || !matches!(next, "" | "ago" | "later" | "to" | "and" | "or" | "before"))
    }

    /// Whether a lone "one" at `at` counts as a number.
    fn counts_one(&self, at: usize) -> bool {
        let more = |i: usize| self.is_digits(i) || self.cardinal(i).is_some_and(|c| !c.ordinal && c.value > 1);
        let prev = self.before(at, 1);
        let after = self.hop(at + 1);
        match self.text(after) {
            "in" | "to" | "or" => more(after + 1),
            "and" if prev == "between" => more(after + 1),
            "and" => self.follow(after, &["and", "a", "half"]).is_some(),
            "out" => self.text(after + 1) == "of" && more(after + 2),
            "per" => self.text(after + 1) == "cent",
            "percent" | "pct" | "percentage" | "%" | "cent" | "dollar" | "euro" | "pound" | "dozen" | "mn" | "bn" => {
                true
            }
            "mile" | "kilometer" | "kilometre" | "km" | "metre" | "meter" | "foot" | "inch" | "ton" | "tonne"
            | "kilo" | "kg" => true,
            next => {
                magnitude(next).is_some()
                    || matches!(prev, "number" | "chapter" | "page" | "phase" | "formula" | "tier")
            }
        }
    }

    /// Reads cardinals with at most one ordinal at the end; stops where the words no longer form one number.
    fn cardinal(&self, at: usize) -> Option<Words> {
        let (mut total, mut current, mut least) = (0u64, 0u64, u64::MAX);
        let (mut i, mut end, mut ordinal, mut tens) = (at, at, false, false);
        while !ordinal {
            let hop = if i == at { i } else { self.hop(i) };
            let word = self.text(hop);
            let first = end == at;
            if word == "and"
                && !first
                && current.is_multiple_of(100)
                && total + current > 0
                && small(self.text(hop + 1)).is_some()
            {
                i = hop + 1;
                continue;
            }
            if let Some((value, rank)) = small(word) {
                let year =
                    (13..=20).contains(&current) && (10..100).contains(&value) && total == 0 && !rank && hop == i;
                let after_hundred = current.is_multiple_of(100) && total + current > 0 && value > 0;
                if year {
                    current *= 100;
                } else if !(first || after_hundred || (tens && (1..10).contains(&value))) {
                    break;
                }
                current += value;
                ordinal = rank;
                tens = value >= 20;
            } else if word == "hundred" && (first || (1..100).contains(&current)) {
                (current, tens) = (current.max(1) * 100, false);
            } else if let Some(power) = magnitude(word).filter(|&p| p >= 3 && (first || current > 0)) {
                let unit = 10u64.pow(u32::try_from(power).unwrap_or(0));
                if unit >= least {
                    break;
                }
                (total, current, least, tens) = (total + current.max(1) * unit, 0, unit, false);
            } else {
                break;
            }
            i = hop + 1;
            end = i;
        }
        (end > at).then_some(Words { value: total + current, end, ordinal })
    }
}

/// The value of zero to nineteen or of a multiple of ten, and whether the word is the ordinal.
fn small(word: &str) -> Option<(u64, bool)> {
    const CARDINAL: &str = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen \
        eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety";
    const ORDINAL: &str = "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth \
        fifteenth sixteenth seventeenth eighteenth nineteenth twentieth thirtieth fortieth fiftieth sixtieth seventieth eightieth ninetieth";
    if !(3..=11).contains(&word.len()) {
        return None;
    }
    let place = |list: &str| list.split(' ').filter(|w| !w.is_empty()).position(|w| w == word);
    let (i, rank) = place(CARDINAL).map(|i| (i, false)).or_else(|| place(ORDINAL).map(|i| (i, true)))?;
    let i = u64::try_from(i).ok()?;
    Some((if i < 20 { i } else { (i - 18) * 10 }, rank))
}

pub(super) fn magnitude(word: &str) -> Option<usize> {
    Some(match word {
        "hundred" => 2,
        "thousand" => 3,
        "million" => 6,
        "billion" => 9,
        "trillion" => 12,
        _ => return None,
    })
}

fn denominator(word: &str) -> Option<u64> {
    const PARTS: [&str; 8] = ["third", "quarter", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];
    const VALUES: [u64; 8] = [3, 4, 5, 6, 7, 8, 9, 10];
    if word == "half" || word == "halves" {
        return Some(2);
    }
    PARTS.iter().position(|p| *p == word.strip_suffix('s').unwrap_or(word)).map(|i| VALUES[i])
}

pub(super) fn vulgar(mark: &str) -> Option<&'static str> {
    Some(match mark {
        "½" => "0.5",
        "¼" => "0.25",
        "¾" => "0.75",
        _ => return None,
    })
}

pub(super) fn is_dash(text: &str) -> bool {
    matches!(text, "-" | "–" | "—" | "‑" | "−")
}

pub(super) fn is_currency(text: &str) -> bool {
    matches!(text, "$" | "£" | "€" | "¥" | "usd" | "eur" | "gbp" | "rs")
}

pub(super) fn is_month(word: &str) -> bool {
    matches!(
        word,
        "january" | "february" | "march" | "april" | "may" | "june" | "july" | "august" | "september" | "october"
    ) || matches!(
        word,
        "november"
            | "december"
            | "jan"
            | "feb"
            | "mar"
            | "apr"
            | "jun"
            | "jul"
            | "aug"
            | "sep"
            | "sept"
            | "oct"
            | "nov"
            | "dec"
    )
}

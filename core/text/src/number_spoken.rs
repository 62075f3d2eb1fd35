//! Number words, and which of them count.

use super::lists::{
    decade, denominator, is_dash, is_measure, is_unit, is_vague, leaves_open, magnitude, spoken_digit, vulgar,
};
use super::reader::Reader;
use super::value::Value;
use super::words::Words;

/// Digits that are read after "point".
const MAX_DECIMALS: usize = 30;

impl Reader {
    pub(super) fn read_words(&mut self, at: usize) -> usize {
        let word = self.text(at).to_owned();
        let large = magnitude(&word).is_some() || word == "dozen";
        if is_vague(&word) && (word != "tens" || self.text(at + 1) == "of") {
            return self.push_word(&word, at, at + 1);
        }
        if large && (self.leaves_open(at) || self.open_magnitude(at)) {
            return self.push_word(&format!("{word}s"), at, at + 1);
        }
        if let Some(years) = decade(&word) {
            let centuries = ["", "19"].map(|century| vec![Value::parse(&format!("{century}{years}")).marked("s")]);
            return self.push(centuries.into(), at, at + 1);
        }
        let next = self.text(at + 1);
        match word.as_str() {
            "dozen" => {
                let mut value = Value::whole(1);
                value.dozen();
                return self.finish(vec![vec![value]], at, at + 1, (0, 0));
            }
            "half" => return self.half(at),
            "a" | "an" => {
                let parts = matches!(self.text(at + 2), "of") || magnitude(self.text(at + 2)).is_some();
                if let Some(d) = denominator(next).filter(|&d| d > 2 && parts) {
                    return self.fraction(1, d, at, at + 2);
                }
            }
            "point" if !matches!(self.before(at, 1), "this" | "that" | "a" | "one" | "some" | "any") => {
                if let Some((part, end)) = self.decimals(at + 1).filter(|&(_, end)| self.is_percent(end)) {
                    return self.finish(vec![vec![Value::parse(&format!("0.{part}"))]], at, end, (0, 0));
                }
            }
            "nil" | "nought" | "naught" | "love" if self.linked(at) => return self.push_word("0", at, at + 1),
            "nought" | "naught" if next == "point" => {
                if let Some((part, end)) = self.decimals(at + 2) {
                    return self.finish(vec![vec![Value::parse(&format!("0.{part}"))]], at, end, (0, 0));
                }
            }
            _ => {}
        }
        match self.cardinal(at) {
            Some(words) if words.ordinal => self.rank(&words, at),
            Some(words) => self.count(&words, at),
            None => at + 1,
        }
    }

    /// "A few hundred": the magnitude at `at` says only of which order the number is.
    fn leaves_open(&self, at: usize) -> bool {
        leaves_open(self.before(at, 1)) || (self.before(at, 1) == "of" && self.before(at, 2) == "couple")
    }

    /// Whether the magnitude before `at` was left open, as "thousand" is in "several hundred thousand".
    fn open_magnitude(&self, at: usize) -> bool {
        let open =
            |f: &super::reader::Found| f.end == at && f.readings.iter().flatten().all(|value| is_vague(&value.text()));
        self.found.last().is_some_and(open)
    }

    fn is_percent(&self, at: usize) -> bool {
        matches!(self.text(at), "percent" | "%" | "pct") || self.follow(at, &["per", "cent"]).is_some()
    }

    /// Adds an ordinal in words.
    fn rank(&mut self, words: &Words, at: usize) -> usize {
        let last = self.before(words.end, 1).to_owned();
        if last == "second" && words.value == 2 && !self.is_rank(at) {
            return words.end;
        }
        let (value, end) = (Value::whole(words.value), words.end);
        // "One hundredth of a second".
        let one = self.text(at) == "one" || self.before(at, 1) == "a";
        if one && self.text(end) == "of" && is_power_of_ten(words.value) {
            let d = u64::try_from(words.value).unwrap_or(0);
            return self.push(vec![vec![Value::fraction(1, d)], vec![value.marked("th")]], at, end);
        }
        // "A thirty second clip".
        let seconds = (last == "second" && words.value > 2).then(|| vec![Value::whole(words.value - 2)]);
        match self.ordinal_value(value, at, end) {
            Some(value) => self.push(std::iter::once(vec![value]).chain(seconds).collect(), at, end),
            None => end,
        }
    }

    /// Adds a cardinal in words, with the fraction or decimals that it may begin.
    fn count(&mut self, words: &Words, at: usize) -> usize {
        let (value, end) = (words.value, words.end);
        if let Some((half, end)) = self.half_day(end).filter(|_| value <= 12) {
            return self.push_word(&format!("{value}{half}"), at, end);
        }
        let after = self.hop(end);
        if let Some(years) = decade(self.text(after)).filter(|_| (13..=20).contains(&value)) {
            return self.push(vec![vec![Value::parse(&format!("{value}{years}")).marked("s")]], at, after + 1);
        }
        if let Some(d) = denominator(self.text(after)).filter(|&d| self.is_fraction(value, d, after)) {
            return self.fraction(value, d, at, after + 1);
        }
        if self.text(after) == "point"
            && let Some((part, end)) = self.decimals(self.hop(after + 1))
        {
            return self.finish(vec![vec![Value::parse(&format!("{value}.{part}"))]], at, end, (0, 0));
        }
        if value == 1 && end == at + 1 && !self.counts_one(at) {
            return at + 1;
        }
        let mut readings = vec![vec![Value::whole(value)]];
        if let Some((head, tail)) = words.split {
            readings.push(vec![Value::whole(head), Value::whole(tail)]);
        }
        self.finish(readings, at, end, (words.power, words.wide))
    }

    /// Whether `value` and a denominator at `at` are a fraction: "one third", "three quarters", but not "two quarters".
    fn is_fraction(&self, value: u128, d: u64, at: usize) -> bool {
        let plural = self.text(at).ends_with('s');
        let periods = d == 4 && value.is_multiple_of(2);
        (value == 1 && !plural) || (plural && value < 1000 && !value.is_multiple_of(u128::from(d)) && !periods)
    }

    /// The decimals after "point": digits one by one, or one number below a hundred. Their digits, and the token after.
    fn decimals(&self, at: usize) -> Option<(String, usize)> {
        let (mut part, mut end) = (String::new(), at);
        while let Some(digit) = spoken_digit(self.text(end)).filter(|_| part.len() < MAX_DECIMALS) {
            part += &digit.to_string();
            end += 1;
        }
        if part.is_empty() {
            let words = self.cardinal(at).filter(|words| words.value < 100 && !words.ordinal)?;
            return Some((words.value.to_string(), words.end));
        }
        Some((part, end))
    }

    /// Reads "half": a number in "half a million", "half a dozen" and "half of", but not in "first half" and
    /// "half-time".
    fn half(&mut self, at: usize) -> usize {
        let next = self.hop(at + 1);
        let large = |at: usize| magnitude(self.text(at)).is_some() || self.text(at) == "dozen";
        if large(next) {
            return self.fraction(1, 2, at, next);
        }
        if let Some(end) = self.and_a_half(at) {
            return end;
        }
        if let Some(hour) = self.past_hour(at + 1) {
            return self.push_word(&format!("{hour}:30"), at, at + 3);
        }
        let period = matches!(self.before(at, 1), "first" | "second" | "opening" | "other" | "better" | "1st" | "2nd");
        if period || is_dash(self.before(at, 1)) || is_dash(self.text(at + 1)) {
            return at + 1;
        }
        self.fraction(1, 2, at, at + 1)
    }

    /// The hour of "past ten" at `at`.
    fn past_hour(&self, at: usize) -> Option<u128> {
        let hour = self.text(at + 1);
        let spoken =
            || self.cardinal(at + 1).filter(|words| !words.ordinal && words.end == at + 2).map(|words| words.value);
        let hour = hour.parse().ok().or_else(spoken)?;
        (self.text(at) == "past" && (1..=12).contains(&hour)).then_some(hour)
    }

    /// "An hour and a half", "two hours and a half".
    fn and_a_half(&mut self, at: usize) -> Option<usize> {
        let unit = at.checked_sub(3)?;
        if self.before(at, 1) != "a" || self.before(at, 2) != "and" || !is_measure(self.text(unit)) {
            return None;
        }
        if matches!(self.before(unit, 1), "a" | "an" | "one") {
            return Some(self.push(vec![vec![Value::parse("1.5")]], unit, at + 1));
        }
        let last = self.found.last_mut().filter(|f| f.end == unit)?;
        last.readings.iter_mut().filter_map(|reading| reading.last_mut()).for_each(|value| value.add_part(1, 2, 0));
        Some(at + 1)
    }

    /// Whether "second" at `at` is a rank rather than a unit of time.
    fn is_rank(&self, at: usize) -> bool {
        let timed = matches!(self.before(at, 1), "per" | "each" | "every" | "split" | "one" | "-")
            || at.checked_sub(1).is_some_and(|i| self.is_digits(i));
        let next = if self.is_word(at + 1) { self.text(at + 1) } else { "" };
        !timed && (self.before(at, 1) != "a" || !matches!(next, "" | "ago" | "later" | "to" | "and" | "or" | "before"))
    }

    /// Whether a number and a link stand before `at`: "three to", "3-".
    fn linked(&self, at: usize) -> bool {
        let Some(link) = at.checked_sub(1) else { return false };
        let dash = is_dash(self.text(link)) && self.glued(at);
        (dash || matches!(self.text(link), "to" | "or")) && self.number_before(link)
    }

    /// Whether a lone "one" at `at` counts as a number.
    fn counts_one(&self, at: usize) -> bool {
        let more = |i: usize| self.is_digits(i) || self.cardinal(i).is_some_and(|c| !c.ordinal && c.value != 1);
        let prev = self.before(at, 1);
        let after = self.hop(at + 1);
        if matches!(prev, "minus" | "negative") || self.linked(at) || vulgar(self.text(at + 1)).is_some() {
            return true;
        }
        match self.text(after) {
            "in" | "to" | "or" => more(after + 1),
            "and" if prev == "between" => more(after + 1),
            "and" => {
                let part = self.hop(after + 1);
                let word = self.hop(part + 1);
                self.text(word) == "half" || (denominator(self.text(word)).is_some() && is_measure(self.text(word + 1)))
            }
            "out" => self.text(after + 1) == "of" && more(after + 2),
            "per" => self.text(after + 1) == "cent",
            "nil" if after > at + 1 => true,
            next => {
                is_unit(next)
                    || magnitude(next).is_some()
                    || matches!(prev, "number" | "chapter" | "page" | "phase" | "formula" | "tier")
            }
        }
    }
}

fn is_power_of_ten(mut value: u128) -> bool {
    while value >= 10 && value.is_multiple_of(10) {
        value /= 10;
    }
    value == 1
}

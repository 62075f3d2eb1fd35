//! What stands around a numeral: its sign, fractions and magnitudes after it, and the lower end of its range.

use super::lex::Form;
use super::lists::{
    denominator, is_currency, is_dash, is_measure, is_minus, is_money, is_unit, magnitude, measures, vulgar,
};
use super::reader::{Reader, is_slash};
use super::value::Value;

/// A number is multiplied by at most ten to this power.
const MAX_POWER: usize = 36;

/// What a word after a numeral multiplies it by.
enum Step {
    /// Ten to a power.
    Power(usize),
    /// Ten to a power, or nothing: "5 m".
    Maybe(usize),
    Dozen,
}

/// A part of one after a whole number: numerator, denominator, and the token after it.
type Part = (u64, u64, usize);

impl Reader {
    /// Completes a number that began at token `begin` and has been read up to `at`: fractions, magnitudes, the sign, and
    /// the lower end of a range of which it is the upper. `powers` are those of the magnitude that came last.
    pub(super) fn finish(
        &mut self,
        mut readings: Vec<Vec<Value>>,
        begin: usize,
        mut at: usize,
        powers: (usize, usize),
    ) -> usize {
        let each = |readings: &mut Vec<Vec<Value>>, change: &dyn Fn(&mut Value)| {
            readings.iter_mut().filter_map(|reading| reading.last_mut()).for_each(change);
        };
        let whole = readings.iter().flatten().all(Value::is_integer);
        let mut part = self.part(begin, at).filter(|_| whole);
        if let Some((n, d, end)) = part {
            // "A million and a half".
            let power = if powers.0 >= 3 { powers.0 } else { 0 };
            each(&mut readings, &|value| value.add_part(n, d, power));
            at = end;
        }
        let (mut power, mut open, mut dozen) = (0, 0, false);
        while let Some((step, end)) = self.step(begin, at) {
            match step {
                Step::Power(more) | Step::Maybe(more) if power + more > MAX_POWER => break,
                Step::Power(more) => {
                    power += more;
                    each(&mut readings, &|value| value.shift(more));
                }
                Step::Maybe(more) => {
                    let mut scaled = readings.clone();
                    each(&mut scaled, &|value| value.shift(more));
                    readings.append(&mut scaled);
                    open = more;
                }
                Step::Dozen => {
                    dozen = true;
                    each(&mut readings, &Value::dozen);
                }
            }
            at = end;
            if !matches!(step, Step::Power(_)) {
                break;
            }
        }
        if power >= 3 && part.is_none() && whole {
            part = self.part(begin, at).filter(|&(n, d, end)| (n, d) == (1, 2) && self.text(end) != "of");
            if let Some((n, d, end)) = part {
                each(&mut readings, &|value| value.add_part(n, d, power));
                at = end;
            }
        }
        let (power, wide) = if power > 0 { (power, power) } else { powers };
        if power >= 3 && part.is_none() {
            at = self.smaller(&mut readings, power, at);
        }
        if let Some(value) = readings.first().and_then(|reading| reading.last()).filter(|_| power > 0 || dozen) {
            let value = value.clone();
            self.scale_range(begin, &[wide, power], dozen, &value);
        }
        let zero = self.below_zero(at);
        if zero.is_some() || self.negative(begin) {
            readings.iter_mut().filter_map(|reading| reading.first_mut()).for_each(|value| value.minus = true);
        }
        let begin = if open > 0 { self.open_range(&mut readings, open, begin) } else { begin };
        self.push(readings, begin, zero.unwrap_or(at));
        if let Some(last) = self.found.last_mut() {
            last.power = power;
        }
        zero.unwrap_or(at)
    }

    /// Adds a fraction, which may be one of a magnitude: "half a million", "two thirds of a million".
    pub(super) fn fraction(&mut self, n: u128, d: u64, begin: usize, end: usize) -> usize {
        let large = |at: usize| magnitude(self.text(at)).is_some() || self.text(at) == "dozen";
        let of = if self.text(end) == "of" { end + 1 } else { end };
        let article = matches!(self.text(of), "a" | "an");
        let at = if article && large(of + 1) { of + 1 } else { end };
        self.finish(vec![vec![Value::fraction(n, d)]], begin, at, (0, 0))
    }

    /// "and a half", "and three quarters", "½" or "1/2" at `at`.
    fn part(&self, begin: usize, at: usize) -> Option<Part> {
        if let Some((n, d)) = vulgar(self.text(at)) {
            return Some((n, d, at + 1));
        }
        if self.is_digits(begin) && at == begin + 1 {
            let part = self.digit_part(at);
            if part.is_some() {
                return part;
            }
        }
        let and = self.follow(at, &["and"])?;
        let after = self.hop(and);
        let one = matches!(self.text(after), "a" | "an" | "one");
        let (n, next) = if one { (1, after + 1) } else { self.numerator(after)? };
        let next = self.hop(next);
        let d = denominator(self.text(next)).filter(|&d| n < d)?;
        let end = next + 1;
        let sure = d == 2 || (n > 1 && self.text(next).ends_with('s')) || self.counted(end);
        // "Two were hurt and a third of them died".
        (sure && (d == 2 || self.text(end) != "of")).then_some((n, d, end))
    }

    fn numerator(&self, at: usize) -> Option<(u64, usize)> {
        let words = self.cardinal(at).filter(|words| !words.ordinal && words.value < 100)?;
        Some((u64::try_from(words.value).ok()?, words.end))
    }

    /// Whether what follows is counted in fractions: "two and a third million", "two and a quarter hours".
    fn counted(&self, at: usize) -> bool {
        let word = self.text(self.hop(at));
        magnitude(word).is_some() || is_measure(word) || is_unit(word)
    }

    /// "1/2" after a whole number in digits: "2 1/2", "2-1/2".
    fn digit_part(&self, at: usize) -> Option<Part> {
        let first = self.hop(at);
        let joined = first > at || !self.glued(at);
        // Tokenised texts have spaces on both sides of the slash.
        let even = self.glued(first + 1) == self.glued(first + 2);
        if !joined || !is_slash(self.text(first + 1)) || is_slash(self.text(first + 3)) || !even {
            return None;
        }
        let (n, d) = (self.text(first).parse().ok()?, self.text(first + 2).parse().ok()?);
        (n > 0 && n < d && d <= 100).then_some((n, d, first + 3))
    }

    /// The magnitude at `at` after a numeral that began at `begin`, and the token after it.
    fn step(&self, begin: usize, at: usize) -> Option<(Step, usize)> {
        let next = self.hop(at);
        let word = self.text(next);
        let step = match word {
            "mn" | "mln" | "mio" => Step::Power(6),
            "bn" | "bln" => Step::Power(9),
            "tn" | "trn" | "trln" => Step::Power(12),
            "dozen" | "dozens" => Step::Dozen,
            _ => match magnitude(word) {
                Some(power) => Step::Power(power),
                None => self.letter(begin, at, next)?,
            },
        };
        Some((step, next + 1))
    }

    /// A letter that may stand for a magnitude after digits.
    fn letter(&self, begin: usize, at: usize, next: usize) -> Option<Step> {
        let last = self.tokens.get(at.checked_sub(1)?)?;
        if last.form != Form::Digits && vulgar(&last.text).is_none() {
            return None;
        }
        let capital = self.tokens.get(next).is_some_and(|t| t.capital);
        let suffix = self.glued(next) && next == at;
        // In "$5-10m" too.
        let range = self.found.last().filter(|_| self.lower(begin).is_some());
        let money = is_currency(self.before(begin, 1))
            || is_money(self.text(next + 1))
            || range.is_some_and(|lower| is_currency(self.before(lower.begin, 1)));
        let sure = |yes: bool, power| Some(if yes { Step::Power(power) } else { Step::Maybe(power) });
        match self.text(next) {
            "k" => sure(suffix || money, 3),
            "m" if measures(self.text(self.hop(next + 1))) => None,
            "m" => sure(money || (suffix && capital), 6),
            "b" if suffix || money => sure(money || (capital && last.text.contains('.')), 9),
            "t" if suffix && money => Some(Step::Power(12)),
            "mm" | "mil" if money => Some(Step::Power(6)),
            "cr" if money => Some(Step::Power(7)),
            _ => None,
        }
    }

    /// Adds "200 thousand" to "3 million"; both numbers remain a reading.
    fn smaller(&self, readings: &mut Vec<Vec<Value>>, mut power: usize, mut at: usize) -> usize {
        while self.is_digits(at) && !self.glued(at) && self.text(at).len() <= 3 {
            let more = magnitude(self.text(self.hop(at + 1))).filter(|more| *more < power);
            let [[value], ..] = &readings.iter().map(Vec::as_slice).collect::<Vec<_>>()[..] else { break };
            let (Some(more), Some(large)) = (more, value.integer()) else { break };
            let mut small = Value::parse(self.text(at));
            small.shift(more);
            let Some(sum) = small.integer().and_then(|small| small.checked_add(large)) else { break };
            let mut apart = readings.last().cloned().unwrap_or_default();
            apart.push(small);
            *readings = vec![vec![Value::whole(sum)], apart];
            (power, at) = (more, self.hop(at + 1) + 1);
        }
        at
    }

    /// The lower end of the range of which the number that begins at `begin` is the upper, if it can be read in one way.
    fn lower(&self, begin: usize) -> Option<&Value> {
        let link = begin.saturating_sub(if is_currency(self.before(begin, 1)) { 2 } else { 1 });
        let lower = self.found.last()?;
        let hyphen = is_dash(self.before(link, 1)) && lower.end + 1 == link;
        let between = self.before(lower.begin, 1) == "between" || self.before(lower.begin, 2) == "between";
        let links = is_dash(self.text(link)) || matches!(self.text(link), "to" | "or");
        let linked = (links || (between && self.text(link) == "and")) && (lower.end == link || hyphen);
        match &lower.readings[..] {
            [reading] if linked && reading.len() == 1 => reading.first().filter(|value| value.mark.is_empty()),
            _ => None,
        }
    }

    /// In "10-12 million" and "between $10 and $12 million" the lower number is in millions too.
    fn scale_range(&mut self, begin: usize, powers: &[usize], dozen: bool, upper: &Value) {
        let Some(value) = self.lower(begin).cloned() else { return };
        let Some(last) = self.found.last_mut() else { return };
        let has = last.power;
        let scaled = powers.iter().filter(|&&power| power > has || dozen).map(|&power| {
            let mut scaled = value.clone();
            scaled.shift(power);
            if dozen {
                scaled.dozen();
            }
            (scaled, power)
        });
        let fits = scaled.into_iter().find(|(scaled, _)| scaled.approx() < upper.approx());
        if let Some((scaled, power)) = fits {
            (last.readings, last.power) = (vec![vec![scaled]], power);
        }
    }

    /// In "5-10m people" both may be millions, or neither: makes one item of them, and returns where it begins.
    fn open_range(&mut self, readings: &mut [Vec<Value>], power: usize, begin: usize) -> usize {
        let Some(lower) = self.lower(begin).cloned() else { return begin };
        let mut scaled = lower.clone();
        scaled.shift(power);
        let [[plain], [large]] = readings.iter().map(Vec::as_slice).collect::<Vec<_>>()[..] else { return begin };
        if scaled.approx() >= large.approx() {
            return begin;
        }
        let both = [vec![lower, plain.clone()], vec![scaled, large.clone()]];
        readings.clone_from_slice(&both);
        self.found.pop().map_or(begin, |lower| lower.begin)
    }

    /// Whether a sign stands before the number that begins at `begin`, and is no hyphen, range or subtraction.
    fn negative(&self, begin: usize) -> bool {
        let mut first = begin;
        if self.before(first, 1) == "a" && self.is_word(begin) {
            first -= 1;
        }
        if is_currency(self.before(first, 1)) {
            first -= 1;
            // "-US$5".
            first -= usize::from(self.glued(first) && matches!(self.before(first, 1), "us" | "a" | "ca"));
        }
        let Some(sign) = first.checked_sub(1) else { return false };
        let operand = self.number_before(sign);
        match self.text(sign) {
            // "plus or minus 15" has no sign.
            "minus" => {
                let either = self.before(sign, 2) == "plus" && matches!(self.before(sign, 1), "or" | "and" | "/");
                !(operand || either)
            }
            "negative" => !operand && !matches!(self.before(sign, 1), "tested" | "test" | "testing" | "tests" | "came"),
            "−" if !self.glued(first) => !operand && !self.glued(sign),
            mark if is_minus(mark) && self.glued(first) => {
                !self.glued(sign)
                    || matches!(self.before(sign, 1), "(" | "[" | "\"" | "“" | "/" | "~" | "≈" | "<" | ">" | "=")
            }
            _ => false,
        }
    }

    /// The token after "degrees below zero".
    fn below_zero(&self, at: usize) -> Option<usize> {
        let mut i = at;
        for words in [&["°", "degrees", "degree"][..], &["c", "f", "celsius", "fahrenheit", "centigrade"][..]] {
            i += usize::from(words.contains(&self.text(i)));
        }
        self.follow(i, &["below", "zero"])
    }
}

//! Cardinals and ordinals in words.

use super::lists::{is_dash, magnitude, magnitude_rank, small, spoken_digit};
use super::reader::Reader;

/// A number written in words.
pub(super) struct Words {
    pub(super) value: u128,
    /// Index of the token after it.
    pub(super) end: usize,
    pub(super) ordinal: bool,
    /// The power of its magnitude if that comes last: 6 in "two hundred million".
    pub(super) power: usize,
    /// The same with the hundreds: 8 in "two hundred million".
    pub(super) wide: usize,
    /// The two numbers that it can be as well: 1000 and 2 in "one thousand two".
    pub(super) split: Option<(u128, u128)>,
}

/// A number below 10,000 without magnitudes from thousand on.
struct Group {
    value: u128,
    end: usize,
    ordinal: bool,
    /// Hundreds were said.
    hundreds: bool,
}

impl Group {
    fn new(value: u64, end: usize, ordinal: bool) -> Self {
        Self { value: u128::from(value), end, ordinal, hundreds: false }
    }

    /// The power that comes last: 2 in "five hundred".
    fn power(&self) -> usize {
        if self.hundreds && self.value.is_multiple_of(100) { 2 } else { 0 }
    }
}

/// What joins two parts of a number.
#[derive(PartialEq, Clone, Copy)]
enum Joint {
    Space,
    And,
    Comma,
}

fn ten_to(power: usize) -> u128 {
    u32::try_from(power).ok().and_then(|power| 10_u128.checked_pow(power)).unwrap_or(u128::MAX)
}

impl Reader {
    /// The cardinal that begins at `at`, or the ordinal that it ends in: groups of hundreds with ever smaller magnitudes,
    /// and what is left. Takes a bounded number of tokens.
    pub(super) fn cardinal(&self, at: usize) -> Option<Words> {
        let between = self.before(at, 1) == "between" || (self.before(at, 1) == "a" && self.before(at, 2) == "between");
        let mut found = Words { value: 0, end: at, ordinal: false, power: 0, wide: 0, split: None };
        let mut least = usize::MAX;
        loop {
            let first = found.end == at;
            let (i, joint) = self.joint(found.end, first);
            if joint == Joint::And && between {
                break;
            }
            let bare = first && self.outer(i).is_some() && !self.text(i).ends_with('s');
            let group = if bare { Some(Group::new(1, i, false)) } else { self.group(i, first, between) };
            let Some(group) = group.filter(|g| first || g.value > 0) else { break };
            let next = if bare { i } else { self.hop(group.end) };
            let outer = if group.ordinal { None } else { self.outer(next) };
            if outer.is_some_and(|(power, _)| power >= least) || (outer.is_none() && group.value >= ten_to(least)) {
                break;
            }
            let loose = !first
                && match joint {
                    Joint::Space => outer.is_none() && !group.hundreds,
                    Joint::Comma => true,
                    Joint::And => false,
                };
            if joint == Joint::Comma && ((outer.is_none() && !group.hundreds) || group.ordinal) {
                break;
            }
            let before = found.value;
            let unit = outer.map_or(1, |(power, _)| ten_to(power));
            found.value = before.saturating_add(group.value.saturating_mul(unit));
            if loose && !group.ordinal && found.split.is_none() {
                found.split = Some((before, 0));
            }
            (found.power, found.wide) = (0, 0);
            match outer {
                Some((power, ordinal)) => {
                    (found.end, found.ordinal, least) = (next + 1, ordinal, power);
                    if first && !ordinal {
                        (found.power, found.wide) = (power, power + group.power());
                    }
                    if ordinal {
                        break;
                    }
                }
                None => {
                    (found.end, found.ordinal) = (group.end, group.ordinal);
                    if first {
                        (found.power, found.wide) = (group.power(), group.power());
                    }
                    break;
                }
            }
        }
        found.split = found.split.map(|(head, _)| (head, found.value - head));
        (found.end > at).then_some(found)
    }

    /// Where the next part of a number that has been read up to `end` would begin.
    fn joint(&self, end: usize, first: bool) -> (usize, Joint) {
        if first {
            return (end, Joint::Space);
        }
        let next = self.hop(end);
        match self.text(next) {
            "and" => (self.hop(next + 1), Joint::And),
            "," => (next + 1, Joint::Comma),
            _ => (next, Joint::Space),
        }
    }

    /// The power of a magnitude from thousand on, and whether it is an ordinal.
    fn outer(&self, at: usize) -> Option<(usize, bool)> {
        let word = self.text(at);
        let found = magnitude(word).map(|power| (power, false)).or_else(|| magnitude_rank(word).map(|p| (p, true)));
        found.filter(|&(power, _)| power >= 3)
    }

    /// One to ninety-nine, or zero.
    fn below_hundred(&self, at: usize) -> Option<(u64, usize, bool)> {
        let (tens, ordinal) = small(self.text(at))?;
        let next = self.hop(at + 1);
        match small(self.text(next)).filter(|(unit, _)| tens >= 20 && !ordinal && (1..10).contains(unit)) {
            Some((unit, ordinal)) => Some((tens + unit, next + 1, ordinal)),
            None => Some((tens, at + 1, ordinal)),
        }
    }

    /// "Forty-five hundred thirty", "a hundred and one", "twenty nineteen".
    fn group(&self, at: usize, first: bool, between: bool) -> Option<Group> {
        let (count, end) = match self.below_hundred(at) {
            Some((value, end, true)) => return Some(Group::new(value, end, true)),
            Some((value, end, false)) => {
                if let Some(year) = self.year(value, end).filter(|_| first) {
                    return Some(year);
                }
                let next = self.hop(end);
                let hundreds = matches!(self.text(next), "hundred" | "hundreds" | "hundredth");
                if !hundreds || !(1..100).contains(&value) {
                    return Some(Group::new(value, end, false));
                }
                (value, next)
            }
            None if matches!(self.text(at), "hundred" | "hundredth") => (1, at),
            None => return None,
        };
        if self.text(end) == "hundredth" {
            return Some(Group { hundreds: true, ..Group::new(count * 100, end + 1, true) });
        }
        let mut group = Group { hundreds: true, ..Group::new(count * 100, end + 1, false) };
        let (tail, joint) = self.joint(end + 1, false);
        let tail =
            if joint == Joint::Comma || (joint == Joint::And && between) { None } else { self.below_hundred(tail) };
        let of_next = |end: usize| matches!(self.text(self.hop(end)), "hundred" | "hundreds" | "hundredth");
        if let Some((value, end, ordinal)) = tail.filter(|&(value, end, _)| value > 0 && !of_next(end)) {
            (group.value, group.end, group.ordinal) = (group.value + u128::from(value), end, ordinal);
        }
        Some(group)
    }

    /// "Nineteen eighty-four", "twenty nineteen", "nineteen oh five".
    fn year(&self, century: u64, end: usize) -> Option<Group> {
        if !(13..=20).contains(&century) {
            return None;
        }
        let next = self.hop(end);
        if matches!(self.text(next), "oh" | "o")
            && let Some(unit) = spoken_digit(self.text(self.hop(next + 1))).filter(|unit| *unit > 0)
        {
            return Some(Group::new(century * 100 + unit, self.hop(next + 1) + 1, false));
        }
        let (years, end, ordinal) = self.below_hundred(next)?;
        // "Fifteen twenty-dollar notes".
        let compound = is_dash(self.text(end)) && self.hop(end) > end;
        let larger = magnitude(self.text(self.hop(end))).is_some();
        let year = (10..100).contains(&years) && !ordinal && !compound && !larger;
        year.then(|| Group::new(century * 100 + years, end, false))
    }
}

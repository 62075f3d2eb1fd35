//! The numbers a text mentions, normalised so that two texts can be compared.
//!
//! One grammar reads them all: a sign, a currency, a numeral in digits or words, a fraction, magnitudes, and a unit.
//!
//! * Signs: "minus ten", "negative 10", "-10", "−10", "-$10", "ten degrees below zero" -> `-10`; in "3-1" and "5 minus
//!   3" nothing is negative.
//! * Digits: "1,500", "1'500", "1500", "1 500" with any space, "1.500.000", "1,50,000"; "2.50" -> `2.5`.
//! * Words: "fifteen hundred", "a hundred and twenty", "one billion three", "forty-five hundred thirty", "twenty
//!   nineteen", "nineteen oh five", "one point two million".
//! * Magnitudes from hundred to quintillion, with lakh, crore and dozen, in the plural and abbreviated: "$1.5 million",
//!   "£1.5m", "1.5M", "1.5 millions" -> `1500000`. "5 %" -> `5`.
//! * Fractions: "2/3", "two thirds" -> `2/3`; one with a terminating decimal becomes that: "half", "1/2", "½" -> `0.5`;
//!   mixed ones too: "2 1/2", "2½", "two and a half" -> `2.5`.
//! * Ranges and dates give each of their numbers; in "10-12 million" both are millions; "2014-15" -> `2014`, `2015`.
//! * Ordinals of any size keep a suffix ("third" and "3rd" -> `3rd`, "two-hundredth" -> `200th`), except next to a month:
//!   "May 3rd" -> `3`. "1990s" -> `1990s`. "10:30", "10 a.m." -> `10am`.
//! * "hundreds", "dozens", "several hundred", ... stay words: they are not numbers, but must still match.
//! * "one" and "first" mostly mean "a", "somebody" or "at the start": "one" counts only inside a larger number, after a
//!   sign, before a magnitude, fraction or unit ("one million", "one percent"), after "number" and a few such words, and
//!   in "one in five", "one or two", "three to one"; "first" and "1st" only next to a month. "second" counts unless it is
//!   a unit of time ("30 seconds", "a second ago").
//! * "half" counts unless it is a period ("first half"). Digits inside names (G7, F-16, Covid-19) are not numbers.
//!   Roman numerals and digits of other scripts are ignored.
//!
//! What can be read in two ways is one item with its readings: "5 m" -> `5|5000000`, "May 12 300 people" ->
//! `12300|12 300`. Texts agree if they do under some choice of readings.

use std::collections::{BTreeSet, HashMap, HashSet};

#[path = "number_digits.rs"]
mod digits;
#[path = "number_lex.rs"]
mod lex;
#[path = "number_lists.rs"]
mod lists;
#[path = "number_reader.rs"]
mod reader;
#[path = "number_spoken.rs"]
mod spoken;
#[path = "number_suffix.rs"]
mod suffix;
#[path = "number_value.rs"]
mod value;
#[path = "number_words.rs"]
mod words;

/// Choices of readings that are tried for a pair of texts; items beyond them keep their first reading.
const CHOICES: usize = 64;
/// Comparisons of two numbers up to which lists are compared item by item.
const PLAIN: usize = 1024;

/// The distinct normalised numbers in `text`, sorted as strings. An item with several readings has them in order of
/// likelihood, joined by `|`; the numbers of a reading are joined by spaces.
pub fn numbers(text: &str) -> Vec<String> {
    let mut items = BTreeSet::new();
    for found in reader::read(text) {
        let mut readings: Vec<String> = Vec::new();
        for reading in &found.readings {
            let all: BTreeSet<String> = reading.iter().map(value::Value::text).collect();
            let all = all.into_iter().collect::<Vec<_>>().join(" ");
            if !readings.contains(&all) {
                readings.push(all);
            }
        }
        if let [only] = &readings[..] {
            items.extend(only.split(' ').map(str::to_owned));
        } else {
            items.insert(readings.join("|"));
        }
    }
    items.into_iter().collect()
}

/// Whether both sides mention the same numbers in some choice of their readings.
pub fn agree(x: &[String], y: &[String]) -> bool {
    if is_plain(x, y) {
        return x.iter().all(|n| y.contains(n)) && y.iter().all(|n| x.contains(n));
    }
    any_choice(x, y, |x, y| x == y)
}

/// Whether every number in `y` occurs in `x` in some choice of their readings.
pub fn contained(y: &[String], x: &[String]) -> bool {
    if is_plain(x, y) {
        return y.iter().all(|n| x.contains(n));
    }
    any_choice(x, y, |x, y| y.is_subset(x))
}

/// Whether the lists are short and no item has several readings, as of nearly all the millions of pairs that are compared.
fn is_plain(x: &[String], y: &[String]) -> bool {
    x.len() * y.len() <= PLAIN && !x.iter().chain(y).any(|item| item.contains('|'))
}

/// Whether `holds` for the numbers of both sides under some choice of readings; an item on both sides has the same
/// reading on both.
fn any_choice(x: &[String], y: &[String], holds: impl Fn(&HashSet<&str>, &HashSet<&str>) -> bool) -> bool {
    let open: BTreeSet<&str> = x.iter().chain(y).filter(|item| item.contains('|')).map(String::as_str).collect();
    let mut total = 1;
    // Each open item with its readings and the step at which a choice moves on to its next reading; 0 for never.
    let open: HashMap<&str, (Vec<&str>, usize)> = open
        .into_iter()
        .map(|item| {
            let readings: Vec<&str> = item.split('|').collect();
            let step = if total * readings.len() <= CHOICES { total } else { 0 };
            total *= if step > 0 { readings.len() } else { 1 };
            (item, (readings, step))
        })
        .collect();
    (0..total).any(|choice| holds(&side(x, &open, choice), &side(y, &open, choice)))
}

/// The numbers of one side under a choice of readings.
fn side<'a>(items: &'a [String], open: &HashMap<&'a str, (Vec<&'a str>, usize)>, choice: usize) -> HashSet<&'a str> {
    let mut all = HashSet::with_capacity(items.len());
    for item in items {
        match open.get(item.as_str()) {
            Some((readings, 0)) => all.extend(readings[0].split(' ')),
            Some((readings, step)) => all.extend(readings[choice / step % readings.len()].split(' ')),
            None => {
                all.insert(item.as_str());
            }
        }
    }
    all
}

#[cfg(test)]
#[path = "number_cases.rs"]
mod cases;
#[cfg(test)]
#[path = "number_grammar.rs"]
mod grammar;

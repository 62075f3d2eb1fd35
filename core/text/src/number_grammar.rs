//! Tests of the number grammar: every way of writing with every magnitude, and pairs that must be told apart.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::{agree, contained, numbers};

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const LARGE: [(&str, u64); 5] = [
    ("quadrillion", 1_000_000_000_000_000),
    ("trillion", 1_000_000_000_000),
    ("billion", 1_000_000_000),
    ("million", 1_000_000),
    ("thousand", 1000),
];
/// Spaces and marks between groups of digits that leave no doubt.
const MARKS: [&str; 7] = [",", "'", "\u{2019}", "\u{a0}", "\u{202f}", "\u{2009}", "\u{2007}"];
const VALUES: [u64; 26] = [
    2,
    7,
    10,
    12,
    15,
    20,
    21,
    45,
    90,
    99,
    100,
    101,
    110,
    120,
    182,
    300,
    999,
    1082,
    2004,
    4530,
    12_000,
    16_157,
    816_000,
    1_182_000,
    2_000_019,
    1_000_000_003,
];

fn below_hundred(n: u64, hyphen: &str) -> String {
    let (tens, unit) = (TENS[(n / 10) as usize], SMALL[(n % 10) as usize]);
    match n {
        0..20 => SMALL[n as usize].to_owned(),
        _ if n.is_multiple_of(10) => tens.to_owned(),
        _ => format!("{tens}{hyphen}{unit}"),
    }
}

/// `n` in words, with what joins tens and units, and what joins hundreds and the rest.
fn words(n: u64, hyphen: &str, and: &str) -> String {
    if n < 100 {
        return below_hundred(n, hyphen);
    }
    let (mut text, mut rest) = (String::new(), n);
    for (name, unit) in LARGE {
        if rest >= unit {
            text += &format!("{} {name} ", words(rest / unit, hyphen, and));
            rest %= unit;
        }
    }
    if rest >= 100 {
        text += &format!("{} hundred ", SMALL[(rest / 100) as usize]);
        rest %= 100;
    }
    if rest > 0 {
        text += and;
        text += &below_hundred(rest, hyphen);
    }
    text.trim().to_owned()
}

fn grouped(n: u64, mark: &str) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text += mark;
        }
        text.push(c);
    }
    text
}

/// All ways of writing `n`.
fn ways(n: u64) -> Vec<String> {
    let mut ways = vec![n.to_string(), grouped(n, " ")];
    ways.extend(MARKS.iter().map(|mark| grouped(n, mark)));
    for hyphen in ["-", " "] {
        ways.extend(["", "and "].map(|and| words(n, hyphen, and)));
    }
    if n >= 1_000_000 {
        ways.push(grouped(n, "."));
    }
    ways
}

fn same(x: &str, y: &str) -> bool {
    let (x, y) = (numbers(x), numbers(y));
    assert_eq!(agree(&x, &y), agree(&y, &x), "{x:?} {y:?}");
    agree(&x, &y)
}

#[test]
fn all_ways_of_writing_a_number_agree_and_no_two_numbers_do() {
    for n in VALUES {
        for way in ways(n) {
            for frame in ["The hall seats {}.", "They paid {} dollars in all.", "{} people came", "({})"] {
                let of = |n: &str| frame.replace("{}", n);
                let (x, y) = (of(&way), of(&n.to_string()));
                assert!(same(&x, &y), "{x} {:?} | {y} {:?}", numbers(&x), numbers(&y));
                for other in VALUES.into_iter().filter(|other| *other != n) {
                    let y = of(&other.to_string());
                    assert!(!same(&x, &y), "{x} {:?} | {y}", numbers(&x));
                }
            }
        }
    }
}

#[test]
fn signs_in_every_form() {
    for n in VALUES {
        for way in ways(n) {
            let plain = format!("The low was {n} degrees.");
            let digits = way.starts_with(|c: char| c.is_ascii_digit());
            let signs: &[&str] =
                if digits { &["minus ", "negative ", "-", "\u{2212}", "\u{2013}"] } else { &["minus ", "negative "] };
            let mut low: Vec<String> = signs.iter().map(|sign| format!("The low was {sign}{way} degrees.")).collect();
            low.push(format!("The low was {way} degrees below zero."));
            for x in low {
                assert!(same(&x, &format!("The low was -{n} degrees.")), "{x} {:?}", numbers(&x));
                assert!(!same(&x, &plain), "{x} {:?}", numbers(&x));
            }
        }
    }
}

#[test]
fn every_magnitude_in_every_form() {
    // Names of a power of ten, those that are sure only for money after them, and the power.
    let magnitudes: [(&[&str], &[&str], usize); 6] = [
        (&[" hundred", " hundreds"], &[], 2),
        (&[" thousand", " thousands", "k", "K", "-thousand"], &[" k"], 3),
        (&[" lakh", " lakhs"], &[], 5),
        (&[" million", " millions", "M", "mn", " mn", "-million"], &["m", " m", " M"], 6),
        (&[" billion", " billions", "bn", " bn"], &["B", "b", " B"], 9),
        (&[" trillion", " trillions", "tn", " tn"], &["T"], 12),
    ];
    for numeral in ["2", "3.8", "1.25", "40", "7.5"] {
        for (names, money, power) in magnitudes {
            let (whole, part) = numeral.split_once('.').unwrap_or((numeral, ""));
            let full = format!("{whole}{part}{}", "0".repeat(power.saturating_sub(part.len())));
            let plain = if part.len() > power { continue } else { format!("It lent {full} dollars.") };
            for name in names.iter().chain(money) {
                for x in [
                    format!("It lent {numeral}{name} dollars."),
                    format!("It lent ${numeral}{name}."),
                    format!("It lent US${numeral}{name}."),
                    format!("It lent \u{a3}{numeral}{name} last year."),
                ] {
                    assert!(same(&x, &plain), "{x} {:?} | {plain}", numbers(&x));
                    for (others, _, _) in magnitudes.iter().filter(|m| m.2 != power) {
                        let y = format!("It lent {numeral}{} dollars.", others[0]);
                        assert!(!same(&x, &y), "{x} {:?} | {y}", numbers(&x));
                    }
                    let y = format!("It lent {numeral} dollars.");
                    assert!(!same(&x, &y), "{x} {:?} | {y}", numbers(&x));
                }
            }
        }
    }
}

#[test]
fn ordinals_of_every_size() {
    let ranks = [
        (2, "second"),
        (3, "third"),
        (9, "ninth"),
        (12, "twelfth"),
        (20, "twentieth"),
        (21, "twenty-first"),
        (42, "forty second"),
        (99, "ninety-ninth"),
        (100, "hundredth"),
        (100, "one hundredth"),
        (101, "hundred and first"),
        (112, "one hundred and twelfth"),
        (200, "two-hundredth"),
        (250, "two hundred and fiftieth"),
        (1000, "thousandth"),
        (5000, "five-thousandth"),
        (10_000, "ten thousandth"),
        (100_000, "hundred thousandth"),
        (1_000_000, "millionth"),
        (2_000_000, "two-millionth"),
        (1001, "thousand and first"),
        (2019, "two thousand and nineteenth"),
    ];
    for (n, word) in ranks {
        for (m, other) in ranks {
            let x = format!("It was her {word} match.");
            let y = format!("It was her {other} match.");
            assert_eq!(same(&x, &y), n == m, "{x} {:?} | {y} {:?}", numbers(&x), numbers(&y));
            for end in ["st", "nd", "rd", "th"] {
                let y = format!("It was her {}{end} match.", grouped(m, ","));
                assert_eq!(same(&x, &y), n == m, "{x} {:?} | {y} {:?}", numbers(&x), numbers(&y));
            }
        }
        assert!(!same(&format!("It was her {word} match."), &format!("It was her {n} match.")), "{word}");
    }
}

/// Fractions after whole numbers, alone and of a magnitude.
#[test]
fn mixed_fractions_in_every_form() {
    let parts: [(&[&str], u64); 3] = [
        (&[" and a half", "-and-a-half", " 1/2", "-1/2", "\u{bd}", " \u{bd}", ".5", " 1\u{2044}2"], 50),
        (&[" and a quarter", " 1/4", "\u{bc}", ".25", " and one quarter"], 25),
        (&[" and three quarters", " and three-quarters", " 3/4", "\u{be}", ".75"], 75),
    ];
    for (word, n) in [("two", 2_u64), ("7", 7), ("12", 12), ("twelve", 12), ("forty", 40)] {
        for (forms, cents) in parts {
            for form in forms.iter().filter(|form| form.contains("and") || word.len() < 3) {
                for (name, unit) in
                    [(" hours", 1), (" million hours", 1_000_000), (" thousand hours", 1000), (" dozen hours", 12)]
                {
                    let value = (n * 100 + cents) * unit;
                    let x = format!("It took {word}{form}{name}.");
                    let y = format!("It took {}.{:02} hours.", value / 100, value % 100);
                    assert!(same(&x, &y), "{x} {:?} | {y}", numbers(&x));
                    let y = format!("It took {} hours.", n * unit);
                    assert!(!same(&x, &y), "{x} {:?} | {y}", numbers(&x));
                }
            }
        }
    }
}

/// Texts of a line state the same numbers, and no two lines do.
const SAME: &[&[&str]] = &[
    &["a hundred and twenty seats", "120 seats", "one hundred twenty seats"],
    &["one million one hundred and eighty two thousand pounds", "1,182,000 pounds", "1.182 million pounds"],
    &["one million eighty two thousand pounds", "1,082,000 pounds", "1 million 82 thousand pounds"],
    &["forty five hundred thirty dollars", "4,530 dollars", "forty-five hundred and thirty dollars"],
    &["one billion three dollars", "1,000,000,003 dollars"],
    &["one point two million people", "1.2 million people", "1.2M people", "1,200,000 people"],
    &["sold in twenty nineteen", "sold in 2019", "sold in two thousand nineteen", "sold in two thousand and nineteen"],
    &["in nineteen oh five", "in 1905", "in nineteen-oh-five"],
    &["two and a half million pounds", "2,500,000 pounds", "2½ million pounds", "2 1/2 million pounds", "2.5m pounds"],
    &["a million and a half people", "1.5 million people", "one and a half million people"],
    &["half a million", "500,000", "half of a million", "half-million"],
    &["a quarter of a million", "250,000", "a quarter million"],
    &["three quarters of a million", "750,000", "three-quarters of a million"],
    &["two thirds of it", "2/3 of it", "\u{2154} of it"],
    &["point five percent", "0.5 percent", ".5 %", "half a percent"],
    &["three point one four one six", "3.1416"],
    &["one and a half hours", "an hour and a half", "1.5 hours", "one hour and a half"],
    &["four hours and a half", "4.5 hours", "four and a half hours"],
    &["won 3-1", "won 3 to 1", "won three to one", "won three-one", "won 3\u{2013}1"],
    &["won 3-0", "won three-nil", "won 3 to nil", "won three to zero"],
    &["$6-11m", "$6m-$11m", "6 to 11 million dollars", "between six and eleven million dollars"],
    &["two to three million", "2-3 million", "2 to 3 million", "between two and three million", "$2m-$3m"],
    &["three or four hundred", "300 or 400", "three hundred or four hundred"],
    &["between one hundred and two hundred", "100-200", "100 to 200"],
    &["between one thousand and two thousand", "1,000-2,000"],
    &["two hundred to three hundred thousand", "200,000-300,000"],
    &["-$5 billion", "minus 5 billion dollars", "-US$5bn", "\u{2212}$5,000 million"],
    &["several hundred", "hundreds", "a few hundred"],
    &["several dozen", "dozens"],
    &["two dozen", "24", "twenty-four"],
    &["3 million 200 thousand", "3,200,000", "3.2 million"],
    &["2 lakh crore rupees", "2 trillion rupees"],
    &["Rs 5 crore", "50 million rupees", "Rs 5,00,00,000"],
    &["the nineties", "the 90s", "the '90s"],
    &["the nineteen-eighties", "the 1980s", "the 1980's"],
    &["one of 12 came", "1 of 12 came", "one of the twelve came"],
    &["plus or minus 15 points", "15 points, give or take"],
    &["five and a half", "5 1/2", "5 1 / 2", "5.5"],
    &["at half past ten", "at 10:30", "at half past 10"],
    &["seven a.m.", "7 a.m.", "7:00 am", "7am"],
    &["one thousand one nights", "1,001 nights", "a thousand and one nights"],
    &["1.816.157 euros", "1,816,157 euros"],
    &["1.234,56 euros", "1,234.56 euros", "1\u{202f}234,56 euros", "1'234.56 euros"],
    &["three hundredths", "0.03", "3/100"],
    &["the 2014-15 season", "the 2014/15 season"],
    &["5 minus 3", "five minus three", "3 and 5"],
];

#[test]
fn lines_agree_within_and_not_between() {
    for (i, line) in SAME.iter().enumerate() {
        for x in *line {
            for (j, other) in SAME.iter().enumerate() {
                for y in *other {
                    assert_eq!(same(x, y), i == j, "{x} {:?} | {y} {:?}", numbers(x), numbers(y));
                }
            }
        }
    }
}

/// Texts that can be read in two ways agree with both, and the two do not agree with each other.
#[test]
fn what_is_open_agrees_with_each_reading() {
    for (open, readings) in [
        ("It is 5 m from here.", ["It is 5 metres from here.", "It is 5 million from here."]),
        ("It has 1.5m fans.", ["It has 1.5 million fans.", "It has 1.5 fans."]),
        ("On May 12 300 came.", ["On May 12, 300 came.", "On May 12,300 came."]),
        ("It sold 16.157 boxes.", ["It sold 16,157 boxes.", "It sold 16.1570 boxes."]),
        ("It hired one thousand two years ago.", ["It hired 1,000 people 2 years ago.", "It hired 1,002 ago."]),
        ("A thirty second clip.", ["The 32nd clip.", "A clip of 30 seconds."]),
        ("It has 6-11m fans.", ["It has 6 to 11 million fans.", "It has 6-11 fans."]),
        ("Seven m, or 7 m.", ["It is 7 metres.", "It is 7 or 7,000,000."]),
    ] {
        for reading in readings {
            assert!(same(open, reading), "{open} {:?} | {reading} {:?}", numbers(open), numbers(reading));
            let (x, y) = (numbers(open), numbers(reading));
            assert!(contained(&x, &y) && contained(&y, &x));
        }
        assert!(same(open, open) && !same(readings[0], readings[1]), "{open}");
    }
}

#[test]
fn what_differs_is_told_apart() {
    for (x, y) in [
        ("The town has 816 000 voters.", "The town has 816 voters."),
        ("The town has 816\u{a0}000 voters.", "The town has 816 voters."),
        ("It lent 3.6 billions.", "It lent 3.6 millions."),
        ("It was minus ten.", "It was 10."),
        ("It was \u{2212}10.", "It was 10."),
        ("Her hundredth match.", "Her thousandth match."),
        ("The hundredth guest.", "The 90th guest."),
        ("It rose 1.250 percent.", "It rose 1,250 percent."),
        ("It has 2.5 rooms and 1.250 acres.", "It has 2.5 rooms and 1,250 acres."),
        ("A wall 5 m high.", "A wall 5 million high."),
        ("Call 555 123 4567.", "Call 555,123 and 4567."),
        ("It has 1.5M users.", "It has 1.5 users."),
        ("He tested negative 3 times.", "He tested -3 times."),
        ("Fifteen twenty-dollar notes.", "1520 notes."),
        ("several hundred", "100"),
        ("It hired one thousand two years ago.", "It hired 1,000."),
        ("5 m and 6 m", "5 and 7 m"),
        ("It has 6-11m fans.", "It has 6 to 11,000,000 fans."),
    ] {
        assert!(!same(x, y), "{x} {:?} | {y} {:?}", numbers(x), numbers(y));
    }
}

/// A small generator, so that the test needs no crate.
fn noise(seed: &mut u64) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) as usize
}

#[test]
fn any_characters_are_read() {
    let mut seed = 17;
    let pieces = [
        "1",
        "999",
        "000",
        " ",
        ",",
        ".",
        "'",
        "\u{2019}",
        "\u{a0}",
        "\u{202f}",
        "\u{2009}",
        "\u{2212}",
        "-",
        "½",
        "/",
        "$",
        "us",
        "m",
        "M",
        "k",
        "bn",
        " one ",
        " point ",
        " and ",
        "thousand",
        "hundredth",
        " oh ",
        "half",
        "\u{2044}",
        "s",
        "th",
        "٣",
        "Ⅷ",
        "️",
    ];
    for round in 0..20_000 {
        let mut text = String::new();
        for _ in 0..noise(&mut seed) % 24 {
            match char::from_u32(noise(&mut seed) as u32 % 0x11_0000).filter(|_| round % 4 == 0) {
                Some(c) => text.push(c),
                None => text.push_str(pieces[noise(&mut seed) % pieces.len()]),
            }
        }
        let found = numbers(&text);
        assert!(found.is_sorted() && found.iter().all(|n| !n.is_empty()), "{text:?} {found:?}");
        assert!(agree(&found, &found) && contained(&found, &found) && contained(&[], &found), "{text:?} {found:?}");
    }
}

/// Quadratic or exponential behaviour on any of these would take minutes.
#[test]
fn hostile_texts_take_linear_time() {
    for part in [
        "1 234 ",
        "1.234 ",
        "12 345 m ",
        "1 234",
        "1'234",
        "1.234",
        "1,234,",
        "9",
        "one thousand two ",
        "one ",
        "one or ",
        "minus ",
        "million ",
        "two million and a half ",
        "3 million 200 thousand ",
        "5 m ",
        "point one ",
        "between one and ",
        "hundred and ",
        "thousand, ",
        "two-",
        "½",
        "1/2 ",
        "-$",
        "negative ",
        "trillion trillion ",
        "a few hundred ",
        "nineteen ",
        "second ",
        "one hundred and two hundred and ",
        "2 1/2 dozen ",
    ] {
        let text = part.repeat(200_000 / part.len());
        let found = numbers(&text);
        assert!(agree(&found, &found), "{part}");
    }
    // Every item is different, and every one can be read in two ways.
    let many: String = (100..3000).map(|n| format!("{n} m, ")).collect();
    let found = numbers(&many);
    assert!(found.len() > 2000 && agree(&found, &found) && !agree(&found, &numbers("5 m")));
}

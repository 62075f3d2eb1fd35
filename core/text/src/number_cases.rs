//! Tests of the number reader.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

/// A text and the numbers expected in it.
const CASES: &[(&str, &str)] = &[
    ("no number here", ""),
    ("He sold 1,500 cars and 1500 vans.", "1500"),
    ("1,50,000 rupees, 2004,150 and 1,2", "1 150 150000 2 2004"),
    ("It cost $2.50 or 2.5 dollars.", "2.5"),
    ("It is 3.0 now, 007 then.", "3 7"),
    ("It rose .5 percent, 0.50 %.", "0.5"),
    ("$1.5 million, 1.5m, 1,500,000 and £1.5m", "1.5|1500000 1500000"),
    ("$1.13bn and $ 2.5 billion", "1130000000 2500000000"),
    ("a $5-million house, 5 million people", "5000000"),
    ("10k and 10K and 10km", "10 10000"),
    ("fifteen hundred", "1500"),
    ("a hundred and fifty, one hundred fifty, 150", "150"),
    ("two thousand and four, 2004", "2004"),
    ("three million two hundred thousand and one", "3200001"),
    ("twenty-five, twenty five, 25", "25"),
    ("nineteen ninety-nine and nineteen eighty-four", "1984 1999"),
    ("twenty twelve", "2012"),
    ("two three four", "2 3 4"),
    ("two and a half million, 2.5 million, two-and-a-half", "2.5 2500000"),
    ("4 1/2, 4½ and four and a half", "4.5"),
    ("half a million, half of it, 1/2, ½", "0.5 500000"),
    ("the first half, half-time, the second half", "2nd"),
    ("two thirds, two-thirds, 2/3, 4/6", "2/3"),
    ("a third of them, one third, one-third", "1/3"),
    ("three quarters, three-quarters, 3/4, 0.75", "0.75"),
    ("a quarter of it; the third quarter", "0.25 3rd"),
    ("a dozen eggs, 12 eggs, half a dozen, two dozen, dozens", "12 24 6 dozens"),
    ("hundreds of thousands of people", "hundreds thousands"),
    ("the third man, the 3rd man, a third man", "3rd"),
    ("the 21st and the twenty-first century", "21st"),
    ("the 11th, 12th and 22nd", "11th 12th 22nd"),
    ("May 3rd, the third of May, 3 May, May 3", "3"),
    ("the first time, 1st place, May 1st", "1"),
    ("no one, one of the men, the only one, one another, one day", ""),
    ("one million, one percent, one-third, number one", "1 1/3 1000000"),
    ("one in five, one or two, one out of 10", "1 10 2 5"),
    ("one hundred and one", "101"),
    ("one and a half miles", "1.5"),
    ("two point five", "2.5"),
    ("wait a second, 30 seconds, a 30 second clip", "30"),
    ("a second goal, the second goal", "2nd"),
    ("at 10:30, 10.30 pm and 10:00 a.m., 9 am", "10:30 10:30pm 10am 9am"),
    ("in the 1990s, mid-1990s, the 90s and 1990", "1990 1990s 90s|1990s"),
    ("the 2014-15 season", "2014 2015"),
    ("2004-05-12 and 12/05/2004", "12 2004 5"),
    ("10-12 people, 10\u{2013}12", "10 12"),
    ("10-12 million and $10 to $12 million", "10000000 12000000"),
    ("from 900 to 1 million", "1000000 900"),
    ("the 9/11 attacks, 24/7", "24 7 9/11"),
    ("-5 degrees, minus (-6), 7-8", "-5 -6 7 8"),
    ("G7, F-16, MP3, Covid-19, B-52s", ""),
    ("a 20-year-old, the Commodore 64", "20 64"),
    ("version 1.2.3", "1.2.3"),
    ("World War II, Henry VIII", ""),
    ("Second World War", "2nd"),
    ("$1.5", "1.5"),
    ("zero, nil", "0"),
    ("USD500 and \u{20ac}500", "500"),
    ("million million million", "1000000000000000000"),
    ("5.", "5"),
    ("\u{661}\u{662} 😀 ５", ""),
];

#[test]
fn table() {
    assert!(CASES.len() >= 40);
    let mut wrong = Vec::new();
    for (text, expected) in CASES {
        let found = numbers(text).join(" ");
        if found != *expected {
            wrong.push(format!("{text}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn agreement_is_both_ways_and_containment_one_way() {
    let n = |s: &str| numbers(s);
    assert!(agree(&n("He paid $1.5 million."), &n("It cost him 1,500,000 dollars.")));
    assert!(!agree(&n("since 2012"), &n("since 2013")));
    assert!(!agree(&n("in 2012"), &n("then")));
    assert!(contained(&n("in 2012"), &n("3 in 2012")));
    assert!(!contained(&n("3 in 2012"), &n("in 2012")));
    assert!(agree(&[], &[]));
}

#[test]
fn any_text_is_read_and_long_ones_quickly() {
    let parts = [
        "1",
        "2,",
        "3.",
        ":",
        "30",
        "/",
        "-",
        " ",
        " one ",
        " hundred ",
        "million",
        "and",
        " a ",
        "half",
        "th",
        "s",
        "$",
        "½",
        "é",
        "😀",
        "a.m.",
        "third",
        "twenty",
        "m",
        "point",
        "dozen",
        "\u{2212}",
        "99999999999999999999",
        "trillion ",
    ];
    let mut seed = 3u64;
    for _ in 0..5000 {
        let mut text = String::new();
        for _ in 0..seed % 17 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(parts[(seed >> 33) as usize % parts.len()]);
        }
        seed = seed.wrapping_add(1);
        let found = numbers(&text);
        assert!(found.is_sorted() && found.iter().all(|n| !n.is_empty()), "{text:?}");
    }
    for part in [
        "1",
        "1,23",
        "1,234",
        "1.",
        "one ",
        "hundred ",
        "one hundred and ",
        "1-",
        "-1",
        "½",
        "1/",
        "a ",
        "and ",
        "million ",
        "10:30",
    ] {
        let text = part.repeat(100_000 / part.len());
        let _ = numbers(&text);
    }
}

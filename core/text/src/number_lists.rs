//! Words of the number rules.

/// The value of zero to nineteen or of a multiple of ten, and whether the word is the ordinal.
pub(super) fn small(word: &str) -> Option<(u64, bool)> {
    const CARDINAL: &str = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen \
        eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety";
    const ORDINAL: &str = "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth \
        fifteenth sixteenth seventeenth eighteenth nineteenth twentieth thirtieth fortieth fiftieth sixtieth seventieth eightieth ninetieth";
    if !(3..=11).contains(&word.len()) {
        return None;
    }
    let word = if word == "fourty" { "forty" } else { word };
    let place = |list: &str| list.split(' ').filter(|w| !w.is_empty()).position(|w| w == word);
    let (i, rank) = place(CARDINAL).map(|i| (i, false)).or_else(|| place(ORDINAL).map(|i| (i, true)))?;
    let i = u64::try_from(i).ok()?;
    Some((if i < 20 { i } else { (i - 18) * 10 }, rank))
}

/// Digits that are said one by one, after "point" or in "nineteen oh five".
pub(super) fn spoken_digit(word: &str) -> Option<u64> {
    if matches!(word, "oh" | "o" | "nought" | "naught" | "aught" | "nil") {
        return Some(0);
    }
    small(word).filter(|&(value, rank)| value < 10 && !rank).map(|(value, _)| value)
}

/// Magnitudes that are words, with their powers of ten.
const MAGNITUDES: &[(&str, usize)] = &[
    ("hundred", 2),
    ("thousand", 3),
    ("lakh", 5),
    ("lac", 5),
    ("million", 6),
    ("crore", 7),
    ("billion", 9),
    ("milliard", 9),
    ("trillion", 12),
    ("quadrillion", 15),
    ("quintillion", 18),
];

/// The power of ten of a magnitude, also in the plural.
pub(super) fn magnitude(word: &str) -> Option<usize> {
    let word = word.strip_suffix('s').unwrap_or(word);
    MAGNITUDES.iter().find(|(name, _)| *name == word).map(|(_, power)| *power)
}

/// The power of ten of "hundredth", "thousandth", and so on.
pub(super) fn magnitude_rank(word: &str) -> Option<usize> {
    word.strip_suffix("th").filter(|word| !word.ends_with('s')).and_then(magnitude)
}

/// Plural magnitudes that stand for no number by themselves.
pub(super) fn is_vague(word: &str) -> bool {
    matches!(word, "dozens" | "tens") || (word.ends_with('s') && magnitude(word).is_some())
}

/// Words before a magnitude that leave the number open: "several hundred".
pub(super) fn leaves_open(word: &str) -> bool {
    matches!(word, "several" | "few" | "many" | "couple" | "countless" | "multiple")
}

/// The denominator that a word names: "third", "quarters", "hundredths".
pub(super) fn denominator(word: &str) -> Option<u64> {
    let single = word.strip_suffix('s').unwrap_or(word);
    match single {
        "half" | "halve" => return Some(2),
        "quarter" => return Some(4),
        "second" | "first" | "zeroth" => return None,
        _ => {}
    }
    if let Some((value, true)) = small(single) {
        return Some(value);
    }
    let power = magnitude_rank(single).and_then(|power| u32::try_from(power).ok())?;
    10_u64.checked_pow(power)
}

/// Fractions that are one character: numerator and denominator.
pub(super) fn vulgar(mark: &str) -> Option<(u64, u64)> {
    const MARKS: [(&str, u64, u64); 19] = [
        ("½", 1, 2),
        ("¼", 1, 4),
        ("¾", 3, 4),
        ("⅓", 1, 3),
        ("⅔", 2, 3),
        ("⅕", 1, 5),
        ("⅖", 2, 5),
        ("⅗", 3, 5),
        ("⅘", 4, 5),
        ("⅙", 1, 6),
        ("⅚", 5, 6),
        ("⅐", 1, 7),
        ("⅛", 1, 8),
        ("⅜", 3, 8),
        ("⅝", 5, 8),
        ("⅞", 7, 8),
        ("⅑", 1, 9),
        ("⅒", 1, 10),
        ("↉", 0, 3),
    ];
    MARKS.iter().find(|(name, _, _)| *name == mark).map(|&(_, n, d)| (n, d))
}

/// The decade "the nineties".
pub(super) fn decade(word: &str) -> Option<&'static str> {
    const WORDS: [(&str, &str); 8] = [
        ("twenties", "20"),
        ("thirties", "30"),
        ("forties", "40"),
        ("fifties", "50"),
        ("sixties", "60"),
        ("seventies", "70"),
        ("eighties", "80"),
        ("nineties", "90"),
    ];
    WORDS.iter().find(|(name, _)| *name == word).map(|(_, years)| *years)
}

pub(super) fn is_dash(text: &str) -> bool {
    matches!(text, "-" | "–" | "—" | "‑" | "−")
}

/// Marks that are a sign before a digit.
pub(super) fn is_minus(text: &str) -> bool {
    matches!(text, "-" | "−" | "–" | "‑")
}

/// What stands before an amount of money.
pub(super) fn is_currency(text: &str) -> bool {
    matches!(text, "$" | "£" | "€" | "¥" | "₹" | "usd" | "eur" | "gbp" | "chf" | "jpy" | "inr" | "rs" | "aud" | "cad")
}

/// What stands behind an amount of money.
pub(super) fn is_money(word: &str) -> bool {
    let single = word.strip_suffix('s').unwrap_or(word);
    is_currency(word)
        || matches!(
            single,
            "dollar" | "euro" | "pound" | "yen" | "rupee" | "yuan" | "franc" | "peso" | "rouble" | "ruble"
        )
}

/// Words that show that "m" before them means metres.
pub(super) fn measures(word: &str) -> bool {
    matches!(
        word,
        "tall"
            | "high"
            | "long"
            | "wide"
            | "deep"
            | "away"
            | "apart"
            | "sprint"
            | "freestyle"
            | "hurdles"
            | "race"
            | "relay"
    )
}

/// Things of which "one" is a number.
pub(super) fn is_unit(word: &str) -> bool {
    const UNITS: &str = "percent pct percentage % cent dollar euro pound dozen mn bn mile kilometer kilometre km metre \
        meter foot inch ton tonne kilo kg degree";
    UNITS.split_ascii_whitespace().any(|unit| unit == word)
}

/// Periods and measures of which there may be "one and a half": "an hour and a half".
pub(super) fn is_measure(word: &str) -> bool {
    const MEASURES: &str = "hour minute second day week month year decade century mile kilometer kilometre km metre meter \
        foot feet inch ton tonne kilo kg pound dollar euro point cup";
    let single = word.strip_suffix('s').unwrap_or(word);
    MEASURES.split_ascii_whitespace().any(|unit| unit == word || unit == single) || single == "centurie"
}

pub(super) fn is_month(word: &str) -> bool {
    const MONTHS: &str = "january february march april may june july august september october november december jan feb \
        mar apr jun jul aug sep sept oct nov dec";
    MONTHS.split_ascii_whitespace().any(|month| month == word)
}

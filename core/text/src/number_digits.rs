//! Digit strings as written: groups, decimals, times and versions.

/// Groups that are read as one number.
const MAX_GROUPS: usize = 12;

/// A digit string.
#[derive(Default)]
pub(super) struct Written {
    /// Bytes that it takes.
    pub(super) len: usize,
    /// Its digits without group marks, with a decimal point; "10:30" and "1.2.3" as they are.
    pub(super) text: String,
    /// What else it can be: the numbers that it consists of.
    pub(super) other: Vec<String>,
    /// Whether it shows that a point precedes decimals in this text.
    pub(super) english: bool,
}

/// The digit string at the start of `text`, which begins with a digit, or with a point and a digit.
pub(super) fn read(text: &str) -> Written {
    let b = text.as_bytes();
    let first = run(b, 0);
    if (1..=2).contains(&first) && b.get(first) == Some(&b':') && run(b, first + 1) == 2 {
        let seconds = b.get(first + 3) == Some(&b':') && run(b, first + 4) == 2;
        let len = if seconds { first + 6 } else { first + 3 };
        return Written { len, text: text[..len].to_owned(), ..Written::default() };
    }
    grouped(text, first).unwrap_or_else(|| plain(text, first))
}

fn run(b: &[u8], from: usize) -> usize {
    b.get(from..).unwrap_or_default().iter().take_while(|c| c.is_ascii_digit()).count()
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// `1500`, `1500.25`, `1.2.3`.
fn plain(text: &str, first: usize) -> Written {
    let b = text.as_bytes();
    let mut len = first;
    while b.get(len) == Some(&b'.') && run(b, len + 1) > 0 {
        len += 1 + run(b, len + 1);
    }
    let points = text[..len].matches('.').count();
    let english = points == 1 && len - first - 1 != 3;
    Written { len, text: text[..len].to_owned(), other: Vec::new(), english }
}

/// Digits in groups of three, or of two before the last as in India; `None` if they are not.
fn grouped(text: &str, first: usize) -> Option<Written> {
    if !(1..=3).contains(&first) || text.starts_with('0') {
        return None;
    }
    let mark = text[first..].chars().next()?;
    match mark {
        ',' => commas(text, first),
        '.' => points(text, first),
        ' ' => spaces(text, first),
        '\'' | '’' | '\u{a0}' | '\u{202f}' | '\u{2007}' | '\u{2009}' => {
            let (end, _) = threes(text, first, mark)?;
            Some(decimals(text, end, true))
        }
        _ => None,
    }
}

/// The end of the groups of exactly three digits that follow, and how many there are; `None` if there are none, or if
/// they go on as groups do not.
fn threes(text: &str, first: usize, mark: char) -> Option<(usize, usize)> {
    let b = text.as_bytes();
    let (mut end, mut count) = (first, 0);
    while text[end..].starts_with(mark) && run(b, end + mark.len_utf8()) > 0 {
        if run(b, end + mark.len_utf8()) != 3 || count == MAX_GROUPS {
            return None;
        }
        (end, count) = (end + mark.len_utf8() + 3, count + 1);
    }
    (count > 0).then_some((end, count))
}

/// Grouped digits up to `end`, and the decimals that follow: after a point, or after a comma if that groups nothing.
fn decimals(text: &str, end: usize, comma: bool) -> Written {
    let b = text.as_bytes();
    let part = run(b, end + 1);
    let point = b.get(end) == Some(&b'.') && part > 0;
    let european = comma && b.get(end) == Some(&b',') && (1..=2).contains(&part);
    let mut written = Written { len: end, text: digits(&text[..end]), ..Written::default() };
    if point || european {
        written.len = end + 1 + part;
        written.text = format!("{}.{}", written.text, &text[end + 1..written.len]);
    }
    written.english = point;
    written
}

fn commas(text: &str, first: usize) -> Option<Written> {
    let b = text.as_bytes();
    let (mut len, mut end) = (first, first);
    for _ in 0..MAX_GROUPS {
        let group = run(b, end + 1);
        if b.get(end) != Some(&b',') || !matches!(group, 2 | 3) {
            break;
        }
        end += 1 + group;
        if group == 3 {
            len = end;
        }
    }
    (len > first).then(|| Written { english: true, ..decimals(text, len, false) })
}

/// "1.500.000" is grouped; "1.500" may be.
fn points(text: &str, first: usize) -> Option<Written> {
    let (end, count) = threes(text, first, '.')?;
    let mut written = decimals(text, end, true);
    if count == 1 && written.len == end {
        written.other = vec![written.text];
        written.text = text[..end].to_owned();
    }
    Some(written)
}

/// "816 000" is one number, "12 300" may be two.
fn spaces(text: &str, first: usize) -> Option<Written> {
    let b = text.as_bytes();
    let (end, count) = threes(text, first, ' ')?;
    // "12 300,000 people", "12 300:".
    let goes_on = matches!(b.get(end), Some(b',' | b':' | b'\'')) && run(b, end + 1) > 0;
    if goes_on && !(b[end] == b',' && run(b, end + 1) < 3) {
        return None;
    }
    let mut written = decimals(text, end, true);
    if count == 1 && b[first + 1] != b'0' {
        written.other = vec![text[..first].to_owned(), text[first + 1..written.len].replace(',', ".")];
    }
    Some(written)
}

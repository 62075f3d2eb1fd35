//! Sentences: where one ends, whether it can serve as a sample, and whether a run of them is a sane left context.

#[path = "sentence_context.rs"]
mod context;
pub use context::degenerate;

/// Bytes after which an unclosed bracket no longer prevents a sentence from ending.
const BRACKET_REACH: usize = 300;

/// The sentences of a complete text: trimmed, in order, together covering every non-space character. A newline always
/// separates; the last piece may lack a terminator.
pub fn split(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let end = match scan(text, at, true) {
            Stop::Terminator(end) | Stop::Newline(end) => end,
            Stop::Text | Stop::Unknown => text.len(),
        };
        // A newline at the start of the piece must still be consumed.
        let end = if end == at { at + char_at(text, at).map_or(1, char::len_utf8) } else { end };
        let piece = text[at..end].trim();
        if !piece.is_empty() {
            pieces.push(piece);
        }
        at = end;
    }
    pieces
}

/// The first complete sentence of a text that may still grow, trimmed; `None` if it is not complete yet, or a newline
/// comes first.
///
/// With `at_end` false a sentence is returned only when no continuation can change it: whitespace and then a start that
/// is not lowercase must follow (so "U.S", "3." and "Mr." wait for more), and every longer text gives the same
/// sentence. With `at_end` true the end of the text counts as the end of a sentence. Takes one linear pass. Check the
/// result with [`usable`].
pub fn first_sentence(text: &str, at_end: bool) -> Option<&str> {
    let start = text.len() - text.trim_start().len();
    match scan(text, start, at_end) {
        Stop::Terminator(end) => Some(text[start..end].trim()),
        Stop::Newline(_) | Stop::Text | Stop::Unknown => None,
    }
}

/// Whether `s` can serve as a sample: it has at least 3 characters, a letter, no newline, and ends in `.`, `?` or `!`
/// (closing quotes and brackets may follow) that is not the dot of a title such as "Mr.".
pub fn usable(s: &str) -> bool {
    let s = s.trim();
    if s.chars().count() < 3 || s.contains(['\n', '\r']) || !s.chars().any(char::is_alphabetic) {
        return false;
    }
    let body = s.trim_end_matches(|c: char| is_closer(c) || c.is_whitespace());
    if !body.ends_with(['.', '?', '!', '。', '？', '！']) {
        return false;
    }
    match body.strip_suffix('.') {
        Some(rest) => kind(last_word(rest)) != Kind::Never,
        None => true,
    }
}

enum Stop {
    /// A sentence ends here (byte offset past its closing quotes).
    Terminator(usize),
    /// A newline at this byte offset.
    Newline(usize),
    /// The text ended without a terminator.
    Text,
    /// More text is needed to decide.
    Unknown,
}

enum Step {
    End(usize),
    Go(usize),
    Wait,
}

/// Quotes and brackets that are open so far.
#[derive(Default)]
struct Open {
    quote: bool,
    brackets: usize,
    since: usize,
    wordy: bool,
}

impl Open {
    fn see(&mut self, c: char, at: usize, next: Option<char>) {
        match c {
            '"' => self.quote = !self.quote,
            '“' => self.quote = true,
            '”' => self.quote = false,
            // ":( " is not a bracket.
            '(' | '[' if next.is_some_and(|n| !n.is_whitespace()) => {
                if self.brackets == 0 {
                    self.since = at;
                }
                self.brackets += 1;
            }
            ')' | ']' => self.brackets = self.brackets.saturating_sub(1),
            _ => self.wordy |= c.is_alphanumeric(),
        }
    }
}

fn scan(text: &str, start: usize, at_end: bool) -> Stop {
    let mut open = Open::default();
    let mut at = start;
    while let Some(c) = char_at(text, at) {
        let mut after = at + c.len_utf8();
        if c == '\n' || c == '\r' {
            return Stop::Newline(at);
        }
        let mut end = None;
        if is_terminator(c) && open.wordy {
            match judge(text, start, at, open.quote, at_end) {
                Step::Wait => return Stop::Unknown,
                Step::Go(to) => after = to,
                Step::End(to) => {
                    after = to;
                    end = Some(to);
                }
            }
        }
        for (i, c) in text[at..after].char_indices() {
            open.see(c, at + i, char_at(text, at + i + c.len_utf8()));
        }
        if let Some(end) = end
            && (open.brackets == 0 || end - open.since > BRACKET_REACH || end == text.len())
        {
            return Stop::Terminator(end);
        }
        at = after;
    }
    Stop::Text
}

/// Whether the terminator at `dot` ends the sentence that began at `start`.
fn judge(text: &str, start: usize, dot: usize, quote: bool, at_end: bool) -> Step {
    let Some((end, dots, wide)) = terminator_run(text, dot, quote, at_end) else { return Step::Wait };
    let Some(next) = char_at(text, end) else { return if at_end { Step::End(end) } else { Step::Wait } };
    if !next.is_whitespace() {
        return if wide { Step::End(end) } else { Step::Go(end) };
    }
    let (begin, at) = match begin_after(text, end, at_end) {
        Some(_) if wide => return Step::End(end),
        Some((Begin::Lower, _)) => return Step::Go(end),
        Some(found) => found,
        None => return Step::Wait,
    };
    let word = last_word(&text[start..dot]);
    let exclaimed = dots != 1 || !text[dot..].starts_with('.');
    if begin == Begin::Break || (exclaimed && word != "Yahoo") {
        return Step::End(end);
    }
    let marker =
        word.len() <= 3 && dot - start <= 16 && (word.chars().all(|c| c.is_ascii_digit()) || word.chars().count() == 1);
    if marker && text[start..dot].trim_matches(|c: char| !c.is_alphanumeric()) == word {
        return Step::Go(end);
    }
    let ends = match (if exclaimed { Kind::Soft } else { kind(word) }, begin) {
        (Kind::Plain, _) | (Kind::Soft | Kind::Hour, Begin::Other) => true,
        (Kind::Numbered, begin) => begin == Begin::Upper,
        (Kind::Short, begin) => begin != Begin::Digit,
        (Kind::Never, _) | (Kind::Soft | Kind::Hour, _) if begin != Begin::Upper => false,
        (Kind::Never, _) => false,
        (soft, _) => match following_word(text, at, at_end) {
            Some(next) if soft == Kind::Hour => !next.is_empty() && !is_clock_word(next),
            Some(next) => is_starter(next),
            None => return Step::Wait,
        },
    };
    if ends { Step::End(end) } else { Step::Go(end) }
}

/// The run of terminators and closing marks from `dot` on: its end, the number of terminators, and whether one is
/// full-width. `None` if more text could extend it.
fn terminator_run(text: &str, dot: usize, mut quote: bool, at_end: bool) -> Option<(usize, usize, bool)> {
    let (mut end, mut dots, mut wide) = (dot, 0, false);
    while let Some(c) = char_at(text, end) {
        let after = end + c.len_utf8();
        if is_terminator(c) {
            dots += 1;
            wide |= matches!(c, '。' | '？' | '！');
            end = after;
        } else if is_closer(c) {
            quote &= c != '"';
            end = after;
        } else if c.is_whitespace() && c != '\n' && c != '\r' {
            // Tokenised text: `left . " Then`, `. . .`, `left . ) Then`.
            let next = text[end..].trim_start_matches(|c: char| c.is_whitespace() && c != '\n' && c != '\r');
            let at = text.len() - next.len();
            let mut chars = next.chars();
            let (first, second) = (chars.next(), chars.next());
            let loose = second.is_none_or(|c| !c.is_alphanumeric());
            let undecided = second.is_none() && !at_end;
            match first {
                Some(c) if is_terminator(c) && undecided => return None,
                Some(c) if is_terminator(c) && loose => end = at,
                Some(')' | ']' | '}' | '”' | '»') => end = at,
                Some('"') if quote && undecided => return None,
                Some('"') if quote && second.is_none_or(char::is_whitespace) => {
                    quote = false;
                    end = at + 1;
                }
                Some('\'') if undecided => return None,
                Some('\'') if second == Some('\'') => end = at + 2,
                _ => break,
            }
        } else {
            break;
        }
    }
    Some((end, dots, wide))
}

#[derive(PartialEq, Clone, Copy)]
enum Begin {
    Upper,
    Lower,
    Digit,
    /// A script without case, a currency sign, or a terminator.
    Other,
    /// A newline or the end of the text.
    Break,
}

/// How the text after a terminator continues, and at which byte. `None` if that cannot be decided yet.
fn begin_after(text: &str, end: usize, at_end: bool) -> Option<(Begin, usize)> {
    for (i, c) in text[end..].char_indices() {
        let at = end + i;
        let second = char_at(text, at + c.len_utf8());
        let begin = match c {
            '\n' | '\r' => Begin::Break,
            _ if c.is_whitespace() => continue,
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => Begin::Digit,
            _ if c.is_numeric() => Begin::Digit,
            _ if c.is_uppercase() => Begin::Upper,
            _ if c.is_lowercase() => match second {
                None if !at_end => return None,
                // iPhone, eBay
                Some(s) if s.is_uppercase() => Begin::Upper,
                _ => Begin::Lower,
            },
            '.' if second.is_none() && !at_end => return None,
            '$' | '£' | '€' | '¥' | '#' | '@' => Begin::Other,
            _ if c.is_alphabetic() || is_terminator(c) => Begin::Other,
            // Emoji and other marks: what follows them decides.
            _ => continue,
        };
        return Some((begin, at));
    }
    at_end.then_some((Begin::Break, text.len()))
}

/// The word at `at`; "" if it is an initial or goes on with a hyphen, digit or other mark. `None` if it may still grow.
fn following_word(text: &str, at: usize, at_end: bool) -> Option<&str> {
    let rest = &text[at..];
    let word = &rest[..rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len())];
    match rest[word.len()..].chars().next() {
        None if !at_end && word.len() < 16 => None,
        None => Some(word),
        Some(c) if c.is_whitespace() || matches!(c, ',' | '\'' | '’' | '"') => Some(word),
        Some('.') if word.len() > 1 => Some(word),
        Some(_) => Some(""),
    }
}

#[derive(PartialEq, Clone, Copy)]
enum Kind {
    Plain,
    /// Titles and the like: the dot never ends a sentence.
    Never,
    /// An abbreviation only before a number: "No. 5".
    Numbered,
    /// Ends a sentence only if a typical first word follows.
    Soft,
    /// a.m., p.m.: ends a sentence unless a day, month or time zone follows.
    Hour,
    /// One or two digits: does not end a sentence before another digit ("3. 5").
    Short,
}

#[rustfmt::skip]
fn kind(word: &str) -> Kind {
    match word {
        "Mr" | "Mrs" | "Ms" | "Mx" | "Messrs" | "Mme" | "Mlle" | "Dr" | "Drs" | "Prof" | "Profs" | "Gen" | "Sen" | "Sens" | "Rep" | "Reps"
        | "Gov" | "Lt" | "Col" | "Sgt" | "Capt" | "Cmdr" | "Cpl" | "Pvt" | "Maj" | "Brig" | "Adm" | "Rev" | "Hon" | "Pres" | "Fr" | "Amb"
        | "Supt" | "Insp" | "Det" | "Atty" | "vs" | "Vs" | "e.g" | "E.g" | "i.e" | "I.e" | "cf" | "Cf" | "viz" | "approx" | "ca" => Kind::Never,
        "No" | "Nos" | "Fig" | "Figs" | "Eq" | "Eqs" | "Vol" | "vol" | "Sec" | "Ch" | "pp" | "Art" | "Ref" | "Op" | "chap" | "ft" | "lbs" | "oz" => Kind::Numbered,
        "Inc" | "Corp" | "Co" | "Cos" | "Ltd" | "Jr" | "Sr" | "Bros" | "Assn" | "Dept" | "Univ" | "Intl" | "etc" | "al" | "Est" | "est"
        | "St" | "Ste" | "Mt" | "Ft" | "Ave" | "Blvd" | "Rd" | "Hwy" | "Sq" | "Jan" | "Feb" | "Mar" | "Apr" | "Jun" | "Jul" | "Aug" | "Sep"
        | "Sept" | "Oct" | "Nov" | "Dec" | "Mon" | "Tue" | "Tues" | "Wed" | "Thu" | "Thurs" | "Fri" | "Sat" | "Sun" | "Ala" | "Ariz" | "Ark"
        | "Calif" | "Colo" | "Conn" | "Del" | "Fla" | "Ga" | "Ill" | "Ind" | "Kan" | "Ky" | "La" | "Md" | "Mass" | "Mich" | "Minn" | "Miss"
        | "Mo" | "Mont" | "Neb" | "Nev" | "Okla" | "Ore" | "Pa" | "Penn" | "Tenn" | "Tex" | "Va" | "Vt" | "Wash" | "Wis" | "Wyo" => Kind::Soft,
        "a.m" | "p.m" | "A.M" | "P.M" => Kind::Hour,
        _ if !word.is_empty() && word.len() <= 2 && word.bytes().all(|b| b.is_ascii_digit()) => Kind::Short,
        // Initials and dotted acronyms: J, U.S, Ph.D
        _ if !word.is_empty() && word.split('.').all(|part| {
            let mut letters = part.chars();
            letters.next().is_some_and(char::is_alphabetic)
                && (letters.next().is_none() || (word.contains('.') && part.chars().count() <= 2 && part.chars().all(char::is_alphabetic)))
        }) => Kind::Soft,
        _ => Kind::Plain,
    }
}

fn is_clock_word(word: &str) -> bool {
    word.len() >= 2 && word.chars().all(char::is_uppercase)
        || word.ends_with("day")
        || matches!(
            word,
            "Eastern" | "Pacific" | "Central" | "Mountain" | "Greenwich" | "Jan" | "Feb" | "January" | "February"
        )
        || matches!(
            word,
            "March" | "April" | "May" | "June" | "July" | "August" | "September" | "October" | "November" | "December"
        )
}

/// Words that begin sentences far more often than they continue a name after an abbreviation.
#[rustfmt::skip]
fn is_starter(word: &str) -> bool {
    matches!(word,
        "The" | "A" | "An" | "In" | "On" | "At" | "It" | "He" | "She" | "They" | "We" | "You" | "I" | "This" | "That" | "These" | "Those"
        | "But" | "And" | "Or" | "So" | "Yet" | "If" | "When" | "While" | "As" | "After" | "Before" | "Although" | "Though" | "However"
        | "Meanwhile" | "Then" | "There" | "Here" | "His" | "Her" | "Its" | "Their" | "Our" | "My" | "Your" | "What" | "Who" | "Why" | "How"
        | "Where" | "Which" | "Since" | "For" | "From" | "To" | "By" | "With" | "Without" | "Under" | "Not" | "No" | "Nobody" | "Now" | "Some"
        | "Many" | "Most" | "Several" | "All" | "Both" | "Each" | "Every" | "Other" | "Others" | "Another" | "One" | "Two" | "Also" | "Still"
        | "Even" | "Such" | "Because" | "During" | "Despite" | "Until" | "Once" | "Among" | "According" | "Over" | "Earlier" | "Later"
        | "Only" | "Just" | "Is" | "Are" | "Was" | "Were" | "Do" | "Does" | "Did" | "Can" | "Could" | "Would" | "Will" | "Has" | "Have"
        | "Police" | "People" | "Officials" | "Analysts" | "Shares" | "Nothing" | "Everyone" | "Today" | "Yesterday" | "Let")
}

fn char_at(text: &str, at: usize) -> Option<char> {
    text[at..].chars().next()
}

/// The last run of non-spaces, without leading punctuation.
fn last_word(text: &str) -> &str {
    let begin = text.rfind(char::is_whitespace).map_or(0, |i| i + char_at(text, i).map_or(1, char::len_utf8));
    text[begin..].trim_start_matches(|c: char| !c.is_alphanumeric())
}

fn is_terminator(c: char) -> bool {
    matches!(c, '.' | '?' | '!' | '…' | '。' | '？' | '！')
}

fn is_closer(c: char) -> bool {
    matches!(c, '"' | '\'' | ')' | ']' | '}' | '”' | '’' | '»' | '」' | '』')
}

#[cfg(test)]
#[path = "sentence_cases.rs"]
mod cases;

//! Sentences: where one ends, whether it can serve as a sample, and whether a run of them is a sane left context.

#[path = "sentence_context.rs"]
mod context;
#[path = "sentence_words.rs"]
mod words;
pub use context::degenerate;
use words::{Kind, is_clock_word, is_fronted, is_starter, kind};

/// Bytes of the longest note mark, without its brackets.
const MAX_MARK: usize = 8;
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
    /// A capital letter was seen.
    capital: bool,
    /// White space seen.
    gaps: usize,
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
            _ => {
                self.wordy |= c.is_alphanumeric();
                self.capital |= c.is_uppercase();
                self.gaps += usize::from(c.is_whitespace());
            }
        }
    }

    /// Whether a writer who uses no capitals has written at least a few words.
    fn uncapitalised(&self) -> bool {
        self.wordy && !self.capital && self.gaps >= 3 && self.brackets == 0 && !self.quote
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
            match judge(text, start, at, &open, at_end) {
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
fn judge(text: &str, start: usize, dot: usize, open: &Open, at_end: bool) -> Step {
    let Some((end, dots, wide)) = terminator_run(text, dot, open.quote, at_end) else { return Step::Wait };
    let Some(next) = char_at(text, end) else { return if at_end { Step::End(end) } else { Step::Wait } };
    if !next.is_whitespace() {
        return if wide { Step::End(end) } else { Step::Go(end) };
    }
    let (begin, at) = match begin_after(text, end, at_end) {
        Some(_) if wide => return Step::End(end),
        Some((Begin::Lower, _)) => {
            let plain = dots == 1 && kind(last_word(&text[start..dot])) == Kind::Plain;
            return if plain && open.uncapitalised() { Step::End(end) } else { Step::Go(end) };
        }
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
    let kind = if exclaimed { Kind::Soft } else { kind_of(text, start, dot, word) };
    // "Bros. & Sons".
    if kind != Kind::Plain && text[end..].trim_start().starts_with('&') {
        return Step::Go(end);
    }
    let ends = match (kind, begin) {
        (Kind::Plain, _) | (Kind::Soft | Kind::Hour, Begin::Other) => true,
        (Kind::Numbered, begin) => begin == Begin::Upper,
        (Kind::Short, begin) => begin != Begin::Digit,
        (Kind::Never, _) | (Kind::Soft | Kind::Hour, _) if begin != Begin::Upper => false,
        (Kind::Never, _) => false,
        (Kind::Hour, _) => match next_letters(text, at, at_end) {
            // "At 7 a.m. Ms. Lee left" has no verb before the name, "She left at 7 a.m. Ms. Lee stayed" has.
            Some(next) if is_fronted(&text[start..dot]) => is_starter(next) && next != "I",
            Some(next) => !is_clock_word(next),
            None => return Step::Wait,
        },
        (Kind::Soft, _) => match following_word(text, at, at_end) {
            Some(next) => is_starter(next),
            None => return Step::Wait,
        },
    };
    if ends { Step::End(end) } else { Step::Go(end) }
}

/// What the dot behind `word` at `dot` may be; in "Q & A." the letter is no initial.
fn kind_of(text: &str, start: usize, dot: usize, word: &str) -> Kind {
    let joined = text[start..dot - word.len()].trim_end().ends_with('&');
    if joined && word.chars().count() == 1 { Kind::Plain } else { kind(word) }
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
            match trailer(next, at_end) {
                Trailer::Ends(len) => {
                    end = at + len;
                    continue;
                }
                Trailer::Unknown => return None,
                Trailer::None => {}
            }
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

/// A note mark ("[17]", "[...]") or smiley behind a sentence, which belongs to it.
enum Trailer {
    /// It has this many bytes.
    Ends(usize),
    None,
    /// More text is needed to decide.
    Unknown,
}

fn trailer(text: &str, at_end: bool) -> Trailer {
    let found = if let Some(inner) = text.strip_prefix('[') {
        let marks = inner.chars().take(MAX_MARK + 1).take_while(|c| c.is_ascii_digit() || matches!(c, '.' | '…'));
        let mark = marks.map(char::len_utf8).sum();
        let closed = inner[mark..].starts_with(']');
        if mark > MAX_MARK || (!closed && mark < inner.len()) || (closed && mark == 0) {
            return Trailer::None;
        }
        closed.then_some(mark + 2)
    } else if text.starts_with([':', ';']) {
        let nose = if text[1..].starts_with('-') { 2 } else { 1 };
        match text[nose..].chars().next() {
            Some('(' | ')') => Some(nose + 1),
            Some(_) => return Trailer::None,
            None => None,
        }
    } else {
        return Trailer::None;
    };
    // What comes next must be apart, so "[1](link)" and ":))" go on.
    match found.map(|len| (len, text[len..].chars().next())) {
        Some((len, Some(c))) if c.is_whitespace() => Trailer::Ends(len),
        Some((len, None)) if at_end => Trailer::Ends(len),
        Some((_, None)) | None if !at_end => Trailer::Unknown,
        _ => Trailer::None,
    }
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

/// The letters at `at`. `None` if there may be more.
fn next_letters(text: &str, at: usize, at_end: bool) -> Option<&str> {
    let rest = &text[at..];
    let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
    (at_end || end < rest.len() || end >= 16).then_some(&rest[..end])
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

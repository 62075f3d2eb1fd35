//! The words, digit strings and marks of a text, as the number rules see them.

use super::digits;

#[derive(PartialEq, Clone, Copy)]
pub(super) enum Form {
    Digits,
    Word,
    Mark,
}

pub(super) struct Token {
    /// In lowercase; digits without group marks.
    pub(super) text: String,
    pub(super) form: Form,
    /// No space precedes it.
    pub(super) glued: bool,
    pub(super) capital: bool,
    /// Digits only: the numbers that it consists of in another reading.
    pub(super) other: Vec<String>,
}

pub(super) fn lex(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let (mut glued, mut english) = (false, false);
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let point = c == '.' && !glued && rest[1..].starts_with(|d: char| d.is_ascii_digit());
        let (form, len, other, written) = if c.is_ascii_digit() || point {
            let read = digits::read(rest);
            english |= read.english;
            (Form::Digits, read.len, read.other, Some(read.text))
        } else if c.is_alphabetic() {
            let len = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
            (Form::Word, len, Vec::new(), None)
        } else {
            (Form::Mark, c.len_utf8(), Vec::new(), None)
        };
        if !c.is_whitespace() {
            let text = written.unwrap_or_else(|| rest[..len].to_lowercase());
            tokens.push(Token { text, form, glued, capital: c.is_uppercase(), other });
        }
        glued = !c.is_whitespace();
        at += len;
    }
    if english {
        // A text that writes "2.5" or "1,500" does not mean 1500 by "1.500".
        tokens.iter_mut().filter(|t| t.text.contains('.')).for_each(|t| t.other.clear());
    }
    tokens
}

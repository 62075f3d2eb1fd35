//! The words of a sentence, as the modality rules see them.

use super::words::stem;

pub(super) struct Token {
    pub(super) text: String,
    pub(super) stem: String,
    /// Capitalised where only a name would be.
    pub(super) name: bool,
    /// Capitalised as the first word of a sentence or quotation, where any word would be.
    pub(super) begins: bool,
    /// Punctuation precedes it.
    pub(super) breaks: bool,
    /// Belongs to a phrase that was recognised.
    pub(super) used: bool,
    /// A claim about it is denied or left open.
    pub(super) held: bool,
    pub(super) denied: bool,
}

/// Words in lowercase with contractions of "not" and "will" expanded; punctuation is recorded as breaks.
pub(super) fn lex(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let (mut breaks, mut begins) = (false, true);
    let mut at = 0;
    let inner = |c: char| c.is_alphanumeric() || c == '\'' || c == '’';
    while let Some(c) = text[at..].chars().next() {
        if !inner(c) {
            begins |= matches!(c, '.' | '!' | '?' | ':' | '"' | '“' | '”' | '‘' | '`' | '–' | '—' | '(');
            breaks |= !c.is_whitespace() && !matches!(c, '-' | '‑' | '$' | '£' | '€' | '%' | '\'');
            at += c.len_utf8();
            continue;
        }
        let digits = c.is_ascii_digit();
        let rest = &text[at..];
        let mut len = rest.find(|c| !inner(c)).unwrap_or(rest.len());
        // 1,500.25
        while digits && rest[len..].starts_with([',', '.']) && rest[len + 1..].starts_with(|c: char| c.is_ascii_digit())
        {
            len += 1 + rest[len + 1..].find(|c| !inner(c)).unwrap_or(rest.len() - len - 1);
        }
        at += len;
        let written = &rest[..len];
        let name = c.is_uppercase()
            && !begins
            && !matches!(written, "I")
            && !written.starts_with("I'")
            && !written.starts_with("I’");
        let clean = written.to_lowercase().replace('’', "'");
        let mut push = |text: &str, first: bool| {
            let stem = stem(text);
            tokens.push(Token {
                text: text.to_owned(),
                stem,
                name,
                begins: begins && first && c.is_uppercase(),
                breaks: breaks && first,
                used: false,
                held: false,
                denied: false,
            });
        };
        let word = clean.trim_matches('\'');
        let contraction = matches!(clean.as_str(), "'s" | "'ll" | "'re" | "'ve" | "'m" | "'d");
        match clean.as_str() {
            "n't" => push("not", true),
            "'ll" => push("will", true),
            _ if contraction => push(&clean, true),
            "cannot" => {
                push("can", true);
                push("not", false);
            }
            "won't" => {
                push("will", true);
                push("not", false);
            }
            "can't" | "shan't" => {
                push(&clean[..clean.len() - 2].replace("shan", "shall").replace('\'', ""), true);
                push("not", false);
            }
            "gonna" => {
                push("going", true);
                push("to", false);
            }
            _ => {
                if let Some(verb) = word.strip_suffix("n't") {
                    if !verb.is_empty() {
                        push(verb, true);
                    }
                    push("not", verb.is_empty());
                } else if let Some((verb, tail)) =
                    word.split_once('\'').filter(|(_, t)| matches!(*t, "s" | "ll" | "re" | "ve" | "m" | "d"))
                {
                    push(verb, true);
                    let tail = if tail == "ll" { "will".to_owned() } else { format!("'{tail}") };
                    push(&tail, false);
                } else if !word.is_empty() {
                    push(word, true);
                } else {
                    breaks = true;
                    begins = true;
                    continue;
                }
            }
        }
        (breaks, begins) = (false, false);
    }
    tokens
}

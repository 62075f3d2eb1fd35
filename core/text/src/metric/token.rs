//! Two ways to tokenise a text without a model: at white space, for corpus statistics that are compared with published
//! ones; and into words of any script, to detect copies and near duplicates.

/// Tokens separated by white space, with case and punctuation kept; the same as Python's `str.split()`.
pub fn whitespace_tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|token| !token.is_empty())
}

/// White space as in Python, which unlike Unicode's White_Space property includes the four ASCII separators U+001C to
/// U+001F.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Lowercase runs of letters and digits of any script. Each Chinese or Japanese character is a word, as those scripts
/// use no spaces. A text without letters and digits ("?!", an emoji) gives its white-space tokens, so that two such
/// texts remain distinguishable.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let mut words = Vec::new();
    let mut word = String::new();
    for c in lower.chars() {
        let single = is_ideograph(c);
        if (single || !c.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if single {
            words.push(c.to_string());
        } else if c.is_alphanumeric() {
            word.push(c);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    if words.is_empty() { whitespace_tokens(text).map(str::to_owned).collect() } else { words }
}

/// Whether a character is Kana or Han.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_pythons() {
        let tokens = |text| whitespace_tokens(text).collect::<Vec<_>>().join("|");
        assert_eq!(tokens(" A\tb\u{a0}c\u{3000}d\u{1f}e\u{85}f\n"), "A|b|c|d|e|f");
        assert_eq!(tokens("zero\u{200b}width"), "zero\u{200b}width");
        assert_eq!(tokens(" \n "), "");
    }

    #[test]
    fn words_of_any_script() {
        for (text, expected) in [
            ("It's a WELL-known fact.", "it|s|a|well|known|fact"),
            ("Crème brûlée, 5€", "crème|brûlée|5"),
            ("Москва — столица", "москва|столица"),
            ("日本のGPU2台", "日|本|の|gpu2|台"),
            ("?! 😀 ...", "?!|😀|..."),
            ("😀 fine", "fine"),
            ("", ""),
        ] {
            assert_eq!(words(text).join("|"), expected, "{text:?}");
        }
    }
}

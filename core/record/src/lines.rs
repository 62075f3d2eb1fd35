//! JSON Lines that every reader takes for lines.

/// Characters that some readers take for the end of a line, and how JSON writes them otherwise.
const BREAKS: [(char, &str); 3] = [('\u{85}', "\\u0085"), ('\u{2028}', "\\u2028"), ('\u{2029}', "\\u2029")];

/// A JSON value as a line: the value itself, in which the line and paragraph separators of Unicode are escaped, and a
/// line break. In JSON they occur within strings only, so that the value stays the same.
#[must_use]
pub fn json_line(mut json: String) -> String {
    for (character, escaped) in BREAKS {
        if json.contains(character) {
            json = json.replace(character, escaped);
        }
    }
    json.push('\n');
    json
}

#[cfg(test)]
mod tests {
    use super::json_line;

    #[test]
    fn separators_are_escaped() {
        assert_eq!(json_line("{\"a\":\"b\u{2028}c\u{2029}\u{85}é\"}".into()), "{\"a\":\"b\\u2028c\\u2029\\u0085é\"}\n");
        assert_eq!(json_line("1".into()), "1\n");
    }
}

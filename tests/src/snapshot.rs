//! Texts that are compared with files of `tests/all/snapshots`. `UPDATE_SNAPSHOTS=1` writes the files anew.

use std::path::Path;

use anyhow::{Result, ensure};

/// A text without what differs from run to run: the folder of the test is TMP, a sha256 HASH.
#[must_use]
pub fn normal(text: &str, dir: &Path) -> String {
    let text = text.replace(&dir.display().to_string(), "TMP").replace("impossible-under-test", "impossible");
    words(&text, |word| match word {
        hash if hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => Some("HASH".to_owned()),
        _ => None,
    })
}

/// A text with every number as N, and single spaces, as columns have the width of their numbers.
#[must_use]
pub fn numberless(text: &str) -> String {
    let digit = |c: char| c.is_ascii_digit();
    let number = |word: &str| word.starts_with(digit) && word.chars().all(|c| digit(c) || c == '.' || c == 'e');
    let mut text = words(text, |word| number(word).then(|| "N".to_owned()));
    while text.contains("  ") {
        text = text.replace("  ", " ");
    }
    text
}

/// Replaces words: letters and digits, and the point between two digits.
fn words(text: &str, replace: impl Fn(&str) -> Option<String>) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        let inside = |(at, c): &(usize, char)| {
            let digit = |at: usize| rest.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
            c.is_alphanumeric() || (*c == '.' && *at > 0 && digit(at - 1) && digit(at + 1))
        };
        let end: usize = rest.char_indices().take_while(inside).map(|(_, c)| c.len_utf8()).sum();
        let (word, later) = rest.split_at(end.max(first.len_utf8()));
        out.push_str(&replace(word).unwrap_or_else(|| word.to_owned()));
        rest = later;
    }
    out
}

/// Compares a text with the file of that name.
///
/// # Errors
/// Where they differ, with both.
pub fn same(name: &str, text: &str) -> Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all/snapshots").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        return Ok(std::fs::write(file, format!("{text}\n"))?);
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default().replace("\r\n", "\n");
    let expected = expected.trim_end();
    let at = text.lines().zip(expected.lines()).take_while(|(a, b)| a == b).count();
    ensure!(
        text == expected,
        "snapshot {name} differs from line {}:\n--- expected\n{expected}\n--- found\n{text}\n--- UPDATE_SNAPSHOTS=1 takes what was found",
        at + 1
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_is_replaced() {
        let hash = "0123456789abcdef".repeat(4);
        let text = format!("/tmp/a/run: {hash}, {hash}0, f32 0.25 s (12 %), v1.2.");
        let normal = normal(&text, Path::new("/tmp/a"));
        assert_eq!(normal, format!("TMP/run: HASH, {hash}0, f32 0.25 s (12 %), v1.2."));
        assert_eq!(numberless("\"a\":1.5e-3,-2 of   10/12 f32 é 7."), "\"a\":N-N,-N of N/N f32 é N.");
    }
}

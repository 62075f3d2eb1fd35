//! HTML and SVG elements of the program's reports.

use std::fmt::Write;

use crate::fs::sha256;

/// A number with commas as thousands separators.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Escapes text for HTML elements and attributes. Control characters other than newline and tab become U+FFFD.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A complete HTML page with the project's style sheet. `title` is escaped, `body` is inserted as it is.
#[must_use]
pub fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>\n{}</style>\n</head>\n\
         <body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        include_str!("html.css"),
        title = escape(title)
    )
}

/// Start of the last line of a sealed page.
const SEAL: &str = "<!-- sha256 of all lines above: ";

/// The page with its hash in a comment at the end, by which [`unsealed`] notices damage.
#[must_use]
pub fn sealed(page: &str) -> String {
    format!("{page}{SEAL}{} -->\n", sha256(page.as_bytes()))
}

/// A page without its seal. Pages of older versions have none.
///
/// # Errors
/// The reason, if the page is not the one that was sealed.
pub fn unsealed(page: &str) -> Result<&str, &'static str> {
    let Some(at) = page.rfind(SEAL) else {
        return if page.ends_with("</html>\n") { Ok(page) } else { Err("its end is missing") };
    };
    let (content, seal) = page.split_at(at);
    if seal == format!("{SEAL}{} -->\n", sha256(content.as_bytes())) {
        Ok(content)
    } else {
        Err("its own hash does not match")
    }
}

/// Left edge and total width of bar charts, in SVG units.
pub(crate) const LEFT: f64 = 8.0;
pub(crate) const WIDTH: f64 = 320.0;

/// Appends the bars of a histogram and its base line at y = `base`; the highest bar has height `height`.
pub(crate) fn bars(out: &mut String, class: &str, bins: &[u64], height: f64, base: f64) {
    let most = bins.iter().copied().max().unwrap_or(0).max(1);
    let step = WIDTH / bins.len().max(1) as f64;
    for (i, n) in bins.iter().enumerate().filter(|(_, n)| **n > 0) {
        // Bars are at least 1 high, so that a bin with one pair beside one with a million stays visible.
        let height = (height * *n as f64 / most as f64).max(1.0);
        let (x, y, width) = (LEFT + step * i as f64 + 1.0, base - height, step - 2.0);
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" class=\"{class}\"/>"
        );
    }
    let _ = writeln!(out, "<line x1=\"{LEFT}\" y1=\"{base}\" x2=\"{}\" y2=\"{base}\" class=\"axis\"/>", LEFT + WIDTH);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_of_a_sealed_page_is_noticed() {
        let plain = page("A", "<p>b</p>\n");
        assert_eq!(unsealed(&plain), Ok(&*plain));
        let whole = sealed(&plain);
        assert_eq!(unsealed(&whole), Ok(&*plain));
        for i in 0..whole.len() {
            let mut bad = whole.clone().into_bytes();
            bad[i] ^= 1;
            assert!(unsealed(&String::from_utf8_lossy(&bad)).is_err(), "byte {i}");
            assert!(unsealed(&whole[..i]).is_err() || whole[..i] == plain, "cut at {i}");
        }
    }

    #[test]
    fn thousands_and_escapes() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(escape("<a b='c'>&\u{1b}"), "&lt;a b=&#39;c&#39;&gt;&amp;\u{fffd}");
    }
}

//! Histograms of scores, and their picture as SVG with a table beside it.

use std::fmt::Write;

/// Bins between 0 and 1.
pub const BINS: usize = 20;

/// Counts of a score between 0 and 1; what lies outside falls into the outermost bins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Values by bin; bin `i` starts at `i / 20`.
    pub bins: [u64; BINS],
}

impl Histogram {
    /// Counts a value; NaN is not counted.
    pub fn add(&mut self, value: f32) {
        if !value.is_nan() {
            // 1.0 belongs to the last bin. Scores such as 0.15 sit on an edge and must not fall below it.
            let bin = (f64::from(value) * BINS as f64 + 1e-6).clamp(0.0, (BINS - 1) as f64);
            self.bins[bin as usize] += 1;
        }
    }

    /// How many values were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.bins.iter().sum()
    }
}

/// One picture: kept above, refused below, each to its own scale as refused pairs outnumber kept ones by far.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    /// Unique in the page; letters, digits and hyphens.
    pub id: &'a str,
    /// What is counted, as "ROUGE-L".
    pub score: &'a str,
    /// Pairs that were kept.
    pub kept: &'a Histogram,
    /// Pairs that were refused.
    pub refused: &'a Histogram,
    /// The critic's threshold, drawn as a line.
    pub threshold: Option<f32>,
}

/// Where bars begin, and how far they go.
pub(crate) const LEFT: f64 = 8.0;
pub(crate) const WIDTH: f64 = 320.0;
const PANEL: f64 = 64.0;

impl Picture<'_> {
    /// `<figure>` with the SVG and the same numbers as a table. Colours are the CSS classes `kept`, `refused`, `axis`.
    #[must_use]
    pub fn html(&self) -> String {
        let (id, score) = (self.id, escape(self.score));
        let mut out = String::new();
        let _ = write!(
            out,
            "<figure>\n<svg viewBox=\"0 0 336 200\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\n\
             <title id=\"{id}-t\">{score} of kept and refused pairs</title>\n<desc id=\"{id}-d\">{}</desc>\n",
            escape(&self.description())
        );
        for (panel, (class, histogram)) in [("kept", self.kept), ("refused", self.refused)].into_iter().enumerate() {
            let base = 84.0 + panel as f64 * 88.0;
            let _ = writeln!(
                out,
                "<text x=\"{LEFT}\" y=\"{}\" class=\"label\">{class}: {}</text>",
                base - PANEL - 6.0,
                count(histogram.total())
            );
            bars(&mut out, class, &histogram.bins, PANEL, base);
        }
        if let Some(t) = self.threshold {
            let x = LEFT + WIDTH * f64::from(t.clamp(0.0, 1.0));
            let _ = writeln!(out, "<line x1=\"{x:.1}\" y1=\"20\" x2=\"{x:.1}\" y2=\"172\" class=\"threshold\"/>");
        }
        for tick in 0..=4u8 {
            let x = LEFT + WIDTH * f64::from(tick) / 4.0;
            let anchor = ["start", "middle", "middle", "middle", "end"][usize::from(tick)];
            let value = f64::from(tick) / 4.0;
            let _ =
                writeln!(out, "<text x=\"{x:.1}\" y=\"188\" class=\"tick\" text-anchor=\"{anchor}\">{value}</text>");
        }
        out.push_str("</svg>\n");
        let _ = writeln!(
            out,
            "<figcaption>{score}{}</figcaption>",
            match self.threshold {
                Some(t) => format!(", threshold {t}"),
                None => String::new(),
            }
        );
        self.table(&mut out);
        out.push_str("</figure>\n");
        out
    }

    fn description(&self) -> String {
        let part = |name: &str, h: &Histogram| match peak(h) {
            Some(i) => format!("{} {name} pairs, most of them from {} to {}", count(h.total()), edge(i), edge(i + 1)),
            None => format!("no {name} pairs with this score"),
        };
        format!("Two bar charts over 0 to 1: {}; {}.", part("kept", self.kept), part("refused", self.refused))
    }

    fn table(&self, out: &mut String) {
        let score = escape(self.score);
        let _ = write!(
            out,
            "<details><summary>{score} as a table</summary>\n<table><caption>{score}</caption>\n<thead><tr>\
             <th scope=\"col\">from</th><th scope=\"col\">kept</th><th scope=\"col\">refused</th></tr></thead>\n<tbody>\n"
        );
        for i in 0..BINS {
            let (kept, refused) = (count(self.kept.bins[i]), count(self.refused.bins[i]));
            let _ = writeln!(out, "<tr><th scope=\"row\">{}</th><td>{kept}</td><td>{refused}</td></tr>", edge(i));
        }
        out.push_str("</tbody></table></details>\n");
    }
}

/// Bars on a line, the highest of this height.
pub(crate) fn bars(out: &mut String, class: &str, bins: &[u64; BINS], height: f64, base: f64) {
    let most = bins.iter().copied().max().unwrap_or(0).max(1);
    let step = WIDTH / BINS as f64;
    for (i, n) in bins.iter().enumerate().filter(|(_, n)| **n > 0) {
        // A bin of one pair beside one of a million must still be seen.
        let height = (height * *n as f64 / most as f64).max(1.0);
        let (x, y, width) = (LEFT + step * i as f64 + 1.0, base - height, step - 2.0);
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" class=\"{class}\"/>"
        );
    }
    let _ = writeln!(out, "<line x1=\"{LEFT}\" y1=\"{base}\" x2=\"{}\" y2=\"{base}\" class=\"axis\"/>", LEFT + WIDTH);
}

fn peak(h: &Histogram) -> Option<usize> {
    let most = h.bins.iter().copied().max().filter(|n| *n > 0)?;
    h.bins.iter().position(|n| *n == most)
}

fn edge(bin: usize) -> String {
    format!("{:.2}", bin as f64 / BINS as f64)
}

/// A number with thousands separated by commas.
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

/// Text for HTML elements and attributes; control characters become U+FFFD.
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_into_their_bins() {
        let mut h = Histogram::default();
        for v in [0.0, -0.3, 0.049, 0.05, 0.15, 0.75, 0.999, 1.0, 1.5, f32::NAN] {
            h.add(v);
        }
        assert_eq!((h.bins[0], h.bins[1], h.bins[3], h.bins[15], h.bins[19]), (3, 1, 1, 1, 3));
        assert_eq!(h.total(), 9);
    }

    #[test]
    fn picture_has_its_numbers_in_words_too() {
        let (mut kept, refused) = (Histogram::default(), Histogram::default());
        kept.add(0.9);
        let html = Picture { id: "a", score: "<x>", kept: &kept, refused: &refused, threshold: Some(0.75) }.html();
        assert!(html.contains("&lt;x&gt;") && !html.contains("<x>"));
        assert!(html.contains("1 kept pairs, most of them from 0.90 to 0.95; no refused pairs"), "{html}");
        assert_eq!(html.matches("<rect").count(), 1);
        assert_eq!(html.matches("<tr>").count(), 1 + BINS);
    }

    #[test]
    fn thousands_and_escapes() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(escape("<a b='c'>&\u{1b}"), "&lt;a b=&#39;c&#39;&gt;&amp;\u{fffd}");
    }
}

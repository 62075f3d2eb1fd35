//! Histograms of scores as SVG, with tables of their values.

use std::fmt::Write;

use crate::html::{LEFT, WIDTH, bars, count, escape};
use crate::run::survey::{BINS, Histogram};

/// Two histograms, of kept and refused pairs, each with its own scale because refused pairs are far more numerous.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    /// HTML id, unique in the page: letters, digits and hyphens.
    pub id: &'a str,
    /// Name of the score, such as "ROUGE-L".
    pub score: &'a str,
    /// Scores of kept pairs.
    pub kept: &'a Histogram,
    /// Scores of refused pairs.
    pub refused: &'a Histogram,
    /// The critic's threshold, drawn as a line, if there is one.
    pub threshold: Option<f32>,
}

const PANEL: f64 = 64.0;

impl Picture<'_> {
    /// A `<figure>` with the SVG and a table of its values. Colours come from the CSS classes `kept`, `refused` and
    /// `axis`.
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

fn peak(h: &Histogram) -> Option<usize> {
    let most = h.bins.iter().copied().max().filter(|n| *n > 0)?;
    h.bins.iter().position(|n| *n == most)
}

fn edge(bin: usize) -> String {
    format!("{:.2}", bin as f64 / BINS as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}

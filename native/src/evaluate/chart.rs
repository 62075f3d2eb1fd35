//! Distributions of per-item scores: one picture a column, one row of bars a system, with the numbers as a table beside it.

use std::fmt::Write;

use super::table::{cut, number};
use crate::html::{LEFT, WIDTH, bars, count, escape};
use crate::run::survey::BINS;

const BARS: f64 = 32.0;
const STEP: f64 = 54.0;

/// One picture.
pub(super) struct Chart<'a> {
    /// Unique in the page; letters, digits and hyphens.
    pub id: String,
    /// What is counted.
    pub title: &'a str,
    /// Bounds of the first and last bin; what lies outside is counted there.
    pub range: (f64, f64),
    /// Name and values of each row; NaN is not counted.
    pub series: Vec<(&'a str, &'a [f64])>,
}

impl Chart<'_> {
    fn bin(&self, value: f64) -> usize {
        let (low, high) = self.range;
        // Values such as 15 sit on an edge and must not fall below it; the highest belongs to the last bin.
        ((value - low) / (high - low) * BINS as f64 + 1e-6).clamp(0.0, (BINS - 1) as f64) as usize
    }

    fn edge(&self, bin: usize) -> String {
        let (low, high) = self.range;
        let edge = low + (high - low) * bin as f64 / BINS as f64;
        if high - low <= 2.0 { format!("{edge:.2}") } else { number(edge) }
    }

    fn counted(&self) -> Vec<[u64; BINS]> {
        let counted = |values: &[f64]| {
            let mut bins = [0; BINS];
            values.iter().filter(|value| !value.is_nan()).for_each(|&value| bins[self.bin(value)] += 1);
            bins
        };
        self.series.iter().map(|(_, values)| counted(values)).collect()
    }

    /// `<figure>` with the SVG and the same numbers as a table.
    pub(super) fn html(&self) -> String {
        let (id, title, counted) = (&self.id, escape(self.title), self.counted());
        let height = 30.0 + STEP * self.series.len() as f64;
        let mut out = String::new();
        let _ = write!(
            out,
            "<figure>\n<svg viewBox=\"0 0 336 {height}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\n\
             <title id=\"{id}-t\">{title}, by system</title>\n<desc id=\"{id}-d\">{}</desc>\n",
            escape(&self.description(&counted))
        );
        for (row, ((name, values), bins)) in self.series.iter().zip(&counted).enumerate() {
            let base = STEP * (row + 1) as f64;
            let n = values.iter().filter(|value| !value.is_nan()).count();
            let label = format!("{}: {}", cut(name, 36), count(n as u64));
            let y = base - BARS - 5.0;
            let _ = writeln!(out, "<text x=\"{LEFT}\" y=\"{y}\" class=\"label\">{}</text>", escape(&label));
            bars(&mut out, "kept", bins, BARS, base);
        }
        for tick in 0..=4 {
            let x = LEFT + WIDTH * f64::from(tick) / 4.0;
            let anchor = match tick {
                0 => "start",
                4 => "end",
                _ => "middle",
            };
            let (y, value) = (height - 14.0, self.edge(tick as usize * BINS / 4));
            let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" class=\"tick\" text-anchor=\"{anchor}\">{value}</text>");
        }
        let _ = writeln!(out, "</svg>\n<figcaption>{title}</figcaption>");
        self.table(&mut out, &counted);
        out.push_str("</figure>\n");
        out
    }

    fn description(&self, counted: &[[u64; BINS]]) -> String {
        let part = |((name, _), bins): (&(&str, &[f64]), &[u64; BINS])| {
            let most = bins.iter().copied().max().unwrap_or(0);
            match bins.iter().position(|&n| n == most && n > 0) {
                Some(bin) => format!("{name}: most from {} to {}", self.edge(bin), self.edge(bin + 1)),
                None => format!("{name}: no values"),
            }
        };
        let parts: Vec<_> = self.series.iter().zip(counted).map(part).collect();
        format!("Bar charts over {} to {}, a row for each system. {}.", self.edge(0), self.edge(BINS), parts.join("; "))
    }

    fn table(&self, out: &mut String, counted: &[[u64; BINS]]) {
        let title = escape(self.title);
        let _ = write!(
            out,
            "<details><summary>{title} as a table</summary>\n<div class=\"scroll\"><table><caption>{title}</caption>\n\
             <thead><tr><th scope=\"col\">from</th>"
        );
        for (name, _) in &self.series {
            let _ = write!(out, "<th scope=\"col\">{}</th>", escape(name));
        }
        out.push_str("</tr></thead>\n<tbody>\n");
        for bin in 0..BINS {
            let _ = write!(out, "<tr><th scope=\"row\">{}</th>", self.edge(bin));
            for bins in counted {
                let _ = write!(out, "<td>{}</td>", count(bins[bin]));
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody></table></div></details>\n");
    }
}

//! The table as Markdown: first as papers print it, then every interval and test.

use std::fmt::Write;

use method::evaluate::report::SIGNIFICANT;
use method::evaluate::{Better, Cell, Report};

use super::Outcome;
use super::table::{number, reason};
use crate::html::count;
use crate::run::view::plain;

pub(super) fn markdown(outcome: &Outcome) -> String {
    let (report, table) = (&outcome.report, &outcome.report.table);
    let mut out = format!("## Evaluation: {}\n\n", table.task.name());
    let _ = writeln!(out, "{} items; scores in percent; best of a column in bold.\n", count(table.items as u64));
    let heads: Vec<_> =
        report.columns().map(|(column, _)| arrow(column.measure.title(), column.measure.better())).collect();
    row(&mut out, "system", &heads);
    rule(&mut out, heads.len());
    for (system, name) in table.systems.iter().enumerate() {
        let cells: Vec<_> = report
            .columns()
            .map(|(column, cells)| {
                let score = cells.get(system).map_or_else(String::new, marked);
                if Report::best(column, cells).contains(&system) { format!("**{score}**") } else { score }
            })
            .collect();
        row(&mut out, &escape(name), &cells);
    }
    if let [first, _, ..] = table.systems.as_slice() {
        let first = escape(first);
        let _ = writeln!(
            out,
            "\n\\* differs from {first}: paired bootstrap, p < {SIGNIFICANT}, not corrected for the number of tests.\n"
        );
    }
    intervals(&mut out, report);
    for left in &table.left_out {
        let titles: Vec<_> = left.measures.iter().map(|measure| measure.title()).collect();
        let _ = writeln!(out, "\nLeft out: {}. Reason: {}.", titles.join(", "), escape(&reason(&left.reason)));
    }
    for remark in &outcome.remarks {
        let _ = writeln!(out, "\nNote: {}.", escape(remark));
    }
    out.push_str("\n### Settings\n\n");
    for column in &table.columns {
        let (measure, signature) = (column.measure, plain(&column.signature).replace('`', "'"));
        let _ = writeln!(out, "- {}: {}. `{signature}`", measure.title(), escape(measure.meaning()));
    }
    out
}

fn intervals(out: &mut String, report: &Report) {
    let settings = &report.settings;
    let _ = writeln!(
        out,
        "### Intervals\n\n{} % percentile bootstrap, {} resamples, seed {}. p: paired bootstrap / approximate randomisation \
         against the first system.\n",
        100.0 * settings.level,
        count(u64::from(settings.resamples)),
        settings.seed
    );
    let names: Vec<_> = report.table.systems.iter().map(|name| escape(name)).collect();
    row(out, "score", &names);
    rule(out, names.len());
    for (column, cells) in report.columns() {
        let cell = |cell: &Cell| {
            let mut text = number(cell.score);
            if let Some(interval) = cell.interval {
                let _ = write!(text, " [{}, {}]", number(interval.low), number(interval.high));
            }
            if cell.n < report.table.items {
                let _ = write!(text, " (n = {})", count(cell.n as u64));
            }
            if let Some(test) = cell.against_first {
                let _ = write!(text, ", p {} / {}", p_value(test.p_bootstrap), p_value(test.p_randomisation));
            }
            text
        };
        row(out, column.measure.title(), &cells.iter().map(cell).collect::<Vec<_>>());
    }
}

/// Three digits after the point.
pub(super) fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}

/// A score with its mark.
fn marked(cell: &Cell) -> String {
    format!("{}{}", number(cell.score), if cell.differs() { "\\*" } else { "" })
}

fn arrow(title: &str, better: Better) -> String {
    match better {
        Better::Higher => format!("{title} ↑"),
        Better::Lower => format!("{title} ↓"),
        Better::Neither => title.to_owned(),
    }
}

pub(super) fn row(out: &mut String, head: &str, cells: &[String]) {
    let _ = writeln!(out, "| {head} | {} |", cells.join(" | "));
}

pub(super) fn rule(out: &mut String, columns: usize) {
    let _ = writeln!(out, "|---|{}", "---:|".repeat(columns));
}

/// Text of the user's inside Markdown.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in plain(text).chars() {
        if matches!(c, '\\' | '|' | '*' | '_' | '`' | '[' | ']' | '<' | '>' | '#' | '~' | '&') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

//! `evaluation.html`: one page without scripts or outside files, with intervals, distributions, and the worst and best
//! outputs of each system.

use std::fmt::Write;

use method::evaluate::{Better, Cell, Column, Report, Table};

use super::Outcome;
use super::chart::Chart;
use super::markdown::p_value;
use super::table::{number, reason};
use crate::html::{self, count, escape};

pub(super) fn page(outcome: &Outcome, examples: usize) -> String {
    let (report, table) = (&outcome.report, &outcome.report.table);
    let items = count(table.items as u64);
    let mut out = String::new();
    let _ = writeln!(out, "<h1>{} systems, {items} items: {}</h1>", table.systems.len(), table.task.name());
    out.push_str("<p>Scores in percent. ↑ more is better, ↓ less is better.</p>\n");
    scores(&mut out, report);
    tests(&mut out, report);
    notes(&mut out, outcome);
    out.push_str("<h2>Distributions</h2>\n<p>Scores of single items, each system to a scale of its own.</p>\n");
    out.push_str("<div class=\"figures\">\n");
    for column in &table.columns {
        let Some(range) = column.measure.range() else { continue };
        let series = table.systems.iter().zip(&column.systems);
        let series = series.map(|(name, scores)| (name.as_str(), scores.items.as_slice())).collect();
        let id = column.measure.name().replace('_', "-");
        out.push_str(&Chart { id, title: column.measure.title(), range, series }.html());
    }
    out.push_str("</div>\n");
    if let Some(column) = table.headline().filter(|_| examples > 0) {
        let title = escape(column.measure.title());
        let _ = writeln!(out, "<h2>Worst and best outputs</h2>\n<p>By {title} of the single item.</p>");
        for system in 0..table.systems.len() {
            extremes(&mut out, outcome, column, system, examples);
        }
    }
    out.push_str(
        "<h2>Settings</h2>\n<div class=\"scroll\"><table><caption>What each column says, and its exact settings</caption><tbody>\n",
    );
    for column in &table.columns {
        let (measure, signature) = (column.measure, escape(&column.signature));
        let (title, meaning) = (escape(measure.title()), escape(measure.meaning()));
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{title}</th><td class=\"text\">{meaning}</td><td class=\"text\">{signature}</td></tr>"
        );
    }
    out.push_str("</tbody></table></div>\n");
    html::page(&format!("Evaluation: {}", table.task.name()), &out)
}

fn columns_head(out: &mut String, caption: &str, names: &[String]) {
    let _ = write!(
        out,
        "<div class=\"scroll\"><table><caption>{caption}</caption>\n<thead><tr><th scope=\"col\">score</th>"
    );
    for name in names {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escape(name));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
}

fn scores(out: &mut String, report: &Report) {
    let settings = &report.settings;
    let caption = format!(
        "Scores with {} % bootstrap intervals ({} resamples, seed {}); the best in bold",
        100.0 * settings.level,
        count(u64::from(settings.resamples)),
        settings.seed
    );
    columns_head(out, &caption, &report.table.systems);
    for (column, cells) in report.columns() {
        let arrow = match column.measure.better() {
            Better::Higher => " ↑",
            Better::Lower => " ↓",
            Better::Neither => "",
        };
        let _ = write!(out, "<tr><th scope=\"row\">{}{arrow}</th>", escape(column.measure.title()));
        let best = Report::best(column, cells);
        for (system, cell) in cells.iter().enumerate() {
            let score = number(cell.score);
            let score = if best.contains(&system) { format!("<strong>{score}</strong>") } else { score };
            let _ = write!(out, "<td>{score}{}</td>", interval(cell, report.table.items));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
}

fn interval(cell: &Cell, items: usize) -> String {
    let mut out = String::new();
    if let Some(interval) = cell.interval {
        let _ = write!(out, " <span class=\"soft\">{} to {}</span>", number(interval.low), number(interval.high));
    }
    if cell.n < items {
        let _ = write!(out, " <span class=\"soft\">n = {}</span>", count(cell.n as u64));
    }
    out
}

fn tests(out: &mut String, report: &Report) {
    let [first, others @ ..] = report.table.systems.as_slice() else { return };
    if others.is_empty() {
        return;
    }
    let caption = format!(
        "{} less each other system, with its interval; p by paired bootstrap and by approximate randomisation, not \
         corrected for the number of tests",
        escape(first)
    );
    columns_head(out, &caption, others);
    for (column, cells) in report.columns() {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escape(column.measure.title()));
        for cell in cells.iter().skip(1) {
            let text = cell.against_first.map_or_else(
                || "-".to_owned(),
                |test| {
                    let d = test.difference;
                    let (low, high) = (number(d.low), number(d.high));
                    let p = [test.p_bootstrap, test.p_randomisation].map(|p| escape(&p_value(p)));
                    let span = format!("<span class=\"soft\">{low} to {high}; p {} / {}</span>", p[0], p[1]);
                    format!("{} {span}", number(d.score))
                },
            );
            let _ = write!(out, "<td>{text}</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
}

fn notes(out: &mut String, outcome: &Outcome) {
    for left in &outcome.report.table.left_out {
        let titles: Vec<_> = left.measures.iter().map(|measure| measure.title()).collect();
        let _ = writeln!(
            out,
            "<p>Left out: {}. Reason: {}.</p>",
            escape(&titles.join(", ")),
            escape(&reason(&left.reason))
        );
    }
    for remark in &outcome.remarks {
        let _ = writeln!(out, "<p>Note: {}.</p>", escape(remark));
    }
}

fn extremes(out: &mut String, outcome: &Outcome, column: &Column, system: usize, examples: usize) {
    let Some(outputs) = outcome.benchmark.systems().get(system) else { return };
    let _ =
        writeln!(out, "<section aria-labelledby=\"s{system}\">\n<h3 id=\"s{system}\">{}</h3>", escape(&outputs.name));
    for (which, best) in [("Worst", false), ("Best", true)] {
        let _ = writeln!(out, "<details open><summary>{which}</summary>\n<ol class=\"pairs\">");
        for at in Table::extremes(column, system, examples, best) {
            let (Some(item), Some(output)) = (outcome.benchmark.items().get(at), outputs.outputs.get(at)) else {
                continue;
            };
            let value = column.systems.get(system).and_then(|scores| scores.items.get(at)).copied().unwrap_or(f64::NAN);
            let output = if output.is_empty() { "(empty)" } else { output };
            let _ = write!(out, "<li><p>{}</p><p>{}</p><span class=\"soft\">", escape(&item.source), escape(output));
            let _ = write!(out, "{}, {} {}", escape(&item.id), escape(column.measure.title()), number(value));
            if let Some(reference) = item.references.first() {
                let _ = write!(out, "; reference: {}", escape(reference));
            }
            out.push_str("</span></li>\n");
        }
        out.push_str("</ol>\n</details>\n");
    }
    out.push_str("</section>\n");
}

//! The table on a terminal.

use std::fmt::Write;

use method::evaluate::report::SIGNIFICANT;
use method::evaluate::{Better, Cell, Column};

use super::Outcome;
use crate::html::count;
use crate::run::view::{plain, shown_width};

/// Widest line.
const WIDTH: usize = 100;
/// Widest name of a system; longer ones are cut.
const NAME: usize = 18;

/// The whole table. Columns that do not fit beside each other go into a block below.
pub(super) fn text(outcome: &Outcome) -> String {
    let report = &outcome.report;
    let (table, settings) = (&report.table, &report.settings);
    let mut out = String::new();
    let items = count(table.items as u64);
    let _ = writeln!(out, "{}, {items} items. Scores in percent.", table.task.name());
    let _ = writeln!(
        out,
        "± half of the {} % bootstrap interval ({} resamples, seed {}).",
        100.0 * settings.level,
        count(u64::from(settings.resamples)),
        settings.seed
    );
    let names: Vec<String> = table.systems.iter().map(|name| cut(name, NAME)).collect();
    if let ([first, _, ..], true) = (names.as_slice(), report.columns().any(|(_, c)| c.iter().any(Cell::differs))) {
        let line = format!(
            "* differs from {first}: paired bootstrap, p < {SIGNIFICANT}, not corrected for the number of tests."
        );
        wrap(&mut out, "", &line, " ");
    }
    let columns: Vec<_> = report.columns().map(|(column, cells)| Drawn::new(column, cells)).collect();
    let name = names.iter().map(|name| shown_width(name)).max().unwrap_or(0);
    let mut rest = columns.as_slice();
    while !rest.is_empty() {
        let mut width = name;
        let fits = |column: &&Drawn| {
            width += column.width;
            width <= WIDTH
        };
        let (block, more) = rest.split_at(rest.iter().take_while(fits).count().max(1));
        draw(&mut out, name, &names, block);
        rest = more;
    }
    for left in &table.left_out {
        let heads: Vec<_> = left.measures.iter().map(|measure| measure.head()).collect();
        out.push('\n');
        wrap(&mut out, "Left out: ", &format!("{}. Reason: {}.", heads.join(", "), reason(&left.reason)), " ");
    }
    if !outcome.remarks.is_empty() {
        out.push('\n');
    }
    for remark in &outcome.remarks {
        wrap(&mut out, "Note: ", &plain(remark), " ");
    }
    out.push_str("\nColumns\n");
    for column in &table.columns {
        let better = match column.measure.better() {
            Better::Higher => '↑',
            Better::Lower => '↓',
            Better::Neither => ' ',
        };
        wrap(&mut out, &format!("{:<8} {better} ", column.measure.head()), column.measure.meaning(), " ");
    }
    out.push_str("↑ higher is better, ↓ lower is better. Exact settings of each column: --markdown or --json.\n");
    out
}

/// A reason inside a sentence.
pub(super) fn reason(reason: &str) -> String {
    plain(reason).trim_end_matches('.').to_owned()
}

/// The cells of a column: score with its mark, and half of the interval below.
struct Drawn {
    head: &'static str,
    width: usize,
    cells: Vec<[String; 2]>,
}

impl Drawn {
    fn new(column: &Column, cells: &[Cell]) -> Self {
        let cells: Vec<_> = cells
            .iter()
            .map(|cell| {
                let half = cell.interval.map(|interval| format!("±{:.1} ", (interval.high - interval.low) / 2.0));
                [format!("{}{}", number(cell.score), if cell.differs() { '*' } else { ' ' }), half.unwrap_or_default()]
            })
            .collect();
        let widest = cells.iter().flatten().map(|text| text.chars().count()).max().unwrap_or(0);
        let head = column.measure.head();
        Self { head, width: widest.max(head.len() + 1) + 1, cells }
    }
}

fn draw(out: &mut String, name: usize, names: &[String], block: &[Drawn]) {
    out.push('\n');
    let mut line = " ".repeat(name);
    for column in block {
        let _ = write!(line, "{:>1$} ", column.head, column.width - 1);
    }
    push(out, &line);
    for (system, label) in names.iter().enumerate() {
        for (at, label) in [label.as_str(), ""].into_iter().enumerate() {
            let mut line = format!("{label}{}", " ".repeat(name.saturating_sub(shown_width(label))));
            for column in block {
                let cell = column.cells.get(system).and_then(|cell| cell.get(at)).map_or("", String::as_str);
                let _ = write!(line, "{cell:>0$}", column.width);
            }
            push(out, &line);
        }
    }
}

/// One digit after the point; "-" where there is no score.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    match text.as_str() {
        _ if value.is_nan() => "-".to_owned(),
        "-0.0" => "0.0".to_owned(),
        _ => text,
    }
}

/// A name in at most `width` columns.
pub(super) fn cut(name: &str, width: usize) -> String {
    let name = plain(name);
    if shown_width(&name) <= width {
        return name;
    }
    let mut short = String::new();
    for c in name.chars() {
        short.push(c);
        if shown_width(&short) + 1 > width {
            short.pop();
            break;
        }
    }
    short + "…"
}

fn push(out: &mut String, line: &str) {
    out.push_str(line.trim_end());
    out.push('\n');
}

/// Lines of at most [`WIDTH`] columns, broken at `separator`; later lines stand under the first. A longer piece is cut.
pub(super) fn wrap(out: &mut String, label: &str, text: &str, separator: &str) {
    let indent = " ".repeat(shown_width(label));
    let room = WIDTH.saturating_sub(indent.len()).max(20);
    let mut line = String::new();
    let mut label = label;
    let mut flush = |line: &mut String| {
        push(out, &format!("{label}{line}"));
        label = &indent;
        line.clear();
    };
    for piece in text.split_inclusive(separator).flat_map(|piece| pieces(piece, room)) {
        if !line.is_empty() && shown_width(&line) + shown_width(piece.trim_end()) > room {
            flush(&mut line);
        }
        line.push_str(piece);
    }
    flush(&mut line);
}

/// Parts of at most `room` columns.
fn pieces(text: &str, room: usize) -> Vec<&str> {
    let (mut parts, mut start, mut used) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        let width = shown_width(c.encode_utf8(&mut [0; 4]));
        if used + width > room {
            parts.push(&text[start..at]);
            (start, used) = (at, 0);
        }
        used += width;
    }
    parts.push(&text[start..]);
    parts
}

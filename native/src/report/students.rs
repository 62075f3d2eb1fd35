//! The section of `report.html` about students: their loss curves, and the outcomes of their versions.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use record::{Error, Result};
use record::{Refusal, Rewrites};

use super::curve;
use super::showcase;
use crate::fs::{io_error, read_lines, read_small, write_file};
use crate::html::{self, count, escape};
use crate::run::REPORT;
use crate::training::folder::{self, Line};

const BEGIN: &str = "<!-- students -->\n";
const END: &str = "<!-- end of students -->\n";

/// Largest accepted file of counts, in bytes.
const LARGEST: u64 = 64 << 20;

/// Name and metrics of the trainings below `RUN/student` whose metrics are readable, sorted by name.
fn trainings(run: &Path) -> Vec<(String, Vec<Line>)> {
    let mut names: Vec<String> = fs::read_dir(run.join("student"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    let mut out = Vec::new();
    for name in names {
        let file = run.join("student").join(&name).join(folder::METRICS);
        if let Ok(lines) = read_lines(&file) {
            out.push((name, lines));
        }
    }
    out
}

/// The section, between markers by which [`refresh`] finds it; only the markers if there is no student.
pub(super) fn section(run: &Path) -> String {
    let mut out = BEGIN.to_owned();
    let trainings = trainings(run);
    if !trainings.is_empty() {
        out.push_str("<section aria-labelledby=\"students\">\n<h2 id=\"students\">Students</h2>\n");
    }
    for (name, lines) in &trainings {
        let _ = writeln!(
            out,
            "<h3>{}</h3>\n{}",
            escape(name),
            curve::figure(&format!("Loss of {}", escape(name)), "target token", lines)
        );
    }
    if !trainings.is_empty() {
        hits(&mut out, run);
        if let Some(showcase) = showcase::read(run) {
            showcase::section(&mut out, &showcase);
        }
        out.push_str("</section>\n");
    }
    out.push_str(END);
    out
}

/// Appends the outcomes of self-distillation; nothing if its counts are missing or of an older version.
fn hits(out: &mut String, run: &Path) {
    let bytes = read_small(&run.join("refine/dataset/funnel.json"), LARGEST).unwrap_or_default();
    let Ok(rewrites) = serde_json::from_slice::<Rewrites>(&bytes) else { return };
    let _ = write!(
        out,
        "<h3>Self-distillation</h3>\n<div class=\"scroll\"><table><caption>Verdicts on the versions of {} \
         sentences</caption>\n<thead><tr><th scope=\"col\">verdict</th><th scope=\"col\">versions</th>\
         <th scope=\"col\">share</th></tr></thead>\n<tbody>\n",
        count(rewrites.sentences)
    );
    for (task, counts) in &rewrites.tasks {
        let share = |n: u64, of: u64| 100.0 * n as f64 / of.max(1) as f64;
        let mut row = |name: &str, n: u64, of: u64| {
            let _ = writeln!(
                out,
                "<tr><th scope=\"row\">{}: {name}</th><td>{}</td><td>{:.1} %</td></tr>",
                task.name(),
                count(n),
                share(n, of)
            );
        };
        row("sentences with a kept version", counts.sources, rewrites.sentences);
        row("kept", counts.kept, counts.versions);
        for (refusal, n) in &counts.refused {
            let verdict = match refusal {
                Refusal::Unfinished | Refusal::Copy => refusal.name().to_owned(),
                critic => format!("refused by {critic}"),
            };
            row(&verdict, *n, counts.versions);
        }
    }
    out.push_str("</tbody></table></div>\n");
}

/// Updates the section in a run's report; a report without markers, of an older version, is left unchanged.
///
/// # Errors
/// [`Error::Broken`] for a damaged report; [`Error::Io`] when reading or writing fails.
pub fn refresh(run: &Path) -> Result<()> {
    let report = run.join(REPORT);
    if !report.is_file() {
        return Ok(());
    }
    let text = fs::read_to_string(&report).map_err(io_error("reading", &report))?;
    let page = html::unsealed(&text).map_err(|reason| Error::broken(report.display(), reason))?;
    let (Some(from), Some(to)) = (page.find(BEGIN), page.find(END)) else { return Ok(()) };
    let (before, after) = (page.get(..from).unwrap_or(""), page.get(to + END.len()..).unwrap_or(""));
    write_file(&report, html::sealed(&format!("{before}{}{after}", section(run))).as_bytes())
}

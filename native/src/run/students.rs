//! The part of `report.html` about students: their curves, and what the critics kept of what they wrote.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use impossible_core::record::{Funnel, Task};
use impossible_core::{Error, Result};

use super::atomic::{Batch, io_error, read_small};
use super::histogram::{count, escape};
use super::manifest::{DatasetManifest, MANIFEST, to_json};
use super::shard::put;
use crate::student::curve;
use crate::student::training::{self, Line};

const BEGIN: &str = "<!-- students -->\n";
const END: &str = "<!-- end of students -->\n";

/// Largest file that is read here.
const LARGEST: u64 = 64 << 20;

/// Trainings below `RUN/student`, by name.
fn trainings(run: &Path) -> Result<Vec<(String, Vec<Line>)>> {
    let mut names: Vec<String> = fs::read_dir(run.join("student"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    let mut out = Vec::new();
    for name in names {
        let file = run.join("student").join(&name).join(training::METRICS);
        if file.is_file() {
            out.push((name, training::read_metrics(&file)?));
        }
    }
    Ok(out)
}

/// The section, between marks by which it is found again; only the marks without any student.
///
/// # Errors
/// [`Error::Broken`] for metrics or counts that cannot be read.
pub(super) fn section(run: &Path) -> Result<String> {
    let mut out = BEGIN.to_owned();
    let trainings = trainings(run)?;
    if !trainings.is_empty() {
        out.push_str("<section aria-labelledby=\"students\">\n<h2 id=\"students\">Students</h2>\n");
    }
    for (name, lines) in &trainings {
        let _ =
            writeln!(out, "<h3>{}</h3>\n{}", escape(name), curve::figure(&format!("Loss of {}", escape(name)), lines));
    }
    if !trainings.is_empty() {
        hits(&mut out, run)?;
        out.push_str("</section>\n");
    }
    out.push_str(END);
    Ok(out)
}

/// What became of the sentences that a student rewrote.
fn hits(out: &mut String, run: &Path) -> Result<()> {
    let file = run.join("refine/dataset/funnel.json");
    if !file.is_file() {
        return Ok(());
    }
    let funnel: Funnel = serde_json::from_slice(&read_small(&file, LARGEST)?)
        .map_err(|e| Error::broken(file.display(), e.to_string()))?;
    let sentences = funnel.contexts.get("sentences").copied().unwrap_or(0);
    let _ = write!(
        out,
        "<h3>Self-distillation</h3>\n<div class=\"scroll\"><table><caption>What the critics said of the versions of {} \
         sentences</caption>\n<thead><tr><th scope=\"col\">verdict</th><th scope=\"col\">versions</th>\
         <th scope=\"col\">share</th></tr></thead>\n<tbody>\n",
        count(sentences)
    );
    for task in Task::ALL {
        let of = |what: &str| funnel.samples.get(&format!("{}: {what}", task.name())).copied();
        let Some(versions) = of("versions") else { continue };
        let with = of("sentences with a pair").unwrap_or(0);
        let share = |n: u64, of: u64| 100.0 * n as f64 / of.max(1) as f64;
        let mut row = |name: &str, n: u64, of: u64| {
            let _ = writeln!(
                out,
                "<tr><th scope=\"row\">{}: {}</th><td>{}</td><td>{:.1} %</td></tr>",
                task.name(),
                escape(name),
                count(n),
                share(n, of)
            );
        };
        row("sentences with a kept version", with, sentences);
        let prefix = format!("{}: ", task.name());
        let verdicts = funnel.samples.iter().filter_map(|(name, n)| Some((name.strip_prefix(&prefix)?, *n)));
        for (verdict, n) in verdicts.filter(|(name, _)| !["versions", "sentences with a pair"].contains(name)) {
            let verdict = if verdict == "kept" { "kept".to_owned() } else { format!("refused by {verdict}") };
            row(&verdict, n, versions);
        }
    }
    out.push_str("</tbody></table></div>\n");
    Ok(())
}

/// Brings the section of a finished run's report up to date, and the manifest with it.
///
/// # Errors
/// [`Error::Io`], [`Error::Broken`].
pub fn refresh(run: &Path) -> Result<()> {
    let (report, manifest_file) = (run.join("report.html"), run.join(MANIFEST));
    if !report.is_file() || !manifest_file.is_file() {
        return Ok(());
    }
    let page = fs::read_to_string(&report).map_err(io_error("reading", &report))?;
    let (Some(from), Some(to)) = (page.find(BEGIN), page.find(END)) else { return Ok(()) };
    let new = format!("{}{}{}", &page[..from], section(run)?, page.get(to + END.len()..).unwrap_or(""));
    if new == page {
        return Ok(());
    }
    let mut manifest: DatasetManifest = serde_json::from_slice(&read_small(&manifest_file, LARGEST)?)
        .map_err(|e| Error::broken(manifest_file.display(), e.to_string()))?;
    let mut batch = Batch::default();
    let entry = put(batch.file(&report)?, new.as_bytes(), 0)?;
    if let Some(known) = manifest.files.get_mut("report.html") {
        *known = entry;
    }
    put(batch.file(&manifest_file)?, &to_json(&manifest, &manifest_file)?, 0)?;
    batch.commit()
}

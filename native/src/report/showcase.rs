//! What the students of a run made of the same fresh sentences, before and after their training.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use record::Task;
use serde::{Deserialize, Serialize};

use crate::fs::read_small;
use crate::html::escape;

/// `RUN/student/showcase.json`.
pub const FILE: &str = "student/showcase.json";

/// What the students of a run made of the same sentences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Showcase {
    /// The sentences, by the teacher; no student has seen them.
    pub sentences: Vec<String>,
    /// Versions of each sentence and task.
    pub samples: u32,
    /// In the order of their making.
    pub students: Vec<Student>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Student {
    /// "before", "stage0", "stage1".
    pub name: String,
    /// Of its weights.
    pub weights_sha256: String,
    /// By task.
    pub tasks: BTreeMap<String, Rewritings>,
}

/// What it made for one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rewritings {
    /// Share of the sentences with a version that every critic kept.
    pub with_a_version: f64,
    /// Different kept versions a sentence: entailed, and no copies.
    pub kept: f64,
    /// Share of all versions that are copies of their sentence.
    pub copies: f64,
    /// Of each sentence the first kept version, as `paraphrase --style balanced` ranks them.
    pub best: Vec<Option<String>>,
}

/// That of a run, where there is one.
#[must_use]
pub fn read(run: &Path) -> Option<Showcase> {
    serde_json::from_slice(&read_small(&run.join(FILE), 16 << 20).ok()?).ok()
}

/// Tables for the report.
pub(super) fn section(out: &mut String, showcase: &Showcase) {
    let _ = write!(
        out,
        "<h3>Before and after</h3>\n<div class=\"scroll\"><table><caption>{} fresh sentences, {} versions of each, judged \
         by the run's critics</caption>\n<thead><tr><th scope=\"col\">task</th><th scope=\"col\">student</th>\
         <th scope=\"col\">sentences with a kept version</th><th scope=\"col\">kept versions a sentence</th>\
         <th scope=\"col\">copies</th></tr></thead>\n<tbody>\n",
        showcase.sentences.len(),
        showcase.samples
    );
    for task in Task::ALL {
        for (student, m) in showcase.students.iter().filter_map(|s| Some((s, s.tasks.get(task.name())?))) {
            let _ = writeln!(
                out,
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{:.0} %</td><td>{:.2}</td><td>{:.0} %</td></tr>",
                task.name(),
                escape(&student.name),
                100.0 * m.with_a_version,
                m.kept,
                100.0 * m.copies
            );
        }
    }
    out.push_str("</tbody></table></div>\n");
    let Some(last) = showcase.students.last() else { return };
    out.push_str(
        "<div class=\"scroll\"><table><caption>The last student's versions</caption>\n<thead><tr>\
         <th scope=\"col\">sentence</th><th scope=\"col\">paraphrase</th><th scope=\"col\">summary</th></tr></thead>\n<tbody>\n",
    );
    for (i, sentence) in showcase.sentences.iter().enumerate() {
        let cells = Task::ALL.map(|t| last.tasks.get(t.name()).and_then(|m| m.best.get(i)?.as_deref()));
        if cells.iter().any(Option::is_some) {
            let [paraphrase, summary] = cells.map(|c| c.map_or_else(|| "-".to_owned(), escape));
            let _ = writeln!(
                out,
                "<tr><td class=\"text\">{}</td><td class=\"text\">{paraphrase}</td><td class=\"text\">{summary}</td></tr>",
                escape(sentence)
            );
        }
    }
    out.push_str("</tbody></table></div>\n");
}

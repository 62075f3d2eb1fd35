//! `evaluate --dataset`: figures of one dataset, or of two at the same number of pairs.

use std::fmt::Write;
use std::path::Path;

use method::evaluate::TokenEncoder;
use method::evaluate::dataset::{self, Figures, Pair, Settings, mean};
use record::Monitor;
use record::Task;
use record::{Error, Result};
use serde_json::{Value, json};

use super::chart::Chart;
use super::markdown::{escape, row, rule};
use super::{read, table};
use crate::args::evaluate::EvaluateArgs;
use crate::html::{self, count};

/// The figures of all datasets of one task.
#[derive(Debug)]
struct Measured {
    task: Task,
    /// Name of each dataset, and what was found.
    datasets: Vec<(String, Figures)>,
}

/// All that was found.
#[derive(Debug)]
pub struct Datasets {
    measured: Vec<Measured>,
    settings: Settings,
    /// Encoder of the cosine, or why there is none.
    encoder: String,
    /// What went wrong; the figures are whole without it.
    pub problems: Vec<Error>,
}

/// Reads and measures the datasets. Without `--task` both tasks of a folder are measured where they are there.
///
/// # Errors
/// What is wrong with a file; [`Error::Input`] for an empty dataset or settings out of range.
pub async fn measure(
    args: &EvaluateArgs,
    encoder: Result<&mut dyn TokenEncoder, String>,
    monitor: &mut Monitor<'_>,
) -> Result<Datasets> {
    let settings = args.dataset_settings()?;
    if let (None, Some(file)) = (args.task, args.dataset.iter().find(|path| path.is_file())) {
        let expected = format!("paraphrase or summary, as {} is no folder", file.display());
        return Err(Error::input("--task", expected, "none"));
    }
    let name = encoder.as_ref().map_or_else(Clone::clone, |encoder| encoder.signature());
    let mut out = Datasets { measured: Vec::new(), settings, encoder: name, problems: Vec::new() };
    let (mut encoder, mut left) = (encoder.ok(), None);
    for task in args.task.map_or(Task::ALL.to_vec(), |task| vec![task]) {
        let read = args.dataset.iter().map(|path| read::pairs(path, task)).collect::<Result<Vec<Vec<Pair>>>>();
        let pairs = match read {
            Ok(pairs) if pairs.iter().all(|pairs| !pairs.is_empty()) => pairs,
            Ok(_) => {
                left.get_or_insert_with(|| Error::input("--dataset", format_args!("{} pairs", task.name()), "none"));
                continue;
            }
            // The other task may be there.
            Err(error) if args.task.is_none() && matches!(error, Error::Missing { .. }) => {
                left.get_or_insert(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        let rows: Vec<Vec<usize>> = match pairs.as_slice() {
            [a, b] => {
                let (of_a, of_b) = dataset::draw_equal(a.len(), b.len(), &settings);
                vec![of_a, of_b]
            }
            pairs => pairs.iter().map(|pairs| dataset::draw(pairs.len(), &settings)).collect(),
        };
        let mut datasets = Vec::new();
        for ((path, pairs), rows) in args.dataset.iter().zip(&pairs).zip(&rows) {
            let mut figures = dataset::figures(pairs, rows, &settings)?;
            if let Some(model) = encoder.as_deref_mut() {
                match dataset::cosines(pairs, rows, &settings, model, monitor).await {
                    Ok(cosines) => figures.cosine = Some(cosines),
                    Err(problem) => {
                        out.encoder = problem.to_string();
                        out.problems.push(problem);
                        encoder = None;
                    }
                }
            }
            datasets.push((label(path), figures));
        }
        out.measured.push(Measured { task, datasets });
    }
    match left {
        Some(error) if out.measured.is_empty() => Err(error),
        _ => Ok(out),
    }
}

/// The last part of a path.
fn label(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// A figure.
struct Line {
    /// Name in JSON.
    key: &'static str,
    name: &'static str,
    value: fn(&Figures) -> Value,
    text: fn(&Figures) -> String,
}

fn lines() -> Vec<Line> {
    fn line(key: &'static str, name: &'static str, value: fn(&Figures) -> Value, text: fn(&Figures) -> String) -> Line {
        Line { key, name, value, text }
    }
    fn none() -> String {
        "-".to_owned()
    }
    fn text(value: Option<f64>) -> String {
        value.map_or_else(none, |value| format!("{value:.2}"))
    }
    fn of_all(repeats: usize, n: usize) -> String {
        format!("{} ({:.1} %)", count(repeats as u64), 100.0 * repeats as f64 / n.max(1) as f64)
    }
    fn cosine(f: &Figures) -> Option<f64> {
        f.cosine.as_deref().and_then(mean).map(|mean| 100.0 * mean)
    }
    fn jaccard(f: &Figures) -> Option<f64> {
        mean(&f.jaccard).map(|mean| 100.0 * mean)
    }
    vec![
        line("total", "pairs in all", |f| f.total.into(), |f| count(f.total as u64)),
        line("n", "pairs measured (n)", |f| f.n.into(), |f| count(f.n as u64)),
        line(
            "h2_target",
            "H2 of targets, bits",
            |f| f.target.lexical.entropy[1].into(),
            |f| text(Some(f.target.lexical.entropy[1])),
        ),
        line(
            "h3_target",
            "H3 of targets, bits",
            |f| f.target.lexical.entropy[2].into(),
            |f| text(Some(f.target.lexical.entropy[2])),
        ),
        line(
            "h2_text",
            "H2 of sources, bits",
            |f| f.text.lexical.entropy[1].into(),
            |f| text(Some(f.text.lexical.entropy[1])),
        ),
        line(
            "h3_text",
            "H3 of sources, bits",
            |f| f.text.lexical.entropy[2].into(),
            |f| text(Some(f.text.lexical.entropy[2])),
        ),
        line(
            "msttr_target",
            "MSTTR-100 of targets, %",
            |f| f.target.lexical.msttr.into(),
            |f| text(f.target.lexical.msttr),
        ),
        line("msttr_text", "MSTTR-100 of sources, %", |f| f.text.lexical.msttr.into(), |f| text(f.text.lexical.msttr)),
        line("jaccard", "Jaccard of source and target, %", |f| jaccard(f).into(), |f| text(jaccard(f))),
        line("cosine", "cosine of source and target, %", |f| cosine(f).into(), |f| text(cosine(f))),
        line(
            "cosine_n",
            "pairs of the cosine",
            |f| f.cosine.as_ref().map(Vec::len).into(),
            |f| f.cosine.as_ref().map_or_else(none, |all| count(all.len() as u64)),
        ),
        line(
            "self_bleu_target",
            "self-BLEU of targets, %",
            |f| f.target.self_bleu.into(),
            |f| text(f.target.self_bleu),
        ),
        line("self_bleu_text", "self-BLEU of sources, %", |f| f.text.self_bleu.into(), |f| text(f.text.self_bleu)),
        line("self_bleu_n", "texts of self-BLEU", |f| f.self_bleu_n.into(), |f| count(f.self_bleu_n as u64)),
        line("repeated_pairs", "repeated pairs", |f| f.repeated_pairs.into(), |f| of_all(f.repeated_pairs, f.n)),
        line("repeated_targets", "repeated targets", |f| f.target.exact.into(), |f| of_all(f.target.exact, f.n)),
        line("repeated_texts", "repeated sources", |f| f.text.exact.into(), |f| of_all(f.text.exact, f.n)),
        line("near_targets", "near-repeated targets", |f| f.target.near.into(), |f| of_all(f.target.near, f.n)),
        line("near_texts", "near-repeated sources", |f| f.text.near.into(), |f| of_all(f.text.near, f.n)),
    ]
}

/// What the figures say, for people who do not know them.
const WORDS: [(&str, &str); 6] = [
    ("source, target", "the two sentences of a pair: the one that is rewritten, and what it becomes"),
    ("H2, H3", "entropy of sequences of two and three words; higher means more varied wording"),
    ("MSTTR-100", "different words in each hundred; higher means more varied wording (from 100 words on)"),
    ("Jaccard", "shared words as a share of all words of both; lower means more reworded"),
    ("cosine", "likeness in meaning of source and target by the sentence encoder"),
    ("self-BLEU", "likeness of the texts of one side to each other; lower means more varied"),
];

impl Datasets {
    fn settings_line(&self) -> String {
        let Settings { most, seed, likeness, .. } = self.settings;
        let drawn = format!(
            "Drawn evenly, at most {} pairs, seed {seed}; tokens between white space; near = Jaccard index of word {}-grams \
             of at least {}.",
            count(most as u64),
            likeness.ngram,
            likeness.similarity
        );
        if self.measured.iter().flat_map(|m| &m.datasets).any(|(_, figures)| figures.cosine.is_some()) {
            format!("{drawn} Cosine: {}.", self.encoder)
        } else {
            format!("{drawn} No cosine: {}.", self.encoder)
        }
    }

    /// A table for terminals, at most 100 columns wide.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for Measured { task, datasets } in &self.measured {
            let names: Vec<_> = datasets.iter().map(|(name, _)| table::cut(name, 18)).collect();
            let _ = writeln!(out, "{:<34}{}", task.name(), right(&names));
            for Line { name, text, .. } in lines() {
                let values: Vec<_> = datasets.iter().map(|(_, figures)| text(figures)).collect();
                let _ = writeln!(out, "{name:<34}{}", right(&values));
            }
            out.push('\n');
        }
        for (word, meaning) in WORDS {
            table::wrap(&mut out, &format!("{word:<16}"), meaning, " ");
        }
        out.push('\n');
        table::wrap(&mut out, "", &self.settings_line(), " ");
        out
    }

    /// The same as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        for Measured { task, datasets } in &self.measured {
            let _ = writeln!(out, "## Dataset: {}\n", task.name());
            row(&mut out, "figure", &datasets.iter().map(|(name, _)| escape(name)).collect::<Vec<_>>());
            rule(&mut out, datasets.len());
            for Line { name, text, .. } in lines() {
                row(&mut out, name, &datasets.iter().map(|(_, figures)| text(figures)).collect::<Vec<_>>());
            }
            out.push('\n');
        }
        for (word, meaning) in WORDS {
            let _ = writeln!(out, "- {word}: {meaning}");
        }
        let _ = writeln!(out, "\n{}", escape(&self.settings_line()));
        out
    }

    /// The same for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let figures = |figures: &Figures| {
            let values = lines().into_iter().map(|line| (line.key.to_owned(), (line.value)(figures)));
            Value::Object(values.collect())
        };
        let tasks: Vec<Value> = self
            .measured
            .iter()
            .map(|Measured { task, datasets }| {
                let datasets: Vec<_> =
                    datasets.iter().map(|(name, f)| json!({"name": name, "figures": figures(f)})).collect();
                json!({"task": task.name(), "datasets": datasets})
            })
            .collect();
        let problems: Vec<String> = self.problems.iter().map(ToString::to_string).collect();
        json!({"tasks": tasks, "settings": self.settings_line(), "problems": problems})
    }

    /// One HTML page with the figures and the distribution of Jaccard and cosine.
    #[must_use]
    pub fn page(&self) -> String {
        use crate::html::escape;
        let mut out = String::from("<h1>Figures of datasets</h1>\n");
        let _ = writeln!(out, "<p>{}</p>\n<ul>", escape(&self.settings_line()));
        for (word, meaning) in WORDS {
            let _ = writeln!(out, "<li>{word}: {meaning}</li>");
        }
        out.push_str("</ul>\n");
        for Measured { task, datasets } in &self.measured {
            let name = task.name();
            let _ = write!(
                out,
                "<h2>{name}</h2>\n<div class=\"scroll\"><table><caption>{name}</caption>\n<thead><tr><th scope=\"col\">figure</th>"
            );
            datasets.iter().for_each(|(name, _)| {
                let _ = write!(out, "<th scope=\"col\">{}</th>", escape(name));
            });
            out.push_str("</tr></thead>\n<tbody>\n");
            for Line { name, text, .. } in lines() {
                let cells: String = datasets.iter().map(|(_, f)| format!("<td>{}</td>", escape(&text(f)))).collect();
                let _ = writeln!(out, "<tr><th scope=\"row\">{}</th>{cells}</tr>", escape(name));
            }
            out.push_str("</tbody></table></div>\n<div class=\"figures\">\n");
            let mut chart = |id: &str, title: &str, values: fn(&Figures) -> Option<&[f64]>| {
                let series: Vec<_> =
                    datasets.iter().filter_map(|(name, f)| Some((name.as_str(), values(f)?))).collect();
                if !series.is_empty() {
                    out.push_str(&Chart { id: format!("{name}-{id}"), title, range: (0.0, 1.0), series }.html());
                }
            };
            chart("jaccard", "Jaccard of source and target", |f| Some(&f.jaccard));
            chart("cosine", "Cosine of source and target", |f| f.cosine.as_deref());
            out.push_str("</div>\n");
        }
        html::page("Figures of datasets", &out)
    }

    /// Writes `evaluation.json`, `.md` and `.html` into a folder, all or none.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, dir: &Path) -> Result<()> {
        super::write(dir, &self.json(), &self.markdown(), &self.page())
    }
}

fn right(values: &[String]) -> String {
    use crate::run::view::shown_width;
    values.iter().map(|value| format!("{}{value}", " ".repeat(20_usize.saturating_sub(shown_width(value))))).collect()
}

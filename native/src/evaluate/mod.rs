//! `impossible evaluate`: files in, columns, and the table, Markdown, JSON and page that show them.
//!
//! The order of work: [`load`], then [`Loaded::push`] for a model's own outputs, then [`score`]; for datasets
//! [`datasets::measure`]. What is wrong with one file or one model is in `problems`, and the rest is computed.

mod chart;
pub mod datasets;
mod json;
mod markdown;
pub mod models;
mod page;
mod read;
mod table;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;

use std::fs;
use std::path::Path;

use method::evaluate::{
    Benchmark, Judge, Measure, Model, Report, System, TokenEncoder, baseline, encoder, judge, surface,
};
use record::Monitor;
use record::Task;
use record::{Error, ErrorKind, Result};

use crate::args::evaluate::EvaluateArgs;
use crate::fs::{Batch, io_error};
use crate::language;

/// A benchmark with the systems whose files could be read.
#[derive(Debug)]
pub struct Loaded {
    benchmark: Benchmark,
    problems: Vec<Error>,
    remarks: Vec<String>,
}

/// Reads the benchmark and the systems. A system that cannot be used is a problem of its own.
///
/// # Errors
/// Whatever is wrong with the benchmark.
pub fn load(args: &EvaluateArgs) -> Result<Loaded> {
    let (Some(task), Some(path)) = (args.task, args.data.as_deref()) else {
        return Err(Error::input("evaluate", "--task and --data, or --dataset", "neither"));
    };
    let mut data = read::benchmark(path, &args.source, args.reference.as_deref())?;
    let mut problems: Vec<Error> = data.problem.take().into_iter().collect();
    let name = path.display().to_string();
    let texts = || data.items.iter().flat_map(|item| item.references.iter().map(String::as_str));
    let mut remarks: Vec<String> = language::remark(&name, texts()).into_iter().collect();
    remarks.extend(language::rouge_remark(&name, texts()));
    let mut benchmark = Benchmark::new(task, data.items.clone())?;
    for spec in &args.system {
        let read = read::named(spec).and_then(|(name, file)| {
            let (system, remark) = read::system(&name, &file, args.output_field(task), args.join, &data)?;
            benchmark.push(system)?;
            Ok(remark)
        });
        match read {
            Ok(remark) => remarks.extend(remark),
            Err(problem) => problems.push(problem),
        }
    }
    Ok(Loaded { benchmark, problems, remarks })
}

impl Loaded {
    /// The items, for a model that is to answer for them.
    #[must_use]
    pub fn benchmark(&self) -> &Benchmark {
        &self.benchmark
    }

    /// Adds outputs that were made just now, as those of [`baseline::ZERO_SHOT`].
    ///
    /// # Errors
    /// [`Error::Input`] when the name is taken or outputs and items differ in number.
    pub fn push(&mut self, name: &str, outputs: Vec<String>) -> Result<()> {
        self.benchmark.push(System { name: name.to_owned(), outputs })
    }

    /// Notes what went wrong beside the files.
    pub fn problem(&mut self, problem: Error) {
        self.problems.push(problem);
    }
}

/// The models, or why one is not there; its columns are then left out.
pub struct Models<'m> {
    /// Entailment model.
    pub judge: Result<&'m mut dyn Judge, String>,
    /// Sentence encoder.
    pub encoder: Result<&'m mut dyn TokenEncoder, String>,
}

impl Models<'_> {
    /// None, for this reason.
    #[must_use]
    pub fn none(reason: &str) -> Self {
        Self { judge: Err(reason.to_owned()), encoder: Err(reason.to_owned()) }
    }
}

/// All that was found.
#[derive(Debug)]
pub struct Outcome {
    /// Columns and statistics.
    pub report: Report,
    /// Items and outputs.
    pub benchmark: Benchmark,
    /// What went wrong; the report is whole without it.
    pub problems: Vec<Error>,
    /// What a reader should know.
    pub remarks: Vec<String>,
}

/// Computes every column that can be, with intervals and tests. A model that fails, or is interrupted, costs its columns.
///
/// # Errors
/// [`Error::Input`] for settings out of range, and for a column that is none of the task's.
pub async fn score(
    args: &EvaluateArgs,
    loaded: Loaded,
    models: Models<'_>,
    monitor: &mut Monitor<'_>,
) -> Result<Outcome> {
    let Loaded { mut benchmark, mut problems, remarks } = loaded;
    if !args.no_baselines {
        let mut rows = vec![baseline::copy(benchmark.items())];
        if benchmark.task() == Task::Summary {
            rows.push(baseline::lead(benchmark.items(), args.lead));
        }
        for row in rows {
            if let Err(problem) = benchmark.push(row) {
                problems.push(problem);
            }
        }
    }
    if benchmark.systems().is_empty() {
        return Err(problems.into_iter().next().unwrap_or_else(|| Error::input("--system", "at least one", "none")));
    }
    let chosen = Measure::choose(benchmark.task(), &args.only)?;
    let mut table = surface::table(&benchmark, &chosen, args.stem)?;
    match models.encoder {
        Ok(model) => {
            if let Err(problem) = encoder::add(&mut table, &benchmark, model, monitor).await {
                table.leave_out(Model::Encoder, problem.to_string());
                problems.push(problem);
            }
        }
        Err(reason) => table.leave_out(Model::Encoder, reason),
    }
    let stopped = problems.iter().any(|problem| problem.kind() == ErrorKind::Interrupted);
    match models.judge {
        Ok(_) if stopped => table.leave_out(Model::Judge, Error::Interrupted.to_string()),
        Ok(model) => {
            if let Err(problem) = judge::add(&mut table, &benchmark, model, monitor).await {
                table.leave_out(Model::Judge, problem.to_string());
                problems.push(problem);
            }
        }
        Err(reason) => table.leave_out(Model::Judge, reason),
    }
    Ok(Outcome { report: Report::new(table, args.bootstrap())?, benchmark, problems, remarks })
}

impl Outcome {
    /// A table for terminals, at most 100 columns wide.
    #[must_use]
    pub fn text(&self) -> String {
        table::text(self)
    }

    /// The same as Markdown, with every interval.
    #[must_use]
    pub fn markdown(&self) -> String {
        markdown::markdown(self)
    }

    /// Everything but the texts.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        json::json(self)
    }

    /// One HTML page with distributions and `examples` worst and best outputs of each system.
    #[must_use]
    pub fn page(&self, examples: usize) -> String {
        page::page(self, examples)
    }

    /// Writes `evaluation.json`, `.md` and `.html` into a folder, all or none.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, dir: &Path, examples: usize) -> Result<()> {
        write(dir, &self.json(), &self.markdown(), &self.page(examples))
    }
}

/// The first problem as the failure of the command, after the others were said on stderr.
///
/// # Errors
/// The first problem.
pub fn finish(problems: Vec<Error>) -> Result<()> {
    let mut problems = problems.into_iter();
    let first = problems.next();
    problems.for_each(|problem| note!("error: {problem}"));
    first.map_or(Ok(()), Err)
}

fn write(dir: &Path, json: &serde_json::Value, markdown: &str, page: &str) -> Result<()> {
    fs::create_dir_all(dir).map_err(io_error("creating", dir))?;
    let mut batch = Batch::default();
    let json = format!("{json:#}\n");
    for (name, content) in [("evaluation.json", json.as_str()), ("evaluation.md", markdown), ("evaluation.html", page)]
    {
        let mut sink = batch.file(&dir.join(name))?;
        sink.put(content.as_bytes())?;
        sink.finish()?;
    }
    batch.commit()
}

//! Drives a training: checkpoints, metrics, Ctrl-C.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use impossible_core::lanes::wait;
use impossible_core::train::objective::Objective;
use impossible_core::train::trainer::{Report, Trainer};
use impossible_core::{Error, Result};
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::run::atomic::{io_error, read_small, sweep, write_file};

/// Checkpoints that are kept, beside the best.
const KEEP: usize = 2;

/// Largest checkpoint that is read.
const LARGEST: u64 = 64 << 30;

const BEST: &str = "best.safetensors";

/// A line of `metrics.jsonl`. `f32`, as lines are read and written again when a training goes on, and a shortest decimal
/// of an `f32` is read back exactly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Number of the step, from 1.
    pub step: u64,
    /// Epoch, from 0.
    pub epoch: u64,
    /// Mean loss of the step, in nats a target (a token, or a pair).
    pub loss: f32,
    /// Learning rate.
    pub rate: f32,
    /// Global norm of the gradients before clipping.
    pub norm: f32,
    /// Targets of the step.
    pub targets: usize,
    /// Mean loss of the held-out targets, where it was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<f32>,
}

impl Line {
    fn new(report: Report) -> Self {
        let Report { step, epoch, loss, rate, norm, targets, .. } = report;
        let [loss, rate, norm] = [loss, rate, norm].map(|v| v as f32);
        Self { step, epoch, loss, rate, norm, targets, validation: None }
    }
}

/// Name of the file of a training's metrics.
pub const METRICS: &str = "metrics.jsonl";

/// Reads a file of JSON lines that this program wrote.
///
/// # Errors
/// [`Error::Line`] for a line that is none; [`Error::Io`].
pub fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = fs::read_to_string(path).map_err(io_error("reading", path))?;
    let parse = |(i, line): (usize, &str)| {
        let file = path.display().to_string();
        serde_json::from_str(line).map_err(|e| Error::Line { file, line: i + 1, reason: e.to_string() })
    };
    text.lines().enumerate().map(parse).collect()
}

/// The folder of a training.
pub struct Folder {
    dir: PathBuf,
    plan: String,
}

impl Folder {
    /// A training of this plan (a hash) in `dir`.
    #[must_use]
    pub fn new(dir: &Path, plan: &str) -> Self {
        Self { dir: dir.to_owned(), plan: plan.to_owned() }
    }

    fn checkpoints(&self) -> PathBuf {
        self.dir.join("checkpoints")
    }

    /// Steps with a checkpoint, in order.
    fn steps(&self) -> Vec<u64> {
        let names = fs::read_dir(self.checkpoints()).into_iter().flatten().flatten();
        let step = |name: String| name.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok();
        let mut steps: Vec<u64> = names.filter_map(|e| step(e.file_name().into_string().ok()?)).collect();
        steps.sort_unstable();
        steps
    }

    fn step(&self, step: u64) -> PathBuf {
        self.checkpoints().join(format!("step-{step:08}.safetensors"))
    }

    fn restore<O: Objective>(&self, trainer: &mut Trainer<O>, path: &Path) -> Result<()> {
        trainer.restore(&path.display().to_string(), &read_small(path, LARGEST)?, &self.plan)
    }

    /// Lines of `metrics.jsonl` up to the step.
    ///
    /// # Errors
    /// [`Error::Line`] for a line that is none; [`Error::Io`].
    pub fn metrics(&self, until: u64) -> Result<Vec<Line>> {
        let path = self.dir.join(METRICS);
        if !path.is_file() {
            return Ok(Vec::new());
        }
        let mut lines: Vec<Line> = read_lines(&path)?;
        lines.retain(|l| l.step <= until);
        Ok(lines)
    }

    fn save<O: Objective>(&self, trainer: &Trainer<O>, metrics: &[Line], best: bool) -> Result<()> {
        let bytes = wait(trainer.save(&self.plan))?;
        // Metrics first: lines beyond the last checkpoint are dropped when the training goes on.
        let mut text = Vec::new();
        for line in metrics {
            serde_json::to_writer(&mut text, line).map_err(|e| Error::broken(METRICS, e.to_string()))?;
            text.push(b'\n');
        }
        write_file(&self.dir.join(METRICS), &text)?;
        write_file(&self.step(trainer.state.step), &bytes)?;
        if best {
            write_file(&self.checkpoints().join(BEST), &bytes)?;
        }
        let steps = self.steps();
        for &old in &steps[..steps.len().saturating_sub(KEEP)] {
            let path = self.step(old);
            fs::remove_file(&path).map_err(io_error("removing", &path))?;
        }
        Ok(())
    }
}

/// Trains to the end, from the last checkpoint if there is one; then takes the parameters that were best on held-out
/// examples. Answers the metrics. `looked` is called after each look at held-out examples.
///
/// # Errors
/// [`Error::Interrupted`] after Ctrl-C, with a checkpoint written; [`Error::NonFinite`] where loss or gradients are not
/// finite: the last checkpoint stays; the folder's own.
pub fn train<O: Objective + Sync>(
    folder: &Folder,
    trainer: &mut Trainer<O>,
    quiet: bool,
    stop: &Arc<AtomicBool>,
    mut looked: impl FnMut(&Trainer<O>, &Line) -> Result<()>,
) -> Result<Vec<Line>> {
    let checkpoints = folder.checkpoints();
    fs::create_dir_all(&checkpoints).map_err(io_error("creating", &checkpoints))?;
    sweep(&folder.dir)?;
    sweep(&checkpoints)?;
    if let Some(&last) = folder.steps().last() {
        folder.restore(trainer, &folder.step(last))?;
    }
    let mut metrics = folder.metrics(trainer.state.step)?;
    let total = trainer.total();
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(total) };
    let style = ProgressStyle::with_template("{prefix:>9} {bar:24} {pos}/{len} steps  {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_prefix("training");
    let (start, from, mut positions) = (Instant::now(), trainer.state.step, 0);
    let mut best = trainer.state.best;
    while !trainer.finished() {
        let report = wait(trainer.step())?;
        positions += report.positions;
        let mut line = Line::new(report);
        let stopping = stop.load(Ordering::Relaxed);
        if trainer.due() {
            line.validation = wait(trainer.validate())?;
        }
        metrics.push(line.clone());
        if trainer.due() || stopping {
            let better = trainer.state.best != best;
            best = trainer.state.best;
            folder.save(trainer, &metrics, better)?;
        }
        if line.validation.is_some() {
            looked(trainer, &line)?;
        }
        if stopping && !trainer.finished() {
            bar.finish_and_clear();
            eprintln!(
                "Step {} of {total} is saved in {}. The same command goes on from there.",
                trainer.state.step,
                folder.dir.display()
            );
            return Err(Error::Interrupted);
        }
        let seconds = start.elapsed().as_secs_f64().max(1e-3);
        #[allow(clippy::cast_precision_loss)]
        let (rate, left) = (
            positions as f64 / seconds,
            seconds / (trainer.state.step - from) as f64 * total.saturating_sub(trainer.state.step) as f64,
        );
        let left = HumanDuration(std::time::Duration::from_secs_f64(left));
        let held_out = best.map_or_else(String::new, |(loss, step)| format!(", held out {loss:.3} at {step}"));
        bar.set_message(format!("loss {:.3}{held_out}, {rate:.0} tokens/s, {left} left", report.loss));
        bar.set_position(trainer.state.step);
    }
    bar.finish_and_clear();
    let path = checkpoints.join(BEST);
    if path.is_file() {
        folder.restore(trainer, &path)?;
    }
    Ok(metrics)
}

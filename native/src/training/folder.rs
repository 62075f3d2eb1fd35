//! Running a training in a folder, with checkpoints, metrics and Ctrl-C.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use lm::lanes::wait;
use lm::train::course::{self, Course, Step};
use lm::train::gradient::Precision;
use lm::train::objective::Objective;
use lm::train::trainer::{Report, Trainer};
use record::{Error, Monitor, Result};
use serde::{Deserialize, Serialize};

use super::seal;
use crate::fs::{io_error, read_lines, read_small, sweep, write_file, write_lines};
use crate::progress::Note;
use crate::session::Session;

/// Number of checkpoints kept in addition to the best one.
const KEEP: usize = 2;

/// Largest accepted checkpoint, in bytes.
const LARGEST: u64 = 64 << 30;

/// Number of held-out examples below which the user is warned.
const FEWEST_HELD_OUT: usize = 20;

const BEST: &str = "best.safetensors";

/// A line of `metrics.jsonl`. Values are `f32`, whose shortest decimal form is read back exactly, because lines are
/// read and rewritten when a training is resumed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Number of the step, from 1.
    pub step: u64,
    /// Epoch, from 0.
    pub epoch: u64,
    /// Mean loss of the step, in nats per target (a token or a pair).
    pub loss: f32,
    /// Learning rate of the step.
    pub rate: f32,
    /// Global L2 norm of the gradients before clipping.
    pub norm: f32,
    /// Number of targets of the step.
    pub targets: usize,
    /// Mean held-out loss in nats per target, if it was computed after this step.
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

/// Name of the metrics file in a training's folder.
pub const METRICS: &str = "metrics.jsonl";

/// The folder of a training.
pub struct Folder {
    dir: PathBuf,
    plan: String,
}

impl Folder {
    /// The folder `dir` of a training whose plan has this hash.
    #[must_use]
    pub fn new(dir: &Path, plan: &str) -> Self {
        Self { dir: dir.to_owned(), plan: plan.to_owned() }
    }

    fn checkpoints(&self) -> PathBuf {
        self.dir.join("checkpoints")
    }

    /// Steps with a checkpoint, in ascending order.
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
        let (name, bytes) = (path.display().to_string(), read_small(path, LARGEST)?);
        seal::check(&name, &bytes)?;
        trainer.restore(&name, &bytes, &self.plan)
    }

    /// The checkpoint with the best held-out loss, that of `step`: by itself, or among the last ones.
    fn best(&self, step: u64) -> Result<(PathBuf, Vec<u8>)> {
        let best = self.checkpoints().join(BEST);
        let mut why = None;
        for path in [best.clone(), self.step(step)] {
            if !path.is_file() {
                continue;
            }
            let bytes = read_small(&path, LARGEST)?;
            match seal::check(&path.display().to_string(), &bytes) {
                Ok(()) => return Ok((path, bytes)),
                Err(error) => why = why.or(Some(error)),
            }
        }
        let again = format!("Remove {} to train again.", self.dir.display());
        let what = format!("the checkpoint of step {step}, which is the best one,");
        let damaged = why.map_or_else(String::new, |error| format!("{error}. "));
        Err(Error::Missing { what, place: best.display().to_string(), hint: damaged + &again })
    }

    /// Lines of `metrics.jsonl` up to a step, inclusive.
    ///
    /// # Errors
    /// [`Error::Line`] for an invalid line; [`Error::Io`] when reading fails.
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
        let bytes = seal::sealed("the checkpoint", &wait(trainer.save(&self.plan))?)?;
        // Metrics first, because lines after the last checkpoint are dropped when the training is resumed.
        write_lines(&self.dir.join(METRICS), metrics)?;
        // The best one before the last one, whose state says which step is the best.
        if best {
            write_file(&self.checkpoints().join(BEST), &bytes)?;
        }
        write_file(&self.step(trainer.state.step), &bytes)?;
        let steps = self.steps();
        for &old in &steps[..steps.len().saturating_sub(KEEP)] {
            let path = self.step(old);
            fs::remove_file(&path).map_err(io_error("removing", &path))?;
        }
        Ok(())
    }
}

/// Saves checkpoints and metrics and updates the progress bar after each step.
struct Keeper<'a, F> {
    folder: &'a Folder,
    metrics: Vec<Line>,
    best: Option<(f32, u64)>,
    positions: usize,
    start: Instant,
    note: Note,
    looked: F,
}

impl<O: Objective + Sync, F: FnMut(&Trainer<O>, &Line) -> Result<()>> Course<O> for Keeper<'_, F> {
    async fn stepped(&mut self, trainer: &Trainer<O>, step: &Step) -> Result<()> {
        let line = Line { validation: step.validation, ..Line::new(step.report) };
        self.metrics.push(line.clone());
        if step.checkpoint {
            let better = trainer.state.best != self.best;
            self.best = trainer.state.best;
            self.folder.save(trainer, &self.metrics, better)?;
        }
        if line.validation.is_some() {
            (self.looked)(trainer, &line)?;
        }
        self.positions += step.report.positions;
        #[allow(clippy::cast_precision_loss)]
        let rate = self.positions as f64 / self.start.elapsed().as_secs_f64().max(1e-3);
        let held_out = self.best.map_or_else(String::new, |(loss, step)| format!(", held out {loss:.3} at {step}"));
        self.note.set(format!("loss {:.3}{held_out}, {rate:.0} tokens/s", line.loss));
        Ok(())
    }
}

/// The likely cause of a loss that is not finite: as the weights were finite before, the settings.
fn cause<O: Objective + Sync>(error: Error, trainer: &Trainer<O>) -> Error {
    let Error::NonFinite { what, .. } = error else { return error };
    let settings = trainer.settings();
    let mut advice = vec![format!("a lower --learning-rate than {}", settings.learning_rate)];
    if settings.clip == 0.0 || settings.clip > 1.0 {
        advice.push("gradients clipped by --clip 1".to_owned());
    }
    if settings.compute != Precision::F32 {
        advice.push("--compute f32".to_owned());
    }
    Error::input(
        "the settings of the training",
        format_args!("ones that keep loss and gradients finite: {}", advice.join(", ")),
        format_args!("after step {}: {what} is not finite", trainer.state.step),
    )
}

/// Trains to the end, starting from the last checkpoint if there is one, then restores the parameters with the best
/// held-out loss. Returns the metrics. `looked` is called after each evaluation on the held-out examples.
///
/// # Errors
/// [`Error::Interrupted`] after Ctrl-C, with a checkpoint saved; [`Error::Input`] when loss or gradients are not
/// finite, with the last checkpoint kept; errors of reading and writing the folder.
pub fn train<O: Objective + Sync>(
    session: &Session,
    folder: &Folder,
    trainer: &mut Trainer<O>,
    looked: impl FnMut(&Trainer<O>, &Line) -> Result<()>,
) -> Result<Vec<Line>> {
    let checkpoints = folder.checkpoints();
    fs::create_dir_all(&checkpoints).map_err(io_error("creating", &checkpoints))?;
    sweep(&folder.dir)?;
    sweep(&checkpoints)?;
    if let Some(&last) = folder.steps().last() {
        folder.restore(trainer, &folder.step(last))?;
    }
    if let Some((_, step)) = trainer.state.best {
        // Now, and not after hours of training.
        folder.best(step)?;
    }
    let held_out = trainer.sizes().1;
    if (1..FEWEST_HELD_OUT).contains(&held_out) {
        note!(
            "Only {held_out} examples are held out: their loss says little, and the best checkpoint is chosen by it. \
             More pairs, or a larger --validation, help."
        );
    }
    let (done, total) = (trainer.state.step, trainer.total());
    let mut bar = session.bar("steps", done, total)?;
    let mut keeper = Keeper {
        folder,
        metrics: folder.metrics(done)?,
        best: trainer.state.best,
        positions: 0,
        start: Instant::now(),
        note: bar.note(),
        looked,
    };
    let ended = wait(course::run(trainer, &mut keeper, &mut Monitor::new(&mut bar, done, total)));
    bar.finish();
    if ended == Err(Error::Interrupted) {
        note!(
            "Step {} of {total} is saved in {}. The same command goes on from there.",
            trainer.state.step,
            folder.dir.display()
        );
    }
    ended.map_err(|error| cause(error, trainer))?;
    let best = trainer.state.best;
    if let Some((_, step)) = best {
        let (path, bytes) = folder.best(step)?;
        trainer.restore(&path.display().to_string(), &bytes, &folder.plan)?;
        if trainer.state.step != step {
            let again = format!("remove {} to train again", folder.dir.display());
            return Err(Error::broken(path.display(), format!("it is not the checkpoint of step {step}; {again}")));
        }
        trainer.state.best = best;
    }
    Ok(keeper.metrics)
}

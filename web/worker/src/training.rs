//! A training of the browser: which pairs it has, and when it goes on.

use lm::device::Compute;
use lm::model::ModelFolder;
use lm::train::trainer::Settings;
use method::critic::Panel;
use method::student::{Format, Lesson, lesson as lessons};
use record::{Error, Kept, Result};

use crate::distilled::{Distilled, Shared};

/// Number of sentences that the student rewrites before the training and after each epoch.
pub const LOOKS: usize = 4;

/// A training, unfinished or finished.
pub struct Training {
    /// The student and its optimiser.
    pub lesson: Lesson,
    /// The training pairs; with other pairs a new training is started.
    pub pairs: Vec<(String, String)>,
    /// Sentences that the student is not trained on; sample versions are of these.
    pub unseen: Vec<String>,
    /// Number of finished epochs at the last sample versions.
    pub looked: Option<u64>,
    /// Critics of the sample versions.
    pub panel: Panel,
    /// Seed of the sample versions.
    pub seed: u64,
}

/// The student that a training starts from.
#[derive(Clone, Copy)]
pub struct Base<'a> {
    /// Its weights.
    pub folder: &'a ModelFolder,
    /// Its prompts.
    pub format: &'a Format,
    /// The device to train on.
    pub compute: &'a Compute,
}

fn begin(base: Base<'_>, distilled: &Distilled, kept: &[Kept], epochs: u64) -> Result<Training> {
    let settings = Settings { epochs, evaluate_every: 0, ..lessons::settings(base.folder.parameters(), true) };
    let seed = distilled.plan.seed;
    // A reworder's student is given whole sentences.
    let format = match base.format.damage {
        Some(_) => lessons::format_for(base.folder, &base.format.tasks)?,
        None => base.format.clone(),
    };
    let lesson = Lesson::new(base.folder, kept, format, settings, seed, base.compute)?;
    let panel = Panel::new(&distilled.thresholds.paraphrase, &distilled.thresholds.summary);
    let unseen = distilled.unseen(kept, LOOKS);
    Ok(Training { lesson, pairs: pairs(kept), unseen, looked: None, panel, seed })
}

fn pairs(kept: &[Kept]) -> Vec<(String, String)> {
    kept.iter().map(|k| (k.text.clone(), k.target.clone())).collect()
}

/// The training on the pairs that are kept now: the interrupted one if it has the same pairs, else a new one.
pub fn training(base: Base<'_>, shared: &Shared, before: Option<Training>, epochs: u64) -> Result<Training> {
    let slot = shared.borrow();
    let distilled = slot.as_ref().ok_or_else(|| Error::input("training", "pairs of a distillation", "none"))?;
    let kept = distilled.filter()?.kept;
    if kept.is_empty() {
        return Err(Error::input("training", "at least one kept pair", "none; loosen the thresholds"));
    }
    match before.filter(|training| !training.lesson.trainer.finished() && training.pairs == pairs(&kept)) {
        Some(training) => Ok(training),
        None => begin(base, distilled, &kept, epochs.clamp(1, 50)),
    }
}

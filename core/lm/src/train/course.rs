//! A training from its first or next step to its last, for a host that keeps checkpoints and shows progress.

use record::Monitor;
use record::monitor::Stage;

use super::objective::Objective;
use super::trainer::{Report, Trainer};
use crate::Result;

/// One step of a training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// What the step gave.
    pub report: Report,
    /// Mean loss of the held-out targets after it, where it was due, in nats.
    pub validation: Option<f32>,
    /// Whether a checkpoint is due: after a look at held-out examples, before a stop, and at the end.
    pub checkpoint: bool,
}

/// The host's side of a training.
pub trait Course<O: Objective> {
    /// Called after every step.
    ///
    /// # Errors
    /// The host's; the training then ends.
    fn stepped(&mut self, trainer: &Trainer<O>, step: &Step) -> impl Future<Output = Result<()>>;
}

/// Takes every step that is left. Held-out examples are looked at where the settings say so. The monitor counts steps.
///
/// # Errors
/// [`crate::Error::Interrupted`] when the host asked to stop, after [`Course::stepped`] of the last step;
/// [`crate::Error::NonFinite`] where loss or gradients are not finite; the host's.
pub async fn run<O: Objective + Sync>(
    trainer: &mut Trainer<O>,
    course: &mut impl Course<O>,
    monitor: &mut Monitor<'_>,
) -> Result<()> {
    monitor.stage(Stage::Training)?;
    while !trainer.finished() {
        let report = trainer.step().await?;
        let stop = monitor.at(Stage::Training, trainer.state.step, trainer.total());
        let due = trainer.due();
        let validation = if due { trainer.validate().await? } else { None };
        course.stepped(trainer, &Step { report, validation, checkpoint: due || stop.is_err() }).await?;
        if !trainer.finished() {
            stop?;
        }
        monitor.rest().await;
    }
    Ok(())
}

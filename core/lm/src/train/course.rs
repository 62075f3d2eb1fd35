//! Running a training to its end, for a host that saves checkpoints and shows progress.

use record::Monitor;
use record::monitor::Stage;

use super::objective::Objective;
use super::trainer::{Report, Trainer};
use crate::Result;

/// Results of one step of a training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Loss, learning rate and sizes of the step.
    pub report: Report,
    /// Mean held-out loss per target after the step, in nats, if it was computed.
    pub validation: Option<f32>,
    /// Whether to save a checkpoint: after an evaluation, before stopping, and at the end.
    pub checkpoint: bool,
}

/// Receives the steps of a training; implemented by hosts.
pub trait Course<O: Objective> {
    /// Called after every step.
    ///
    /// # Errors
    /// Errors of the host, which end the training.
    fn stepped(&mut self, trainer: &Trainer<O>, step: &Step) -> impl Future<Output = Result<()>>;
}

/// Takes all remaining steps and evaluates on the held-out examples as the settings say. The monitor's units are steps.
///
/// # Errors
/// [`crate::Error::Interrupted`] when the host asked to stop, after [`Course::stepped`] of the last step taken;
/// [`crate::Error::NonFinite`] when loss or gradients are not finite; errors of the host.
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

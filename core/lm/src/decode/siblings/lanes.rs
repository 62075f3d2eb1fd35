//! Batched sampling on the CPU, as two half batches in parallel. Rows are distributed by the jobs alone, independently
//! of the number of cores, so that matrix products have the same number of rows on every machine.

use super::{Loop, Prefilled};
use crate::lanes::{scatter, wait};
use crate::{Error, Result};
use record::monitor::{Progress, Signal, Watch};
use record::{Monitor, Sample};

/// Number of half batches. Their matrix products take as long as those of one batch, and all other work runs in
/// parallel.
const LANES: usize = 2;

/// Jobs with fewer rows are not split, as using the prompt in both halves costs more than splitting saves.
const SPLIT: usize = 8;

enum Message {
    Prompt(usize, Result<super::Read>),
    Ended(Vec<Sample>),
    Rows(Result<Vec<(usize, Sample)>>),
}

/// Forwards a lane's rows to the caller's thread, and the caller's stop signal to the lane.
struct Forward<'a>(&'a dyn Fn(Message) -> bool);

impl Watch for Forward<'_> {
    fn progress(&mut self, _: &Progress) -> Signal {
        if (self.0)(Message::Ended(Vec::new())) { Signal::Continue } else { Signal::Stop }
    }

    fn sampled(&mut self, rows: &[Sample]) {
        // The `progress` call that follows returns the stop signal.
        let _ = (self.0)(Message::Ended(rows.to_vec()));
    }
}

impl Loop<'_> {
    /// Samples every row of every job in two lanes, or in one if there are few rows.
    pub(super) fn in_lanes(&self, monitor: &mut Monitor<'_>) -> Result<Vec<(usize, Sample)>> {
        let mut queues: [Vec<(usize, u32)>; LANES] = Default::default();
        let mut shared = Vec::new();
        for (j, job) in self.jobs.iter().enumerate() {
            let rows = job.rows.len();
            for (i, row) in job.rows.clone().enumerate() {
                queues[if rows >= SPLIT { i * LANES / rows } else { j % LANES }].push((j, row));
            }
            if rows >= SPLIT {
                shared.push(j);
            }
        }
        if queues.iter().map(Vec::len).min() < Some(SPLIT / LANES) {
            return wait(self.run(self.queue(), &Prefilled::new(), monitor));
        }
        let mut failed = None;
        let mut prefilled = Prefilled::new();
        // Prompts are few and long: a single one is prefilled with all cores.
        let readers = if shared.len() > 1 { LANES } else { 1 };
        scatter(
            readers,
            shared,
            |job, send| {
                send(Message::Prompt(job, wait(self.read(job))));
            },
            |message| {
                match message {
                    Message::Prompt(job, Ok(read)) => drop(prefilled.insert(job, read)),
                    Message::Prompt(_, Err(error)) => failed = Some(error),
                    _ => {}
                }
                failed = failed.take().or_else(|| monitor.tell().err());
                failed.is_none()
            },
        )?;
        if let Some(error) = failed {
            return Err(error);
        }
        let (mut out, mut stopped) = (Vec::new(), false);
        let narrow =
            Self { limits: super::Limits { batch: self.limits.batch.div_ceil(LANES), ..self.limits }, ..*self };
        scatter(
            LANES,
            queues.into(),
            |queue, send| {
                let rows = wait(narrow.run(queue, &prefilled, &mut Monitor::new(&mut Forward(send), 0, 0)));
                send(Message::Rows(rows));
            },
            |message| {
                match message {
                    Message::Ended(rows) => stopped |= monitor.sampled(&rows).is_err(),
                    Message::Rows(Ok(rows)) => out.extend(rows),
                    Message::Rows(Err(error)) if error != Error::Interrupted => failed = failed.take().or(Some(error)),
                    _ => {}
                }
                failed.is_none() && !stopped
            },
        )?;
        match failed {
            Some(error) => Err(error),
            None if stopped => Err(Error::Interrupted),
            None => Ok(out),
        }
    }
}

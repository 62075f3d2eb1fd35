//! State of a training on the page.

use super::work::Work;
use protocol::{Look, Response, Run, Training};

/// Sample versions by the student at one point of the training.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Number of finished epochs; 0 = before the training.
    pub epoch: u64,
    /// The sample versions.
    pub looks: Vec<Look>,
}

/// State of a training.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Learning {
    /// State of the latest run.
    pub work: Work,
    /// Step and training loss, in nats per token.
    pub losses: Vec<(u64, f32)>,
    /// Step and held-out loss, in nats per token.
    pub held_out: Vec<(u64, f32)>,
    /// Sample versions, in the order of epochs.
    pub seen: Vec<Seen>,
    /// Number of steps taken.
    pub step: u64,
    /// Number of steps in total.
    pub total: u64,
    /// Seconds of the latest run.
    pub seconds: f64,
    /// Whether all steps have been taken.
    pub finished: bool,
}

impl Learning {
    /// Starts a new run: after a finished training with an empty state, else resuming.
    pub fn begin(&mut self, run: Run) {
        if self.finished {
            *self = Self::default();
        }
        self.work = Work::begin(run);
    }

    /// Updates the state by a response; responses of other runs are ignored.
    pub fn hear(&mut self, response: &Response) {
        self.work.hear(response);
        match response {
            Response::Training(t) if t.run == self.work.run => self.step(t),
            Response::Done { run, stopped, .. } if *run == self.work.run => self.finished = !*stopped,
            _ => {}
        }
    }

    fn step(&mut self, t: &Training) {
        // The worker started a new training, because the pairs have changed.
        if t.step < self.step {
            *self = Self { work: Work::begin(t.run), ..Self::default() };
        }
        (self.step, self.total, self.seconds) = (t.step, t.total, t.seconds);
        self.losses.extend(t.loss.map(|loss| (t.step, loss)));
        self.held_out.extend(t.validation.map(|loss| (t.step, loss)));
        if !t.looks.is_empty() {
            self.seen.push(Seen { epoch: t.epoch, looks: t.looks.clone() });
        }
    }

    /// A status message for screen readers.
    #[must_use]
    pub fn told(&self) -> String {
        let loss = self.losses.last().map_or_else(String::new, |(_, l)| format!(" Loss {l:.2}."));
        match (&self.work.problem, self.work.run) {
            (Some(problem), _) => problem.what.clone(),
            (_, 0) => String::new(),
            _ if self.finished => format!("The student is trained: {} steps.{loss}", self.step),
            _ if self.work.running => format!("Step {} of {}.{loss}", self.step, self.total),
            _ => format!("Stopped after step {} of {}; it can go on.{loss}", self.step, self.total),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Speed;

    fn step(run: Run, step: u64) -> Response {
        Response::Training(Training { run, step, total: 10, loss: Some(1.0 / step as f32), ..Training::default() })
    }

    #[test]
    fn a_training_stops_and_goes_on() {
        let mut state = Learning::default();
        state.begin(1);
        for n in 1..=4 {
            state.hear(&step(1, n));
        }
        state.hear(&Response::Done { run: 1, stopped: true, speed: Speed::default() });
        assert!(!state.work.running && !state.finished && state.told().contains("can go on"));
        state.begin(2);
        state.hear(&step(1, 99));
        for n in 5..=10 {
            state.hear(&step(2, n));
        }
        state.hear(&Response::Done { run: 2, stopped: false, speed: Speed::default() });
        assert_eq!((state.losses.len(), state.finished), (10, true));
        // With other pairs the worker starts at the first step again.
        state.begin(3);
        state.hear(&step(3, 1));
        assert_eq!(state.losses, [(1, 1.0)]);
    }

    #[test]
    fn other_pairs_begin_a_new_curve() {
        let mut state = Learning::default();
        state.begin(1);
        state.hear(&step(1, 5));
        state.hear(&Response::Done { run: 1, stopped: true, speed: Speed::default() });
        state.begin(2);
        state.hear(&step(2, 1));
        assert_eq!((state.losses.len(), state.step, state.work.running), (1, 1, true));
    }
}

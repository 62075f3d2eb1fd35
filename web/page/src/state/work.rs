//! Work that the worker does for a room, as far as all of it is alike: it runs, and ends in one way or another.

use protocol::{Problem, Response, Run};

/// A run of the worker.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Work {
    /// Its number; 0 before the first.
    pub run: Run,
    /// It is going on.
    pub running: bool,
    /// The visitor stopped it.
    pub stopped: bool,
    /// It failed.
    pub problem: Option<Problem>,
}

impl Work {
    /// A new run.
    #[must_use]
    pub fn begin(run: Run) -> Self {
        Self { run, running: true, ..Self::default() }
    }

    /// Takes the answer that ends it; others are not its business.
    pub fn hear(&mut self, response: &Response) {
        match response {
            Response::Done { run, stopped, .. } if *run == self.run => {
                (self.running, self.stopped) = (false, *stopped);
            }
            Response::Failed { run: Some(run), problem } if *run == self.run => self.fail(problem.clone()),
            _ => {}
        }
    }

    /// It ends here.
    pub fn fail(&mut self, problem: Problem) {
        if self.running {
            (self.running, self.problem) = (false, Some(problem));
        }
    }
}

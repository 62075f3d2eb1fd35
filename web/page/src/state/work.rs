//! State that all runs of the worker have in common.

use protocol::{Problem, Response, Run};

/// State of a run of the worker.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Work {
    /// Number of the run; 0 before the first.
    pub run: Run,
    /// Whether the run has not ended.
    pub running: bool,
    /// Whether the user stopped the run.
    pub stopped: bool,
    /// Why the run failed, if it did.
    pub problem: Option<Problem>,
}

impl Work {
    /// The state of a new run.
    #[must_use]
    pub fn begin(run: Run) -> Self {
        Self { run, running: true, ..Self::default() }
    }

    /// Updates the state by a response that ends the run; all others are ignored.
    pub fn hear(&mut self, response: &Response) {
        match response {
            Response::Done { run, stopped, .. } if *run == self.run => {
                (self.running, self.stopped) = (false, *stopped);
            }
            Response::Failed { run: Some(run), problem } if *run == self.run => self.fail(problem.clone()),
            _ => {}
        }
    }

    /// Marks a running run as failed.
    pub fn fail(&mut self, problem: Problem) {
        if self.running {
            (self.running, self.problem) = (false, Some(problem));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Speed;

    fn done(run: Run, stopped: bool) -> Response {
        Response::Done { run, stopped, speed: Speed::default() }
    }

    fn failed(run: Option<Run>) -> Response {
        Response::Failed { run, problem: problem("It failed.") }
    }

    fn problem(what: &str) -> Problem {
        Problem { what: what.into(), step: String::new() }
    }

    #[test]
    fn a_run_ends_once_and_in_one_way() {
        assert!(!Work::default().running);
        for (end, stopped, fails) in
            [(done(2, false), false, false), (done(2, true), true, false), (failed(Some(2)), false, true)]
        {
            let mut work = Work::begin(2);
            assert!(work.running);
            work.hear(&end);
            let ended = Work { run: 2, running: false, stopped, problem: fails.then(|| problem("It failed.")) };
            assert_eq!(work, ended);
            // A run that has ended can no longer fail.
            work.fail(problem("The worker is gone."));
            assert_eq!(work, ended);
        }
    }

    #[test]
    fn answers_of_other_runs_and_of_the_loading_are_not_its_business() {
        let mut work = Work::begin(2);
        for other in [done(1, true), done(3, false), failed(Some(1)), failed(None), Response::Notice(problem("Odd."))] {
            work.hear(&other);
            assert_eq!(work, Work::begin(2), "{other:?}");
        }
        work.fail(problem("The worker is gone."));
        assert_eq!((work.running, work.problem), (false, Some(problem("The worker is gone."))));
    }
}

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
            // What ended does not fail any more.
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

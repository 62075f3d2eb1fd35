//! The worker's connection to the page: responses, stop requests and speed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use gloo::timers::future::TimeoutFuture;
use gloo::worker::{HandlerId, WorkerScope};
use record::Sample;
use record::monitor::{Progress, Rest, Signal, Stage, Watch};
use wasm_bindgen::JsCast;

use super::Engine;
use protocol::{Response, Run, Speed};

/// Milliseconds of work after which the worker yields to receive messages.
const WORK_MS: f64 = 80.0;

/// Milliseconds since the worker was started.
pub(super) fn now() -> f64 {
    let scope = js_sys::global().unchecked_into::<web_sys::WorkerGlobalScope>();
    scope.performance().map_or(0.0, |p| p.now())
}

struct Inner {
    scope: WorkerScope<Engine>,
    page: Cell<Option<HandlerId>>,
    /// The current run.
    run: Cell<Run>,
    /// Runs that were asked to stop.
    stop: RefCell<BTreeSet<Run>>,
    /// Time at which the worker last received messages.
    listened: Cell<f64>,
    started: Cell<f64>,
    speed: RefCell<Speed>,
}

/// A shared handle to the connection.
#[derive(Clone)]
pub(super) struct Desk(Rc<Inner>);

impl Desk {
    pub(super) fn new(scope: WorkerScope<Engine>) -> Self {
        Self(Rc::new(Inner {
            scope,
            page: Cell::new(None),
            run: Cell::new(0),
            stop: RefCell::default(),
            listened: Cell::new(0.0),
            started: Cell::new(0.0),
            speed: RefCell::default(),
        }))
    }

    pub(super) fn answer_to(&self, page: HandlerId) {
        self.0.page.set(Some(page));
    }

    pub(super) fn say(&self, response: Response) {
        if let Some(page) = self.0.page.get() {
            self.0.scope.respond(page, response);
        }
    }

    /// Starts a run: resets time and speed.
    pub(super) fn begin(&self, run: Run) {
        self.0.run.set(run);
        if run > 0 {
            self.0.stop.borrow_mut().retain(|stopped| *stopped >= run);
        }
        self.0.started.set(now());
        *self.0.speed.borrow_mut() = Speed::default();
    }

    pub(super) fn run(&self) -> Run {
        self.0.run.get()
    }

    pub(super) fn interrupt(&self, run: Run) {
        self.0.stop.borrow_mut().insert(run);
    }

    pub(super) fn stopped(&self) -> bool {
        self.0.stop.borrow().contains(&self.run())
    }

    /// Yields so that messages are received, if the last time is long enough ago.
    pub(super) async fn listen(&self) {
        if now() - self.0.listened.get() > WORK_MS {
            TimeoutFuture::new(0).await;
            self.0.listened.set(now());
        }
    }

    /// Seconds since the run was started.
    pub(super) fn seconds(&self) -> f64 {
        (now() - self.0.started.get()) / 1000.0
    }

    pub(super) fn speed(&self) -> Speed {
        let memory = core::arch::wasm32::memory_size(0) as u64 * 65_536;
        Speed { all_s: self.seconds(), memory, ..*self.0.speed.borrow() }
    }

    /// Records the time of the first token, once per run.
    fn first(&self) {
        let mut speed = self.0.speed.borrow_mut();
        if speed.first_s == 0.0 {
            speed.first_s = self.seconds();
        }
    }
}

/// The worker's implementation of [`Watch`]: receives messages, passes on finished rows, and measures the speed.
pub(super) struct Attention<F: FnMut(&[Sample])> {
    desk: Desk,
    rows: F,
    before: Progress,
    since: f64,
}

impl<F: FnMut(&[Sample])> Attention<F> {
    pub(super) fn new(desk: &Desk, rows: F) -> Self {
        Self { desk: desk.clone(), rows, before: Progress::default(), since: now() }
    }
}

impl<F: FnMut(&[Sample])> Watch for Attention<F> {
    fn progress(&mut self, progress: &Progress) -> Signal {
        let writes = matches!(progress.stage, Stage::Contexts | Stage::Siblings | Stage::Versions);
        // Every row's first token is drawn before the stage's second report.
        if writes && progress.stage == self.before.stage {
            self.desk.first();
        }
        let time = now();
        let mut speed = self.desk.0.speed.borrow_mut();
        if matches!(self.before.stage, Stage::Siblings | Stage::Versions) {
            speed.writing_s += (time - self.since) / 1000.0;
        }
        if matches!(progress.stage, Stage::Siblings | Stage::Versions) {
            speed.tokens += progress.tokens - self.before.tokens;
        }
        speed.pairs += progress.pairs - self.before.pairs;
        (self.before, self.since) = (*progress, time);
        if self.desk.stopped() { Signal::Stop } else { Signal::Continue }
    }

    fn sampled(&mut self, rows: &[Sample]) {
        // Rows of contexts are not passed on, because contexts are shown when complete.
        if self.before.stage != Stage::Contexts {
            (self.rows)(rows);
        }
    }

    fn rest(&mut self) -> Rest<'_> {
        Box::pin(self.desk.listen())
    }
}

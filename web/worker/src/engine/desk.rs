//! Where the worker speaks to the page, hears "stop", and notes how fast it is.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use gloo::timers::future::TimeoutFuture;
use gloo::worker::{HandlerId, WorkerScope};
use impossible_core::critic::models::PairObserver;
use impossible_core::event::{BoxFuture, Event, Observer, Rest, Signal};
use impossible_core::record::Sample;
use wasm_bindgen::JsCast;

use super::Engine;
use protocol::{Response, Run, Speed};

/// Milliseconds of work between two moments in which the worker listens.
const WORK_MS: f64 = 80.0;

/// Milliseconds since the worker began.
pub(super) fn now() -> f64 {
    let scope = js_sys::global().unchecked_into::<web_sys::WorkerGlobalScope>();
    scope.performance().map_or(0.0, |p| p.now())
}

struct Inner {
    scope: WorkerScope<Engine>,
    page: Cell<Option<HandlerId>>,
    /// The run at work.
    run: Cell<Run>,
    /// Runs that are to stop.
    stop: RefCell<BTreeSet<Run>>,
    /// When it last listened.
    listened: Cell<f64>,
    started: Cell<f64>,
    speed: RefCell<Speed>,
}

/// Shared by everything that works.
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

    /// A new piece of work.
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

    /// Lets messages in, if it is time.
    pub(super) async fn listen(&self) {
        if now() - self.0.listened.get() > WORK_MS {
            TimeoutFuture::new(0).await;
            self.0.listened.set(now());
        }
    }

    /// Seconds since the run began.
    pub(super) fn seconds(&self) -> f64 {
        (now() - self.0.started.get()) / 1000.0
    }

    pub(super) fn speed(&self) -> Speed {
        let memory = core::arch::wasm32::memory_size(0) as u64 * 65_536;
        Speed { all_s: self.seconds(), memory, ..*self.0.speed.borrow() }
    }

    /// Counts what a stage of writing gave.
    pub(super) fn wrote(&self, tokens: u64, seconds: f64) {
        let mut speed = self.0.speed.borrow_mut();
        speed.tokens += tokens;
        speed.writing_s += seconds;
    }

    /// The first token is there.
    fn first(&self) {
        let mut speed = self.0.speed.borrow_mut();
        if speed.first_s == 0.0 {
            speed.first_s = self.seconds();
        }
    }
}

/// Hears of sampling; hands on rows that ended.
pub(super) struct Writing<F: FnMut(&[Sample])> {
    pub(super) desk: Desk,
    pub(super) rows: F,
}

impl<F: FnMut(&[Sample])> Observer for Writing<F> {
    fn event(&mut self, _: &Event) -> Signal {
        // Each row's first token is drawn before the first event.
        self.desk.first();
        if self.desk.stopped() { Signal::Stop } else { Signal::Continue }
    }

    fn sampled(&mut self, rows: &[Sample]) {
        (self.rows)(rows);
    }

    fn rest(&mut self) -> Rest<'_> {
        Box::pin(self.desk.listen())
    }
}

/// Hears of the critic's batches.
pub(super) struct Reading {
    pub(super) desk: Desk,
    before: u64,
}

impl Reading {
    pub(super) fn new(desk: Desk) -> Self {
        Self { desk, before: 0 }
    }
}

impl PairObserver for Reading {
    fn read(&mut self, pairs: u64) -> Signal {
        self.desk.0.speed.borrow_mut().pairs += pairs - self.before;
        self.before = pairs;
        if self.desk.stopped() { Signal::Stop } else { Signal::Continue }
    }

    fn rest(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.desk.listen())
    }
}

/// An event to count in.
pub(super) fn event() -> Event {
    Event { stage: impossible_core::event::Stage::Siblings, done: 0, total: 0, tokens: 0, pairs: 0, kept: 0 }
}

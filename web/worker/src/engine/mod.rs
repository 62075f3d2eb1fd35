//! The worker, which owns the models. Runs are processed one after the other; stop requests, threshold changes and
//! downloads are handled in between.

mod desk;
mod devices;
mod distill;
mod generate;
mod models;
mod shelf;
mod student;

use std::cell::RefCell;
use std::rc::Rc;

use futures_channel::mpsc::{UnboundedSender, unbounded};
use futures_util::StreamExt;
use gloo::timers::future::TimeoutFuture;
use gloo::worker::{HandlerId, Worker, WorkerScope};
use impossible_worker::distilled::{self, Shared};
use impossible_worker::training::{self, Training};
use record::{Error, ErrorKind};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::spawn_local;
use web_sys::{DedicatedWorkerGlobalScope, ErrorEvent, EventTarget, PromiseRejectionEvent};

use desk::Desk;
use models::Models;
use protocol::{Cast, Problem, Request, Response, Run, Speed, Student, Thresholds, Wanted};
use shelf::Shelf;

/// The worker, as an agent of `gloo-worker`.
pub struct Engine {
    desk: Desk,
    distilled: Shared,
    /// Thresholds that have not been applied yet.
    wanted: Rc<RefCell<Option<Thresholds>>>,
    inbox: UnboundedSender<Request>,
    shelf: Shelf,
}

impl Worker for Engine {
    type Message = ();
    type Input = Request;
    type Output = Response;

    fn create(scope: &WorkerScope<Self>) -> Self {
        let desk = Desk::new(scope.clone());
        let (inbox, mut requests) = unbounded();
        let distilled = Shared::default();
        let (at, shared) = (desk.clone(), distilled.clone());
        spawn_local(async move {
            let mut bench = Bench { desk: at, models: None, distilled: shared, training: None };
            while let Some(request) = requests.next().await {
                bench.answer(request).await;
            }
        });
        Self { shelf: Shelf::new(desk.clone()), desk, distilled, wanted: Rc::default(), inbox }
    }

    fn update(&mut self, _: &WorkerScope<Self>, (): ()) {}

    fn connected(&mut self, _: &WorkerScope<Self>, id: HandlerId) {
        self.desk.answer_to(id);
    }

    fn received(&mut self, _: &WorkerScope<Self>, request: Request, _: HandlerId) {
        match request {
            // These requests do not wait for the current run.
            Request::Interrupt { run } if self.shelf.interrupt(run) => {}
            Request::Shelf | Request::Keep { .. } | Request::Remove { .. } => self.shelf.answer(request),
            Request::Interrupt { run } => {
                self.desk.interrupt(run);
                if run > self.desk.run() {
                    // The run is still queued; it will be skipped.
                    self.desk.say(Response::Done { run, stopped: true, speed: Speed::default() });
                }
            }
            Request::Refilter { thresholds } => self.refilter(thresholds),
            request => drop(self.inbox.unbounded_send(request)),
        }
    }
}

impl Engine {
    /// Applies thresholds; of several that arrive together only the last.
    fn refilter(&self, thresholds: Thresholds) {
        if self.wanted.replace(Some(thresholds)).is_some() {
            return;
        }
        let (desk, distilled, wanted) = (self.desk.clone(), self.distilled.clone(), self.wanted.clone());
        spawn_local(async move {
            TimeoutFuture::new(0).await;
            let Some(thresholds) = wanted.take() else { return };
            match distilled::refilter(&distilled, thresholds) {
                Ok(pairs) => pairs.into_iter().for_each(|pairs| desk.say(Response::Pairs(pairs))),
                Err(error) => desk.say(Response::Notice(problem(&error))),
            }
        });
    }
}

/// Models, distillation and training of the worker.
struct Bench {
    desk: Desk,
    models: Option<Models>,
    distilled: Shared,
    training: Option<Training>,
}

impl Bench {
    async fn answer(&mut self, request: Request) {
        let run = match &request {
            Request::Generate { run, .. }
            | Request::Distill { run, .. }
            | Request::Train { run, .. }
            | Request::Export { run } => Some(*run),
            _ => None,
        };
        self.desk.begin(run.unwrap_or(0));
        if self.desk.stopped() {
            // `received` has already answered the page.
            return;
        }
        let done = match request {
            Request::Check => {
                self.desk.say(Response::Devices(devices::find().await));
                Ok(())
            }
            Request::Load { base, wanted, alarm, cast } => {
                ALARM.set(alarm);
                self.load(&base, wanted, cast).await;
                Ok(())
            }
            Request::Generate { text, settings, .. } => match &mut self.models {
                Some(models) => generate::run(&self.desk, models, &text, &settings).await,
                None => Err(not_loaded()),
            },
            Request::Distill { settings, .. } => match &mut self.models {
                Some(models) => {
                    (self.training, models.trained, models.trained_writes) = (None, None, false);
                    self.distilled.replace(None);
                    distill::run(&self.desk, models, &self.distilled, &settings).await
                }
                None => Err(not_loaded()),
            },
            Request::Train { epochs, .. } => match &mut self.models {
                Some(models) => {
                    match training::training(models.base(), &self.distilled, self.training.take(), epochs) {
                        Ok(training) => {
                            let done = student::train(&self.desk, models, self.training.insert(training)).await;
                            if matches!(&done, Err(error) if *error != Error::Interrupted) {
                                // A resumed training would fail at the same step again.
                                self.training = None;
                            }
                            done
                        }
                        Err(error) => Err(error),
                    }
                }
                None => Err(not_loaded()),
            },
            Request::Use(student) => {
                if let Some(models) = &mut self.models {
                    models.trained_writes = student == Student::Trained;
                }
                Ok(())
            }
            Request::Export { .. } => match (&self.models, &self.training) {
                (_, Some(training)) => student::export(&self.desk, training).await,
                _ => Err(Error::input("download", "a student that was trained here", "none")),
            },
            Request::Reset => {
                self.distilled.replace(None);
                self.training = None;
                if let Some(models) = &mut self.models {
                    (models.trained, models.trained_writes) = (None, false);
                }
                Ok(())
            }
            // Handled in `received`.
            Request::Interrupt { .. }
            | Request::Refilter { .. }
            | Request::Shelf
            | Request::Keep { .. }
            | Request::Remove { .. } => Ok(()),
        };
        match (done, run) {
            (Ok(()), Some(run)) => self.over(run, false),
            (Err(Error::Interrupted), Some(run)) => self.over(run, true),
            // A lost device does not recover: the page starts another worker, which uses the CPU.
            (Err(error @ Error::Device { .. }), Some(_)) if self.models.as_ref().is_some_and(Models::on_gpu) => {
                ring(&format!("the graphics device failed ({})", error.to_string().lines().next().unwrap_or_default()));
            }
            (Err(error), run) => self.desk.say(Response::Failed { run, problem: problem(&error) }),
            (Ok(()), None) => {}
        }
    }

    fn over(&self, run: Run, stopped: bool) {
        self.desk.say(Response::Done { run, stopped, speed: self.desk.speed() });
    }

    async fn load(&mut self, base: &str, wanted: Wanted, cast: Cast) {
        self.models = None;
        match models::load(&self.desk, base, wanted, cast).await {
            Ok((models, ready)) => {
                self.models = Some(models);
                self.desk.say(Response::Ready(ready));
            }
            Err(problem) => self.desk.say(Response::Failed { run: None, problem }),
        }
    }
}

fn not_loaded() -> Error {
    Error::input("the models", "models that are loaded", "none yet")
}

fn problem(error: &Error) -> Problem {
    let step = match error.kind() {
        ErrorKind::Retry => "Try again; if it happens again, choose the CPU in the device menu.",
        ErrorKind::WrongInput => "Change what the message names, and start again.",
        ErrorKind::BrokenData => "Reload the page; if it happens again, choose the CPU in the device menu.",
        ErrorKind::Interrupted => "Start again when you like.",
    };
    Problem { what: error.to_string(), step: step.to_owned() }
}

thread_local! {
    /// Name of the broadcast channel for crashes, which works when the worker cannot respond otherwise.
    static ALARM: RefCell<String> = const { RefCell::new(String::new()) };
}

fn ring(text: &str) {
    let name = ALARM.with_borrow(Clone::clone);
    if let Ok(channel) = web_sys::BroadcastChannel::new(&name) {
        drop(channel.post_message(&JsValue::from_str(text)));
        // The crashed worker must not send further responses.
        js_sys::global().unchecked_into::<DedicatedWorkerGlobalScope>().close();
    }
}

/// Reports panics and other uncaught errors, such as lack of memory or a lost device, on the crash channel.
pub fn watch_over() {
    std::panic::set_hook(Box::new(|info| {
        console_error_panic_hook::hook(info);
        ring(&info.to_string());
    }));
    let scope: EventTarget = js_sys::global().unchecked_into();
    for kind in ["error", "unhandledrejection"] {
        let heard = Closure::<dyn Fn(web_sys::Event)>::new(|event: web_sys::Event| {
            let rejected = event.dyn_ref::<PromiseRejectionEvent>().map(|e| format!("{:?}", e.reason()));
            ring(&event.dyn_ref::<ErrorEvent>().map(ErrorEvent::message).or(rejected).unwrap_or_default());
        });
        drop(scope.add_event_listener_with_callback(kind, heard.as_ref().unchecked_ref()));
        heard.forget();
    }
}

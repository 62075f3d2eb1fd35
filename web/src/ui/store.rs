//! Everything that the page shows, in signals, and the line to the worker.

use std::rc::Rc;

use gloo::worker::{Spawnable, WorkerBridge};
use impossible_core::record::Task;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{BroadcastChannel, MessageEvent};

use super::browser;
use crate::engine::{Engine, Json};
use crate::protocol::{
    Devices, Distill, Filtered, Problem, Ready, Request, Response, Rewrite, Run, Student, Thresholds, Wanted,
};
use crate::state::distilling::Distilling;
use crate::state::rewriting::Rewriting;
use crate::state::training::Learning;
use crate::state::{LONGEST_TEXT, Room, link};

/// File of the worker, beside the page.
const WORKER: &str = "worker.js";

/// Where the worker stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Status {
    /// It loads.
    Loading { what: String, share: f32 },
    /// It works.
    Ready(Box<Ready>),
    /// It is dead or could not load.
    Down(Problem),
}

/// The signals of a room that rewrites.
#[derive(Clone, Copy)]
pub(super) struct Desk {
    pub(super) text: RwSignal<String>,
    pub(super) settings: RwSignal<Rewrite>,
    pub(super) state: RwSignal<Rewriting>,
}

impl Desk {
    fn new(task: Task) -> Self {
        Self {
            text: RwSignal::new(browser::kept(task.name()).unwrap_or_default()),
            settings: RwSignal::new(link::defaults(task)),
            state: RwSignal::default(),
        }
    }
}

/// The line to the worker. What rings the alarm lives as long as it.
struct Line {
    bridge: WorkerBridge<Engine>,
    _alarm: Option<(BroadcastChannel, Closure<dyn Fn(MessageEvent)>)>,
}

/// Everything.
#[derive(Clone, Copy)]
pub(super) struct Store {
    pub(super) room: RwSignal<Room>,
    pub(super) status: RwSignal<Status>,
    pub(super) devices: RwSignal<Devices>,
    pub(super) wanted: RwSignal<Wanted>,
    pub(super) student: RwSignal<Student>,
    pub(super) notice: RwSignal<Option<Problem>>,
    paraphrase: Desk,
    summary: Desk,
    pub(super) distill: RwSignal<Distill>,
    pub(super) seeds: RwSignal<String>,
    pub(super) distilling: RwSignal<Distilling>,
    pub(super) pairs: RwSignal<Filtered>,
    pub(super) thresholds: RwSignal<Option<Thresholds>>,
    pub(super) epochs: RwSignal<u64>,
    pub(super) learning: RwSignal<Learning>,
    line: StoredValue<Option<Rc<Line>>, LocalStorage>,
    runs: StoredValue<Run>,
    deaths: StoredValue<u32>,
}

impl Store {
    pub(super) fn new() -> Self {
        let distill = Distill { contexts: 4, k: 64, temperature: 0.5, seeds: Vec::new(), thresholds: None, seed: 7 };
        Self {
            room: RwSignal::default(),
            status: RwSignal::new(Status::Loading { what: "Starting".into(), share: 0.0 }),
            devices: RwSignal::default(),
            wanted: RwSignal::default(),
            student: RwSignal::default(),
            notice: RwSignal::default(),
            paraphrase: Desk::new(Task::Paraphrase),
            summary: Desk::new(Task::Summary),
            distill: RwSignal::new(distill),
            seeds: RwSignal::new(browser::kept("seeds").unwrap_or_default()),
            distilling: RwSignal::default(),
            pairs: RwSignal::default(),
            thresholds: RwSignal::default(),
            epochs: RwSignal::new(4),
            learning: RwSignal::default(),
            line: StoredValue::new_local(None),
            runs: StoredValue::new(0),
            deaths: StoredValue::new(0),
        }
    }

    pub(super) fn desk(&self, task: Task) -> Desk {
        if task == Task::Paraphrase { self.paraphrase } else { self.summary }
    }

    /// Reads the address and starts the worker.
    pub(super) fn begin(self) {
        self.follow(&browser::fragment());
        // For tests, and for who knows: `?device=cpu` before the fragment.
        let search = gloo::utils::window().location().search().unwrap_or_default();
        for (word, wanted) in [("device=cpu", Wanted::Cpu), ("device=gpu", Wanted::Gpu)] {
            if search.contains(word) {
                self.wanted.set(wanted);
            }
        }
        self.hire();
    }

    /// Goes where a fragment points.
    pub(super) fn follow(self, fragment: &str) {
        let link = link::read(fragment);
        if let Room::Paraphrase | Room::Summarise = link.room {
            let desk = self.desk(if link.room == Room::Summarise { Task::Summary } else { Task::Paraphrase });
            if let Some(text) = link.text {
                desk.text.set(text);
            }
            if let Some(settings) = link.settings {
                desk.settings.set(settings);
            }
        }
        self.room.set(link.room);
    }

    /// A worker, in place of the one before.
    pub(super) fn hire(self) {
        self.status.set(Status::Loading { what: "Starting".into(), share: 0.0 });
        self.line.set_value(None);
        let alarm = browser::token();
        let bridge = Engine::spawner().encoding::<Json>().callback(move |r| self.hear(r)).spawn(WORKER);
        bridge.send(Request::Check);
        bridge.send(Request::Load { base: browser::base(), wanted: self.wanted.get_untracked(), alarm: alarm.clone() });
        let channel = BroadcastChannel::new(&alarm).ok();
        let alarm = channel.map(|channel| {
            let heard = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
                self.died(&event.data().as_string().unwrap_or_default());
            });
            channel.set_onmessage(Some(heard.as_ref().unchecked_ref()));
            (channel, heard)
        });
        self.line.set_value(Some(Rc::new(Line { bridge, _alarm: alarm })));
    }

    /// The worker is dead: what ran is over, what was typed stays, and another takes its place, on the CPU.
    fn died(self, why: &str) {
        if self.deaths.with_value(|n| *n) >= 3 {
            let what = format!("The models stopped working again and again. The last message was: {why}");
            let step = "Reload the page. Your text is kept.".to_owned();
            self.fail(&Problem { what: what.clone(), step: step.clone() });
            self.status.set(Status::Down(Problem { what, step }));
            return;
        }
        self.deaths.update_value(|n| *n += 1);
        let what = format!("The models stopped working: {}", why.lines().next().unwrap_or("no reason was given"));
        let step = "They are being started anew on the CPU, and your text is still here. Start again.".to_owned();
        self.fail(&Problem { what: what.clone(), step: step.clone() });
        self.notice.set(Some(Problem { what, step }));
        self.wanted.set(Wanted::Cpu);
        self.student.set(Student::Carried);
        // Not from inside the dead worker's own message.
        set_timeout(move || self.hire(), std::time::Duration::from_millis(50));
    }

    fn fail(self, problem: &Problem) {
        for task in Task::ALL {
            self.desk(task).state.update(|s| s.fail(problem.clone()));
        }
        self.distilling.update(|s| s.fail(problem.clone()));
        self.learning.update(|s| s.fail(problem.clone()));
    }

    fn hear(self, response: Response) {
        match response {
            Response::Devices(devices) => self.devices.set(devices),
            Response::Loading { what, share } => self.status.set(Status::Loading { what, share }),
            Response::Ready(ready) => {
                if self.thresholds.with_untracked(Option::is_none) {
                    self.thresholds.set(Some(ready.thresholds.clone()));
                }
                if let Some(reason) = &ready.fallback {
                    let step = "The CPU is used instead; the device menu lets you choose.".to_owned();
                    self.notice.set(Some(Problem { what: reason.clone(), step }));
                }
                self.status.set(Status::Ready(Box::new(ready)));
            }
            Response::Pairs(pairs) => self.pairs.set(pairs),
            Response::Notice(problem) => self.notice.set(Some(problem)),
            Response::Failed { run: None, problem } => self.status.set(Status::Down(problem)),
            Response::Exported { url, name, .. } => browser::follow(&url, &name),
            response => {
                for task in Task::ALL {
                    let state = self.desk(task).state;
                    if state.with_untracked(|s| s.running) {
                        state.update(|s| s.hear(&response));
                    }
                }
                if self.distilling.with_untracked(|s| s.running) {
                    self.distilling.update(|s| s.hear(&response));
                }
                if self.learning.with_untracked(|s| s.running) {
                    self.learning.update(|s| s.hear(&response));
                }
            }
        }
    }

    pub(super) fn send(self, request: Request) {
        if let Some(line) = self.line.with_value(Clone::clone) {
            line.bridge.send(request);
        }
    }

    fn next(self) -> Run {
        self.runs.update_value(|n| *n += 1);
        self.runs.with_value(|n| *n)
    }

    /// Whether the worker can begin something.
    pub(super) fn ready(self) -> bool {
        self.status.with(|s| matches!(s, Status::Ready(_)))
    }

    pub(super) fn rewrite(self, task: Task) {
        let desk = self.desk(task);
        let text = desk.text.get_untracked();
        if text.chars().count() > LONGEST_TEXT {
            let problem = Problem {
                what: format!("The text has {} characters.", text.chars().count()),
                step: format!("Leave at most {LONGEST_TEXT}: take a part of it at a time."),
            };
            desk.state.update(|s| {
                *s = Rewriting::begin(0);
                s.fail(problem);
            });
            return;
        }
        let run = self.next();
        desk.state.set(Rewriting::begin(run));
        browser::set_fragment(&format!("#{}", self.room.get_untracked().slug()));
        self.send(Request::Generate { run, text, settings: desk.settings.get_untracked() });
    }

    pub(super) fn distil(self) {
        let run = self.next();
        let seeds = self
            .seeds
            .with_untracked(|s| s.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect());
        self.distilling.set(Distilling::begin(run));
        self.pairs.set(Filtered::default());
        self.learning.set(Learning::default());
        self.student.set(Student::Carried);
        self.send(Request::Use(Student::Carried));
        let thresholds = self.thresholds.get_untracked();
        let settings = Distill { seeds, thresholds, ..self.distill.get_untracked() };
        self.send(Request::Distill { run, settings });
    }

    pub(super) fn refilter(self) {
        if let Some(thresholds) = self.thresholds.get_untracked() {
            self.send(Request::Refilter { thresholds });
        }
    }

    pub(super) fn train(self) {
        let run = self.next();
        self.learning.update(|l| l.begin(run));
        self.send(Request::Train { run, epochs: self.epochs.get_untracked() });
    }

    pub(super) fn export(self) {
        self.send(Request::Export { run: self.next() });
    }

    pub(super) fn choose(self, student: Student) {
        self.student.set(student);
        self.send(Request::Use(student));
    }

    pub(super) fn stop(self, run: Run) {
        self.send(Request::Interrupt { run });
    }
}

/// The store of this page.
pub(super) fn store() -> Store {
    expect_context()
}

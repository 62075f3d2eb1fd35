//! The state of the page as signals, and the connection to the worker.

use std::rc::Rc;
use std::time::Duration;

use gloo::worker::{Spawnable, WorkerBridge};
use leptos::prelude::*;
use record::Task;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{BroadcastChannel, MessageEvent};

use super::browser;
use crate::state::distilling::Distilling;
use crate::state::rewriting::{Glance, Rewriting, Sentence};
use crate::state::shelf::{HUB, Shelving};
use crate::state::training::Learning;
use crate::state::{Room, link};
use protocol::{
    Cast, Devices, Distill, DroppedFile, Filtered, Json, LONGEST_TEXT, Part, Problem, Ready, Remote, Request, Response,
    Rewrite, Run, Source, Student, Thresholds, Wanted,
};

/// File of the worker, in the same folder as the page.
const WORKER: &str = "worker.js";

/// Name under which the chosen models are stored.
const CAST: &str = "cast";

/// Text shown until the first message from the worker.
const STARTING: &str = "Starting";

/// Number of workers that may fail before the page gives up.
const DEATHS: u32 = 3;

/// The status of the worker.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Status {
    /// It is loading.
    Loading { what: String, share: f32 },
    /// It is ready.
    Ready(Box<Ready>),
    /// It has failed, or could not load.
    Down(Problem),
}

/// The state of a room that rewrites. Each sentence has its own trigger, so that a response updates only the view of
/// that sentence, even in a text with thousands.
#[derive(Clone, Copy)]
pub(super) struct Desk {
    task: Task,
    pub(super) text: RwSignal<String>,
    pub(super) settings: RwSignal<Rewrite>,
    /// Summary of the state.
    pub(super) glance: RwSignal<Glance>,
    state: StoredValue<Rewriting>,
    triggers: StoredValue<Vec<ArcTrigger>>,
}

impl Desk {
    fn new(task: Task) -> Self {
        Self {
            task,
            text: RwSignal::new(browser::kept(task.name()).unwrap_or_default()),
            settings: RwSignal::new(link::defaults(task)),
            glance: RwSignal::default(),
            state: StoredValue::new(Rewriting::default()),
            triggers: StoredValue::new(Vec::new()),
        }
    }

    /// Replaces the state by that of another run, or of none.
    fn set(self, state: Rewriting) {
        // Notify the views of the previous run's sentences, which no longer exist.
        let before = self.triggers.try_update_value(std::mem::take).unwrap_or_default();
        self.state.set_value(state);
        before.iter().for_each(ArcTrigger::notify);
        self.look();
    }

    fn look(self) {
        let glance = self.state.with_value(|s| s.glance(self.task));
        self.glance.set(glance);
    }

    fn hear(self, response: &Response) {
        let touched = self.state.try_update_value(|s| s.hear(response)).flatten();
        if let Some(trigger) = touched.map(|sentence| self.trigger(sentence)) {
            trigger.notify();
        }
        self.look();
    }

    fn fail(self, problem: &Problem) {
        self.state.update_value(|s| s.work.fail(problem.clone()));
        self.look();
    }

    fn trigger(self, sentence: usize) -> ArcTrigger {
        let trigger = self.triggers.try_update_value(|triggers| {
            while triggers.len() <= sentence {
                triggers.push(ArcTrigger::new());
            }
            triggers[sentence].clone()
        });
        trigger.unwrap_or_default()
    }

    /// The state of one sentence; the caller is notified when it changes.
    pub(super) fn sentence(self, sentence: usize) -> Sentence {
        self.trigger(sentence).track();
        self.state.with_value(|s| s.sentences.get(sentence).cloned().unwrap_or_default())
    }

    /// Reads the complete state without tracking changes.
    pub(super) fn all<T>(self, read: impl FnOnce(&Rewriting) -> T) -> T {
        self.state.with_value(read)
    }
}

/// Channel by which a failing worker reports, and its listener.
type Alarm = (BroadcastChannel, Closure<dyn Fn(MessageEvent)>);

/// The connection to the worker, together with the listener for its failure.
struct Line {
    bridge: WorkerBridge<Remote>,
    alarm: Option<Alarm>,
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some((channel, _)) = &self.alarm {
            channel.set_onmessage(None);
            channel.close();
        }
    }
}

/// The state of the page.
#[derive(Clone, Copy)]
pub(super) struct Store {
    pub(super) room: RwSignal<Room>,
    pub(super) status: RwSignal<Status>,
    pub(super) devices: RwSignal<Devices>,
    pub(super) wanted: RwSignal<Wanted>,
    /// The models chosen by the visitor.
    pub(super) cast: RwSignal<Cast>,
    /// The models on this device.
    pub(super) shelving: RwSignal<Shelving>,
    /// Address of the hub for repositories.
    pub(super) hub: RwSignal<String>,
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
    /// Whether the worker has the pairs that are shown.
    pub(super) held: RwSignal<bool>,
    runs: StoredValue<Run>,
    exporting: StoredValue<Run>,
    /// Dropped files that are being read.
    dropped: StoredValue<Vec<DroppedFile>>,
    hired: StoredValue<u32>,
    /// The critic to which the thresholds apply.
    critic: StoredValue<Option<String>>,
    deaths: StoredValue<u32>,
}

impl Store {
    pub(super) fn new() -> Self {
        let distill = Distill { contexts: 6, k: 96, temperature: 0.5, seeds: Vec::new(), thresholds: None, seed: 7 };
        Self {
            room: RwSignal::default(),
            status: RwSignal::new(Status::Loading { what: "Starting".into(), share: 0.0 }),
            devices: RwSignal::default(),
            wanted: RwSignal::default(),
            cast: RwSignal::new(
                browser::kept(CAST).and_then(|cast| serde_json::from_str(&cast).ok()).unwrap_or_default(),
            ),
            shelving: RwSignal::default(),
            hub: RwSignal::new(browser::kept("hub").unwrap_or_else(|| HUB.to_owned())),
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
            held: RwSignal::new(false),
            runs: StoredValue::new(0),
            exporting: StoredValue::new(0),
            dropped: StoredValue::new(Vec::new()),
            hired: StoredValue::new(0),
            critic: StoredValue::new(None),
            deaths: StoredValue::new(0),
        }
    }

    pub(super) fn desk(&self, task: Task) -> Desk {
        if task == Task::Paraphrase { self.paraphrase } else { self.summary }
    }

    /// Reads the address and starts the worker.
    pub(super) fn begin(self) {
        self.follow(&browser::fragment());
        // For tests and experts: `?device=cpu` before the fragment.
        let search = gloo::utils::window().location().search().unwrap_or_default();
        for (word, wanted) in [("device=cpu", Wanted::Cpu), ("device=gpu", Wanted::Gpu)] {
            if search.contains(word) {
                self.wanted.set(wanted);
            }
        }
        self.hire();
    }

    /// Shows the room, text and settings given in a fragment.
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
        // Do not render the same room again.
        if self.room.get_untracked() != link.room {
            self.room.set(link.room);
        }
    }

    /// Starts a new worker in place of the previous one, whose tasks end and whose data is lost.
    pub(super) fn hire(self) {
        self.fail(&Problem { what: "The models are being reloaded.".into(), step: "Start again.".into() });
        self.learning.set(Learning::default());
        self.student.set(Student::Carried);
        self.held.set(false);
        self.status.set(Status::Loading { what: STARTING.into(), share: 0.0 });
        self.line.set_value(None);
        let alarm = browser::token();
        let bridge = Remote::spawner().encoding::<Json>().callback(move |r| self.hear(r)).spawn(WORKER);
        let (wanted, cast) = (self.wanted.get_untracked(), self.cast.get_untracked());
        bridge.send(Request::Load { base: browser::base(), wanted, alarm: alarm.clone(), cast });
        bridge.send(Request::Check);
        bridge.send(Request::Shelf);
        let channel = BroadcastChannel::new(&alarm).ok();
        let alarm = channel.map(|channel| {
            let heard = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
                self.died(&event.data().as_string().unwrap_or_default());
            });
            channel.set_onmessage(Some(heard.as_ref().unchecked_ref()));
            (channel, heard)
        });
        self.line.set_value(Some(Rc::new(Line { bridge, alarm })));
        // A worker that never started sends no message, not even of its failure.
        self.hired.update_value(|n| *n += 1);
        let mine = self.hired.with_value(|n| *n);
        let look = move || {
            let silent = self.status.with_untracked(|s| matches!(s, Status::Loading { what, .. } if what == STARTING));
            if silent && self.hired.with_value(|n| *n) == mine {
                let what = "The models did not start within 30 seconds.".to_owned();
                let step = "Try again; this page needs a browser with WebAssembly SIMD.".to_owned();
                self.status.set(Status::Down(Problem { what, step }));
            }
        };
        set_timeout(look, Duration::from_secs(30));
    }

    /// Handles the failure of the worker: its tasks end, the text is kept, and a new worker starts on the CPU.
    fn died(self, why: &str) {
        // A failure may be reported twice.
        let Some(dead) = self.line.with_value(Clone::clone) else { return };
        self.line.set_value(None);
        let why = why.lines().next().filter(|l| !l.is_empty()).unwrap_or("no reason was given");
        if self.deaths.with_value(|n| *n) >= DEATHS {
            let what = format!("The models have stopped working several times; the last message was: {why}");
            let problem = Problem { what, step: "Reload the page. Your text is kept.".to_owned() };
            self.fail(&problem);
            self.status.set(Status::Down(problem));
        } else {
            self.deaths.update_value(|n| *n += 1);
            self.status.set(Status::Loading { what: STARTING.into(), share: 0.0 });
            let what = format!("The models stopped working: {why}");
            let step = "They are being started anew on the CPU, and your text is still here. Start again.".to_owned();
            let problem = Problem { what, step };
            self.fail(&problem);
            self.notice.set(Some(problem));
            self.wanted.set(Wanted::Cpu);
            // A model that is too large for the tab would make the next worker fail too.
            self.remember(Cast::default());
            set_timeout(move || self.hire(), Duration::from_millis(50));
        }
        // Not while its own message is being handled.
        set_timeout(move || drop(dead), Duration::from_millis(0));
    }

    fn fail(self, problem: &Problem) {
        for task in Task::ALL {
            self.desk(task).fail(problem);
        }
        self.shelving.update(|s| s.work.fail(problem.clone()));
        self.distilling.update(|s| s.work.fail(problem.clone()));
        self.learning.update(|s| s.work.fail(problem.clone()));
    }

    fn hear(self, response: Response) {
        match response {
            Response::Devices(devices) => self.devices.set(devices),
            Response::Loading { what, share } => self.status.set(Status::Loading { what, share }),
            Response::Ready(ready) => {
                let critic = self.critic.with_value(Clone::clone);
                if self.thresholds.with_untracked(Option::is_none) || critic != ready.cast.critic {
                    // Thresholds belong to a particular critic.
                    self.thresholds.set(Some(ready.thresholds.clone()));
                    self.critic.set_value(ready.cast.critic.clone());
                    for task in Task::ALL {
                        let (paraphrase, summary) = (&ready.thresholds.paraphrase, &ready.thresholds.summary);
                        let least =
                            if task == Task::Paraphrase { paraphrase.entailment_min } else { summary.entailment_min };
                        // A link may have set its own.
                        let usual = link::defaults(task).entailment;
                        self.desk(task).settings.update(|s| {
                            if critic.is_some() || (s.entailment - usual).abs() < f32::EPSILON {
                                s.entailment = least;
                            }
                        });
                    }
                }
                let as_asked = self.cast.get_untracked() == ready.cast;
                if !as_asked {
                    // Not stored, as the chosen models may be available another time.
                    self.cast.set(ready.cast.clone());
                }
                if let Some(reason) = &ready.fallback {
                    let cpu = "The CPU is used instead; the device menu lets you choose.";
                    let step = if as_asked { cpu } else { "You can choose again under Models." }.to_owned();
                    self.notice.set(Some(Problem { what: reason.clone(), step }));
                }
                self.status.set(Status::Ready(Box::new(ready)));
            }
            response @ (Response::Shelf(_) | Response::Keeping(_) | Response::Kept { .. }) => {
                self.shelving.update(|s| s.hear(&response));
                self.let_go();
            }
            Response::Pairs(pairs) => self.pairs.set(pairs),
            Response::Notice(problem) => self.notice.set(Some(problem)),
            Response::Failed { run: None, problem } => self.status.set(Status::Down(problem)),
            Response::Exported { url, name, .. } => browser::follow(url, &name),
            Response::Failed { run: Some(run), problem } if self.exporting.with_value(|r| *r == run) => {
                self.notice.set(Some(problem));
            }
            response => {
                for task in Task::ALL {
                    let desk = self.desk(task);
                    if desk.glance.with_untracked(|g| g.work.running) {
                        desk.hear(&response);
                    }
                }
                if self.shelving.with_untracked(|s| s.work.running) {
                    self.shelving.update(|s| s.hear(&response));
                    self.let_go();
                }
                if self.distilling.with_untracked(|s| s.work.running) {
                    self.distilling.update(|s| s.hear(&response));
                }
                if self.learning.with_untracked(|s| s.work.running) {
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

    /// Whether the worker can start a task.
    pub(super) fn ready(self) -> bool {
        self.status.with(|s| matches!(s, Status::Ready(_)))
    }

    pub(super) fn rewrite(self, task: Task) {
        let desk = self.desk(task);
        let text = desk.text.get_untracked();
        if text.chars().count() > LONGEST_TEXT {
            let problem = Problem {
                what: format!("The text has {} characters.", text.chars().count()),
                step: format!("At most {LONGEST_TEXT} are allowed: use one part of it at a time."),
            };
            desk.set(Rewriting::begin(0));
            desk.fail(&problem);
            return;
        }
        let run = self.next();
        desk.set(Rewriting::begin(run));
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
        self.held.set(true);
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
        let run = self.next();
        self.exporting.set_value(run);
        self.send(Request::Export { run });
    }

    fn remember(self, cast: Cast) {
        browser::keep(CAST, &serde_json::to_string(&cast).unwrap_or_default());
        self.cast.set(cast);
    }

    /// Chooses a model for a role, and starts a new worker with it.
    pub(super) fn recast(self, part: Part, name: Option<String>) {
        let mut cast = self.cast.get_untracked();
        cast.give(part, name);
        if cast != self.cast.get_untracked() {
            self.remember(cast);
            self.hire();
        }
    }

    /// Revokes the object URLs of dropped files once they are no longer being read.
    fn let_go(self) {
        if !self.shelving.with_untracked(|s| s.work.running) {
            let files = self.dropped.try_update_value(std::mem::take).unwrap_or_default();
            files.iter().for_each(|file| browser::revoke(&file.url));
        }
    }

    /// Downloads or copies a model to this device.
    pub(super) fn keep(self, source: Source) {
        if self.line.with_value(Option::is_none) {
            let step = "Press Try again above, or reload the page.".to_owned();
            self.keep_failed(Problem { what: "The models are not running.".to_owned(), step });
            return;
        }
        let run = self.next();
        if let Source::Dropped { files, .. } = &source {
            self.dropped.set_value(files.clone());
        }
        let dropped = matches!(source, Source::Dropped { .. });
        self.shelving.update(|s| s.begin(run, dropped));
        browser::persist();
        self.send(Request::Keep { run, source });
    }

    /// Reports a problem with a requested model.
    pub(super) fn keep_failed(self, problem: Problem) {
        self.shelving.update(|s| {
            s.begin(0, false);
            s.work.fail(problem);
        });
    }

    pub(super) fn remove(self, name: String) {
        self.send(Request::Remove { name });
    }

    pub(super) fn choose(self, student: Student) {
        self.student.set(student);
        self.send(Request::Use(student));
    }

    pub(super) fn stop(self, run: Run) {
        self.send(Request::Interrupt { run });
    }
}

/// The state of this page, from the context.
pub(super) fn store() -> Store {
    expect_context()
}

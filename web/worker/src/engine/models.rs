//! Loading three models, from the site or from this device, and checking them against their golden values.

use std::sync::Arc;

use gloo::net::http;
use impossible_worker::training::Base;
use lm::decode::TextModel;
use lm::device::{Compute, DeviceSpec};
use lm::model::ModelFolder;
use lm::model::files::{Files, MemoryFiles, read_all};
use lm::scoring::PairModel;
use method::critic::{self, Panel};
use method::golden::{self, Golden};
use method::student::{Format, Rewriter, format};
use record::Preset;
use record::plan::Critics;
use record::presets;
use record::{Error, Result};

use super::desk::{Desk, now};
use super::{devices, problem, shelf};
use protocol::{Cast, Part, Problem, Ready, Response, Thresholds, Wanted};

/// Files of the site's models, with the fraction of the loading progress that each accounts for.
const FILES: [(Part, &[(&str, f32)]); 3] = [
    (
        Part::Teacher,
        &[("config.json", 0.0), ("golden.json", 0.0), ("tokenizer.json", 0.01), ("model.safetensors", 0.44)],
    ),
    (
        Part::Critic,
        &[("config.json", 0.0), ("golden.json", 0.0), ("tokenizer.json", 0.01), ("model.safetensors", 0.21)],
    ),
    (
        Part::Student,
        &[
            ("config.json", 0.0),
            ("golden.json", 0.0),
            ("impossible.json", 0.0),
            ("tokenizer.json", 0.01),
            ("model.safetensors", 0.32),
        ],
    ),
];

/// Largest accepted `impossible.json`, in bytes.
const SMALL: usize = 1 << 20;

/// The loaded models, on one device.
pub(super) struct Models {
    pub(super) compute: Compute,
    pub(super) teacher: TextModel,
    /// The critics, whose panel is set for each run.
    pub(super) critics: critic::Critics,
    pub(super) student: TextModel,
    /// Folder of the loaded student, from which a training starts.
    pub(super) folder: ModelFolder,
    pub(super) format: Format,
    pub(super) trained: Option<(TextModel, Format)>,
    pub(super) trained_writes: bool,
    /// Default thresholds for the critic.
    pub(super) thresholds: Thresholds,
}

impl Models {
    /// Whether the models are on a GPU.
    pub(super) fn on_gpu(&self) -> bool {
        !self.compute.is_host()
    }

    /// The student that a training starts from.
    pub(super) fn base(&self) -> Base<'_> {
        Base { folder: &self.folder, format: &self.format, compute: &self.compute }
    }

    /// A rewriter with the selected student and the critics.
    pub(super) fn rewriter(&mut self, panel: Panel) -> Rewriter<'_> {
        let trained = self.trained.as_ref().filter(|_| self.trained_writes);
        let (student, format) = trained.map_or((&self.student, &self.format), |(model, format)| (model, format));
        self.critics.panel = panel;
        Rewriter { student, format, critics: &mut self.critics }
    }
}

async fn fetch(url: &str) -> Result<Vec<u8>> {
    let failed = |reason: String| Error::io("fetching", url, reason);
    let response =
        http::Request::get(url).send().await.map_err(|e| failed(format!("{e}. Is this machine offline?")))?;
    if !response.ok() {
        return Err(failed(format!("the server answered {}", response.status())));
    }
    response.binary().await.map_err(|e| failed(e.to_string()))
}

/// The files of the model selected for a role.
async fn files(desk: &Desk, base: &str, cast: &Cast, place: usize, share: &mut f32) -> Result<Arc<dyn Files>, Problem> {
    let (part, files) = FILES[place];
    if let Some(name) = cast.of(part) {
        desk.say(Response::Loading { what: format!("Opening {name}"), share: *share });
        *share += files.iter().map(|(_, part)| part).sum::<f32>();
        return shelf::files(name).await;
    }
    let (mut memory, name) = (MemoryFiles::default(), part.name());
    for (file, part) in files {
        desk.say(Response::Loading { what: format!("Fetching the {name}"), share: *share });
        let bytes = fetch(&format!("{base}tiny/{name}/{file}")).await;
        memory.insert(*file, bytes.map_err(|e| problem(&e))?);
        *share += part;
    }
    Ok(Arc::new(memory))
}

/// Loads the models on the selected device, or on the CPU if the check against golden values fails there. If a stored
/// model cannot be used, the site's models are used instead.
pub(super) async fn load(desk: &Desk, base: &str, wanted: Wanted, cast: Cast) -> Result<(Models, Ready), Problem> {
    let own = Cast::default();
    match of_cast(desk, base, wanted, &cast).await {
        Err(problem) if cast != own => {
            let (models, ready) = of_cast(desk, base, wanted, &own).await?;
            let reason = format!("{} The models of this site are used instead. {}", problem.what, problem.step);
            // The reason for another device, if there is one, comes second.
            let reason = ready.fallback.iter().fold(reason, |reason, more| format!("{reason} {more}"));
            Ok((models, Ready { fallback: Some(reason), ..ready }))
        }
        loaded => loaded,
    }
}

async fn of_cast(desk: &Desk, base: &str, wanted: Wanted, cast: &Cast) -> Result<(Models, Ready), Problem> {
    let start = now();
    let adapter = if wanted == Wanted::Cpu { None } else { devices::find().await.gpu };
    let mut share = 0.0;
    let mut found = Vec::new();
    for place in 0..FILES.len() {
        found.push(files(desk, base, cast, place, &mut share).await?);
    }
    let mut fallback = None;
    let gpu = match (&adapter, wanted) {
        (Some(adapter), Wanted::Auto) if adapter.software => {
            fallback = Some(format!("The only WebGPU adapter ({}) computes on the CPU, slowly.", adapter.name));
            false
        }
        (None, Wanted::Gpu) => {
            fallback = Some("This browser has no WebGPU adapter.".to_owned());
            false
        }
        (found, _) => found.is_some(),
    };
    let ready = |backend: &str, checked: Checked, fallback: Option<String>, thresholds: &Thresholds| Ready {
        backend: backend.to_owned(),
        adapter: None,
        fallback,
        golden: checked.worst,
        cast: cast.clone(),
        unchecked: checked.unchecked,
        load_s: (now() - start) / 1000.0 - checked.seconds,
        test_s: checked.seconds,
        thresholds: thresholds.clone(),
    };
    if gpu {
        match open(desk, &found, DeviceSpec::WebGpu, cast).await {
            Ok((models, checked)) if checked.right() => {
                let ready = ready("WebGPU", checked, fallback, &models.thresholds);
                return Ok((models, Ready { adapter, ..ready }));
            }
            Ok((_, checked)) => {
                let worst = checked.worst.unwrap_or_default();
                fallback =
                    Some(format!("WebGPU computes wrong results (they differ by {worst:.3} from the stored values)."));
            }
            Err(error) => fallback = Some(format!("WebGPU did not work: {error}")),
        }
    }
    let (models, checked) = open(desk, &found, DeviceSpec::Flex, cast).await.map_err(|e| problem(&e))?;
    if !checked.right() {
        let worst = checked.worst.unwrap_or_default();
        let error = Error::broken(
            "the models",
            format!("their results differ by {worst} from the values that are stored with them"),
        );
        return Err(problem(&error));
    }
    let ready = ready("CPU", checked, fallback, &models.thresholds);
    Ok((models, ready))
}

/// Results of the check against golden values.
struct Checked {
    /// Largest difference from golden values; `None` if no model has any.
    worst: Option<f32>,
    /// Models without golden values.
    unchecked: Vec<String>,
    seconds: f64,
}

impl Checked {
    fn right(&self) -> bool {
        self.worst.is_none_or(|worst| worst <= golden::TOLERANCE)
    }

    fn add(&mut self, name: &str, off: Option<f32>) {
        match off {
            // Limited to finite values, as JSON has no infinity.
            Some(off) => self.worst = Some(self.worst.unwrap_or(0.0).max(off.min(f32::MAX))),
            None => self.unchecked.push(name.to_owned()),
        }
    }
}

/// Default thresholds for a critic; probabilities of the site's small critic are lower than those of a large one.
fn thresholds(cast: &Cast) -> Thresholds {
    let (paraphrase, summary) = if cast.critic.is_none() {
        let plan = Preset::Tiny.plan(DeviceSpec::Flex);
        (plan.paraphrase, plan.summary)
    } else {
        presets::without_encoder(Critics::Strict)
    };
    Thresholds { paraphrase, summary }
}

/// Loads the models on a device and checks them against their golden values.
async fn open(desk: &Desk, found: &[Arc<dyn Files>], spec: DeviceSpec, cast: &Cast) -> Result<(Models, Checked)> {
    let [teacher_files, critic_files, student_files] = found else {
        return Err(Error::input("the models", "three", found.len()));
    };
    desk.say(Response::Loading { what: "Loading the models".to_owned(), share: 1.0 });
    let compute = Compute::open_async(spec).await?;
    let teacher = TextModel::load(&ModelFolder::open(teacher_files)?, &compute)?;
    let critic = PairModel::load(&ModelFolder::open(critic_files)?, &compute)?;
    let folder = ModelFolder::open(student_files)?;
    let student = TextModel::load(&folder, &compute)?;
    let format = Format::parse(format::FILE, (*read_all(&**student_files, format::FILE, SMALL)?).as_ref())?;
    desk.say(Response::Loading { what: "Checking the models".to_owned(), share: 1.0 });
    let start = now();
    let mut checked = Checked { worst: None, unchecked: Vec::new(), seconds: 0.0 };
    for (part, model, files) in [(Part::Teacher, &teacher, teacher_files), (Part::Student, &student, student_files)] {
        let off = match Golden::beside(&**files)? {
            Some(golden) => Some(golden.of_model(model).await?),
            None => None,
        };
        checked.add(cast.of(part).unwrap_or(part.name()), off);
    }
    let off = match Golden::beside(&**critic_files)? {
        Some(golden) => Some(golden.of_critic(&critic).await?),
        None => None,
    };
    checked.add(cast.critic.as_deref().unwrap_or("critic"), off);
    checked.seconds = (now() - start) / 1000.0;
    let thresholds = thresholds(cast);
    let panel = Panel::new(&thresholds.paraphrase, &thresholds.summary);
    let critics = critic::Critics { panel, entailment: Box::new(critic), encoder: None };
    let models =
        Models { compute, teacher, critics, student, folder, format, trained: None, trained_writes: false, thresholds };
    Ok((models, checked))
}

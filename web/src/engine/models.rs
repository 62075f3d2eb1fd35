//! The three models that the site carries: fetched, loaded, and checked against their golden values.

use std::sync::Arc;

use gloo::net::http;
use impossible_core::critic::models::Entailment;
use impossible_core::decode::Teacher;
use impossible_core::device::{Compute, DeviceSpec};
use impossible_core::golden::{self, Golden};
use impossible_core::model::ModelFolder;
use impossible_core::model::files::{Files, MemoryFiles, read_all};
use impossible_core::plan::Plan;
use impossible_core::student::{Format, format};
use impossible_core::{Error, Result};

use super::desk::{Desk, Reading, now};
use super::devices;
use crate::protocol::{Ready, Response, Thresholds, Wanted};

/// What the site carries, and how much of the loading each file is.
const FILES: [(&str, &[(&str, f32)]); 3] = [
    ("teacher", &[("config.json", 0.0), ("golden.json", 0.0), ("tokenizer.json", 0.01), ("model.safetensors", 0.44)]),
    ("critic", &[("config.json", 0.0), ("golden.json", 0.0), ("tokenizer.json", 0.01), ("model.safetensors", 0.21)]),
    (
        "student",
        &[
            ("config.json", 0.0),
            ("golden.json", 0.0),
            ("impossible.json", 0.0),
            ("tokenizer.json", 0.01),
            ("model.safetensors", 0.32),
        ],
    ),
];

/// Most bytes of a small file.
const SMALL: usize = 1 << 20;

/// The models, on one device.
pub(super) struct Models {
    pub(super) compute: Compute,
    pub(super) teacher: Teacher,
    pub(super) critic: Entailment,
    pub(super) student: Teacher,
    /// The student as it lies on the site: what a training starts from.
    pub(super) folder: ModelFolder,
    pub(super) format: Format,
    pub(super) trained: Option<Teacher>,
    pub(super) trained_writes: bool,
}

impl Models {
    /// The student that writes, and the critic.
    pub(super) fn writer(&mut self) -> (&Teacher, &Format, &mut Entailment) {
        let student = self.trained.as_ref().filter(|_| self.trained_writes).unwrap_or(&self.student);
        (student, &self.format, &mut self.critic)
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

async fn folder(desk: &Desk, base: &str, name: &str, files: &[(&str, f32)], share: &mut f32) -> Result<Arc<dyn Files>> {
    let mut memory = MemoryFiles::default();
    for (file, part) in files {
        desk.say(Response::Loading { what: format!("Fetching the {name}"), share: *share });
        memory.insert(*file, fetch(&format!("{base}tiny/{name}/{file}")).await?);
        *share += part;
    }
    Ok(Arc::new(memory))
}

fn read_golden(files: &Arc<dyn Files>) -> Result<Golden> {
    Golden::parse(golden::FILE, (*read_all(&**files, golden::FILE, SMALL)?).as_ref())
}

/// Loads everything, on the device that is wanted if it computes what it should, else on the CPU.
pub(super) async fn load(desk: &Desk, base: &str, wanted: Wanted) -> Result<(Models, Ready)> {
    let start = now();
    let adapter = if wanted == Wanted::Cpu { None } else { devices::find().await.gpu };
    let mut share = 0.0;
    let mut fetched = Vec::new();
    for (name, files) in FILES {
        fetched.push(folder(desk, base, name, files, &mut share).await?);
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
    if gpu {
        match open(desk, &fetched, DeviceSpec::WebGpu).await {
            Ok((models, golden, test_s)) if golden <= golden::TOLERANCE => {
                let ready = ready("WebGPU", (start, test_s, golden), fallback);
                return Ok((models, Ready { adapter, ..ready }));
            }
            Ok((_, golden, _)) => {
                fallback = Some(format!("WebGPU computes something else than it should (off by {golden:.3})."));
            }
            Err(error) => fallback = Some(format!("WebGPU did not work: {error}")),
        }
    }
    let (models, golden, test_s) = open(desk, &fetched, DeviceSpec::Flex).await?;
    if golden > golden::TOLERANCE {
        return Err(Error::broken("the models of this site", format!("they compute something else (off by {golden})")));
    }
    Ok((models, ready("CPU", (start, test_s, golden), fallback)))
}

fn ready(backend: &str, (start, test_s, golden): (f64, f64, f32), fallback: Option<String>) -> Ready {
    let plan = Plan::tiny(DeviceSpec::Flex);
    Ready {
        backend: backend.to_owned(),
        adapter: None,
        fallback,
        golden,
        load_s: (now() - start) / 1000.0 - test_s,
        test_s,
        thresholds: Thresholds { paraphrase: plan.paraphrase, summary: plan.summary },
    }
}

/// The models on a device, how far they are from their golden values, and how long that took to see.
async fn open(desk: &Desk, fetched: &[Arc<dyn Files>], spec: DeviceSpec) -> Result<(Models, f32, f64)> {
    let [teacher_files, critic_files, student_files] = fetched else {
        return Err(Error::input("the models", "three", fetched.len()));
    };
    desk.say(Response::Loading { what: "Loading the models".to_owned(), share: 1.0 });
    let compute = spec.open_async().await?;
    let teacher = Teacher::load(&ModelFolder::open(teacher_files)?, &compute)?;
    let mut critic = Entailment::load(&ModelFolder::open(critic_files)?, &compute)?;
    let folder = ModelFolder::open(student_files)?;
    let student = Teacher::load(&folder, &compute)?;
    let format = Format::parse(format::FILE, (*read_all(&**student_files, format::FILE, SMALL)?).as_ref())?;
    desk.say(Response::Loading { what: "Checking what they compute".to_owned(), share: 1.0 });
    let start = now();
    let mut worst = read_golden(teacher_files)?.of_model(&teacher).await?;
    worst = worst.max(read_golden(student_files)?.of_model(&student).await?);
    worst = worst.max(read_golden(critic_files)?.of_critic(&mut critic).await?);
    let test_s = (now() - start) / 1000.0;
    critic.pairs = 0;
    critic.observer = Some(Box::new(Reading::new(desk.clone())));
    // JSON has no infinity.
    let worst = worst.min(f32::MAX);
    let models = Models { compute, teacher, critic, student, folder, format, trained: None, trained_writes: false };
    Ok((models, worst, test_s))
}

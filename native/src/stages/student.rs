//! Training a student on datasets of pairs.

use std::path::{Path, PathBuf};

use anyhow::Result;
use lm::device::Compute;
use lm::lanes::wait;
use lm::model::save::{Layout, Trained};
use lm::train::objective::{Likelihood, Objective};
use lm::train::trainer::Trainer;
use method::student::Lesson;
use method::student::lesson::format_for;
use record::plan::Plan;
use record::{Preset, Task};
use serde::Serialize;

use crate::args::TrainFlags;
use crate::fs::{read_small, write_file};
use crate::models::student::{JUDGES, Judges};
use crate::output::{self, Kind, Lock, Manifest};
use crate::report::{curve, students};
use crate::run::RunFolder;
use crate::run::card::public_plan;
use crate::session::Session;
use crate::training::folder::{self, Folder};
use crate::training::pairs::read_pairs;
use crate::training::plan::Standing;
use crate::training::save::{kept, save};
use crate::training::{StudentPlan, plan, settings};

/// What to train, on which data, and where.
pub struct Request<'a> {
    /// The run whose plan gives the device and whose report shows the training.
    pub run: &'a RunFolder,
    /// Dataset folders with the pairs.
    pub data: Vec<PathBuf>,
    /// Folder of the training.
    pub out: PathBuf,
    /// Which earlier training in that folder is set aside in the run's folder `earlier`.
    pub aside: Aside,
    /// Name or path of the model to fine-tune.
    pub base: String,
    /// Tasks to train on.
    pub tasks: Vec<Task>,
    /// Seed of the training.
    pub seed: u64,
    /// Flags that override the default settings.
    pub flags: &'a TrainFlags,
    /// The critics that accepted the pairs.
    pub judges: Judges,
}

/// Which earlier training is set aside for a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aside {
    /// None: another folder has to be chosen.
    Nothing,
    /// One of other pairs or of another base model, such as those of a run before it grew.
    OtherInputs,
    /// One that differs in anything.
    Anything,
}

impl Aside {
    fn takes(self, standing: &Standing) -> bool {
        match standing {
            Standing::New | Standing::Same => false,
            Standing::OtherInputs => self != Self::Nothing,
            Standing::Other(..) => self == Self::Anything,
        }
    }
}

/// Results of the training of a student.
#[derive(Debug, Serialize)]
pub struct Done {
    /// The student's model folder.
    #[serde(serialize_with = "crate::fs::lossy")]
    pub student: PathBuf,
    /// Whether it is a reworder.
    #[serde(skip)]
    pub reworder: bool,
    /// Number of steps taken.
    pub steps: u64,
    /// Number of training examples.
    pub examples: usize,
    /// Number of held-out examples.
    pub held_out: usize,
    /// Loss of the last step, in nats per token.
    pub loss: Option<f32>,
    /// Best held-out loss, in nats per token.
    pub validation: Option<f32>,
}

impl Done {
    /// The result as text for the user, with the next command.
    #[must_use]
    pub fn told(&self) -> String {
        let student = self.student.display();
        let loss = |l: Option<f32>| l.map_or("-".to_owned(), |l| format!("{l:.3}"));
        let command = if self.reworder { "reword --model" } else { "paraphrase --student" };
        format!(
            "{} steps over {} examples; loss {}, on {} held-out examples {}.\n  {student}\nUse it: impossible {command} {student} \"Your sentence.\"",
            self.steps,
            self.examples,
            loss(self.loss),
            self.held_out,
            loss(self.validation)
        )
    }
}

/// The model that a run's student is fine-tuned from.
#[must_use]
pub fn base(run: &RunFolder) -> String {
    let models = &run.plan().models;
    if models.student.is_empty() { models.teacher.clone() } else { models.student.clone() }
}

/// Trains a student, or resumes an interrupted training, and saves the model.
///
/// # Errors
/// Errors of reading pairs, base model and folders; [`record::Error::Interrupted`] after Ctrl-C, with a checkpoint
/// saved.
pub fn train(session: &Session, request: &Request<'_>) -> Result<Done> {
    output::check(&request.out, Kind::Student)?;
    let (pairs, data) = read_pairs(&request.data, &request.tasks)?;
    let by_task = Task::ALL.map(|task| pairs.iter().filter(|pair| pair.scored.task == task).count());
    let place = session.store.resolve(&request.base)?;
    let base = place.open()?;
    let plan = StudentPlan {
        seed: request.seed,
        device: request.run.plan().device,
        base: request.base.clone(),
        // Prevents resuming with another base model.
        base_sha256: place.weights_hash()?,
        data,
        format: format_for(&base, &request.tasks)?,
        training_damage: None,
        train: settings::student(request.flags, base.parameters()),
    };
    check(&request.out, request.aside, &plan)?;
    let compute = Compute::open(plan.device)?;
    let mut lesson = Lesson::new(&base, &pairs, plan.format.clone(), plan.train.clone(), plan.seed, &compute)?;
    for (reason, n) in &lesson.dropped {
        note!("{n} pairs were left out: {reason}.");
    }
    // Nothing has been written up to here, so that a failing request leaves nothing behind.
    let _lock = begin(Some(request.run), &request.out, request.aside, &plan)?;
    let done = carry_out(session, &request.out, &plan, &mut lesson, |model, trainer| {
        model.card = card(&plan, request.run.plan(), by_task, trainer);
        model.extra.push((JUDGES, request.judges.to_bytes()?));
        Ok(())
    })?;
    if let Err(error) = students::refresh(request.run.dir()) {
        note!("The student is finished, but the run's report could not be updated: {error}");
    }
    Ok(done)
}

/// Takes all steps of a training whose folder is locked, and saves the model; `dress` adds its card and files.
pub(super) fn carry_out<O: Objective + Sync>(
    session: &Session,
    out: &Path,
    plan: &StudentPlan,
    lesson: &mut Lesson<O>,
    dress: impl FnOnce(&mut Trained, &Trainer<O>) -> Result<()>,
) -> Result<Done> {
    let hash = plan::begin(&out.join(plan::FILE), plan, &plan.train)?;
    let (learned, held_out) = lesson.trainer.sizes();
    let (all, trained) = lesson.trainer.parameters.count();
    if !session.quiet {
        note!(
            "{learned} examples, {held_out} held out; {:.1} of {:.1} million parameters are trained.",
            trained as f64 / 1e6,
            all as f64 / 1e6
        );
    }
    let metrics = folder::train(session, &Folder::new(out, &hash), &mut lesson.trainer, |_, _| Ok(()))?;
    write_file(&out.join("report.html"), curve::page("Training of a student", &metrics).as_bytes())?;
    let student = out.join("model");
    let mut model = wait(lesson.trained())?;
    dress(&mut model, &lesson.trainer)?;
    if !kept(out) {
        save(&student, &model, Layout::default())?;
    }
    Manifest::write(out, Kind::Student)?;
    Ok(Done {
        student,
        reworder: plan.format.damage.is_some(),
        steps: metrics.last().map_or(0, |l| l.step),
        examples: learned,
        held_out,
        loss: metrics.last().map(|l| l.loss),
        validation: lesson.trainer.state.best.map(|(loss, _)| loss),
    })
}

/// Checks that a folder has no training, the same one, or one that is set aside.
pub(super) fn check(out: &Path, aside: Aside, plan: &StudentPlan) -> record::Result<()> {
    let file = out.join(plan::FILE);
    if aside.takes(&plan::standing(&file, plan, &plan.train)?) {
        return Ok(());
    }
    plan::check(&file, plan, &plan.train)
}

/// Locks the folder of a training, after setting aside an earlier one of the run if the request says so.
pub(super) fn begin(run: Option<&RunFolder>, out: &Path, aside: Aside, plan: &StudentPlan) -> record::Result<Lock> {
    let stands = |_: &Path| -> record::Result<bool> {
        Ok(!aside.takes(&plan::standing(&out.join(plan::FILE), plan, &plan.train)?))
    };
    let Some(run) = run.filter(|_| aside != Aside::Nothing) else { return output::claim(out, Kind::Student) };
    let (lock, moved) = output::claim_or_set_aside(run.dir(), out, Kind::Student, stands)?;
    if let Some(moved) = moved {
        note!("The earlier training, which had other data or settings, was moved to {}.", moved.display());
    }
    Ok(lock)
}

/// Name of the model that a student was first fine-tuned from: the base of its base, if that is a student too.
pub(super) fn first_base(plan: &StudentPlan) -> String {
    let mut base = plan.base.clone();
    // Bounded, as a training's folder could name itself.
    for _ in 0..16 {
        let Some(file) = Path::new(&base).parent().map(|training| training.join(plan::FILE)) else { break };
        let Ok(bytes) = read_small(&file, 1 << 20) else { break };
        let Ok(earlier) = toml::from_str::<StudentPlan>(&String::from_utf8_lossy(&bytes)) else { break };
        base = earlier.base;
    }
    Path::new(&base).file_name().map_or_else(|| base.clone(), |name| name.to_string_lossy().into_owned())
}

/// The licence of a published base model, if it is one of the presets'.
pub(super) fn licence_of(base: &str) -> String {
    let known = Preset::DOWNLOADED.iter().flat_map(|preset| preset.models()).find(|model| model.folder == base);
    known.map_or_else(String::new, |model| format!(" ({}: {})", model.repo, model.licence))
}

/// The model card: what the student was trained on, how well it predicts held-out pairs, how to use it, and its limits.
fn card(plan: &StudentPlan, run: &Plan, pairs: [usize; 2], trainer: &Trainer<Likelihood>) -> String {
    let pipeline = if plan.format.separator.is_empty() { "text2text-generation" } else { "text-generation" };
    let tasks: Vec<&str> = plan.format.tasks.iter().map(|t| t.name()).collect();
    let best = trainer.state.best.map_or_else(String::new, |(loss, step)| {
        let held_out = trainer.sizes().1;
        format!("Loss on {held_out} held-out examples: {loss:.4} nats per token, after step {step}.\n")
    });
    let tuned = match &plan.train.lora {
        Some(l) => format!("low-rank adapters (rank {}, alpha {}), merged into the weights", l.rank, l.alpha),
        None => "all weights".to_owned(),
    };
    let prompts: Vec<String> = plan
        .format
        .tasks
        .iter()
        .map(|&t| format!("`{}`", plan.format.prompt(t, "SOURCE", 0.6).replace('\n', "\\n")))
        .collect();
    let (base, models) = (first_base(plan), public_plan(run).models);
    format!(
        "---\nlibrary_name: transformers\npipeline_tag: {pipeline}\nbase_model: {base}\ntags:\n- paraphrase\n- summarization\n- impossible-distillation\n---\n\n# A student of Impossible Distillation: {tasks}\n\nTrained without human labels on {paraphrases} paraphrase and {summaries} summary pairs of sentences by {teacher}, which the critic {critic} accepted. {tuned}; {epochs} epochs, learning rate {rate}.\n{best}\n## Use\n\nWith the program that trained it, which also judges the versions: `impossible paraphrase --student FOLDER \"Your sentence.\"`. `{JUDGES}` names its critics.\n\nWith other libraries: prompts, as trained: {prompts}. Sample with temperature 0.7, top-p 0.9, until the end-of-text token.\n\n## Limits\n\nIts sentences may add, drop or change facts: check its outputs with an entailment model. It was trained on the domain of its pairs only.\n\n## Licence\n\nThe licence of the base model {base}{licence} applies to these weights. The pairs were filtered by a critic whose own licence may restrict their use.\n",
        tasks = tasks.join(" and "),
        paraphrases = pairs[0],
        summaries = pairs[1],
        teacher = models.teacher,
        critic = models.critic,
        epochs = plan.train.epochs,
        rate = plan.train.learning_rate,
        prompts = prompts.join(", "),
        licence = licence_of(&base),
    )
}

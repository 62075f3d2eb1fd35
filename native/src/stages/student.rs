//! A student out of datasets.

use std::path::{Path, PathBuf};

use anyhow::Result;
use lm::device::Compute;
use lm::lanes::wait;
use lm::model::save::Layout;
use lm::train::objective::Likelihood;
use lm::train::trainer::Trainer;
use method::student::Lesson;
use method::student::lesson::format_for;
use record::Task;
use serde::Serialize;

use crate::args::TrainFlags;
use crate::fs::{io_error, write_file};
use crate::models;
use crate::report::{curve, students};
use crate::run::RunFolder;
use crate::session::Session;
use crate::training::folder::{self, Folder};
use crate::training::pairs::read_pairs;
use crate::training::save::save;
use crate::training::{StudentPlan, plan, settings};

/// What to train, on what, and where.
pub struct Request<'a> {
    /// The run whose report and device it belongs to.
    pub run: &'a RunFolder,
    /// Folders of pairs.
    pub data: Vec<PathBuf>,
    /// Folder of the training.
    pub out: PathBuf,
    /// Model to start from: a name or a path.
    pub base: String,
    /// Tasks to learn.
    pub tasks: Vec<Task>,
    /// Seed.
    pub seed: u64,
    /// Settings.
    pub flags: &'a TrainFlags,
}

/// What a training gave.
#[derive(Debug, Serialize)]
pub struct Done {
    /// Model folder.
    pub student: PathBuf,
    /// Steps taken.
    pub steps: u64,
    /// Examples trained on.
    pub examples: usize,
    /// Examples held out.
    pub held_out: usize,
    /// Loss of the last step, in nats a token.
    pub loss: Option<f32>,
    /// Best loss on held-out examples, in nats a token.
    pub validation: Option<f32>,
}

impl Done {
    /// The outcome in words, with the next step.
    #[must_use]
    pub fn told(&self) -> String {
        let student = self.student.display();
        let loss = |l: Option<f32>| l.map_or("-".to_owned(), |l| format!("{l:.3}"));
        format!(
            "{} steps over {} examples; loss {}, on {} held-out examples {}.\n  {student}\nUse it: impossible paraphrase --student {student} \"Your sentence.\"",
            self.steps,
            self.examples,
            loss(self.loss),
            self.held_out,
            loss(self.validation)
        )
    }
}

/// What a run's student starts from.
#[must_use]
pub fn base(run: &RunFolder) -> String {
    let models = &run.plan().models;
    if models.student.is_empty() { models.teacher.clone() } else { models.student.clone() }
}

/// Trains to the end and writes the student.
///
/// # Errors
/// Those of pairs, base model and folders; [`record::Error::Interrupted`] after Ctrl-C, with a checkpoint written.
pub fn train(session: &Session, request: &Request<'_>) -> Result<Done> {
    let (pairs, data) = read_pairs(&request.data, &request.tasks)?;
    let base = models::open(&session.store, &request.base)?;
    let plan = StudentPlan {
        seed: request.seed,
        device: request.run.plan().device,
        base: request.base.clone(),
        // The plan must not go on with another base.
        base_sha256: models::weights_hash(&session.store.resolve(&request.base)?)?.unwrap_or_default(),
        data,
        format: format_for(&base, &request.tasks)?,
        train: settings::student(request.flags, base.parameters()),
    };
    let compute = Compute::open(plan.device)?;
    let mut lesson = Lesson::new(&base, &pairs, plan.format.clone(), plan.train.clone(), plan.seed, &compute)?;
    for (reason, n) in &lesson.dropped {
        eprintln!("{n} pairs were left out: {reason}.");
    }
    // Nothing is written before the request is known to work.
    std::fs::create_dir_all(&request.out).map_err(io_error("creating", &request.out))?;
    let hash = plan::begin(&request.out.join(plan::FILE), &plan, &plan.train)?;
    let (learned, held_out) = lesson.trainer.sizes();
    let (all, trained) = lesson.trainer.parameters.count();
    if !session.quiet {
        eprintln!(
            "{learned} examples, {held_out} held out; {:.1} of {:.1} million parameters are trained.",
            trained as f64 / 1e6,
            all as f64 / 1e6
        );
    }
    let metrics = folder::train(session, &Folder::new(&request.out, &hash), &mut lesson.trainer, |_, _| Ok(()))?;
    write_file(&request.out.join("report.html"), curve::page("Training of a student", &metrics).as_bytes())?;
    let student = request.out.join("model");
    let mut model = wait(lesson.trained())?;
    model.card = card(&plan, learned + held_out, &lesson.trainer, plan.format.separator.is_empty());
    save(&student, &model, Layout::default())?;
    if let Err(error) = students::refresh(request.run.dir()) {
        eprintln!("The student is finished, but not in the run's report: {error}");
    }
    Ok(Done {
        student,
        steps: metrics.last().map_or(0, |l| l.step),
        examples: learned,
        held_out,
        loss: metrics.last().map(|l| l.loss),
        validation: lesson.trainer.state.best.map(|(loss, _)| loss),
    })
}

fn card(plan: &StudentPlan, examples: usize, trainer: &Trainer<Likelihood>, encoder: bool) -> String {
    let pipeline = if encoder { "text2text-generation" } else { "text-generation" };
    let tasks: Vec<&str> = plan.format.tasks.iter().map(|t| t.name()).collect();
    let best = trainer.state.best.map_or_else(String::new, |(loss, step)| {
        format!("Loss on held-out contexts: {loss:.4} nats a token, after step {step}.\n")
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
    format!(
        "---\nlibrary_name: transformers\npipeline_tag: {pipeline}\nbase_model: {base}\ntags:\n- paraphrase\n- summarization\n- impossible-distillation\n---\n\n# A student of Impossible Distillation: {tasks}\n\nTrained on {examples} examples from pairs that a small language model wrote and an entailment critic kept, without human labels. {tuned}; {epochs} epochs, learning rate {rate}.\n{best}\n## Use\n\nPrompts, as trained: {prompts}. Sample with temperature 0.7, top-p 0.9, until the end-of-text token.\n\n## Limits\n\nIt writes sentences that may add, drop or change facts: check its outputs with an entailment model. It has only seen the domain of its pairs.\n\n## Licence\n\nThe licence of the base model holds for these weights. The pairs were filtered by a critic whose own licence may restrict their use.\n",
        base =
            Path::new(&plan.base).file_name().map_or_else(|| plan.base.clone(), |n| n.to_string_lossy().into_owned()),
        tasks = tasks.join(" and "),
        epochs = plan.train.epochs,
        rate = plan.train.learning_rate,
        prompts = prompts.join(", "),
    )
}

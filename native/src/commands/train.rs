//! `impossible train`: a student out of a dataset.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use impossible_core::Error;
use impossible_core::model::ModelFolder;
use impossible_core::record::Task;
use impossible_core::student::examples::{balanced, examples};
use impossible_core::student::{Format, format};
use impossible_core::train::Parameters;
use impossible_core::train::objective::Likelihood;
use impossible_core::train::trainer::{Settings, Trainer};
use serde::Serialize;

use super::{Session, task, wait};
use crate::args::{FitFlags, Train, TrainFlags};
use crate::progress::stop_flag;
use crate::run::atomic::{io_error, write_file};
use crate::run::{RunFolder, students};
use crate::training::folder::{self, Folder};
use crate::training::pairs::read_pairs;
use crate::training::save::{Model, Precision, save};
use crate::training::{StudentPlan, curve, plan};
use crate::{models, plans};

/// What a training gave.
#[derive(Debug, Serialize)]
pub(super) struct Done {
    pub student: PathBuf,
    pub steps: u64,
    pub examples: usize,
    pub held_out: usize,
    pub loss: Option<f32>,
    pub validation: Option<f32>,
}

/// Settings changed by the flags that every training has.
pub(super) fn fit(flags: &FitFlags, mut s: Settings) -> Settings {
    s.epochs = flags.epochs.unwrap_or(s.epochs);
    s.batch = flags.train_batch.unwrap_or(s.batch);
    s.batch_tokens = flags.batch_tokens.unwrap_or(s.batch_tokens);
    s.warmup = flags.warmup.unwrap_or(s.warmup);
    s.schedule = flags.schedule.unwrap_or(s.schedule);
    s.optimizer = flags.optimizer.unwrap_or(s.optimizer);
    s.weight_decay = flags.weight_decay.unwrap_or(s.weight_decay);
    s.clip = flags.clip.unwrap_or(s.clip);
    s.validation = flags.validation.unwrap_or(s.validation);
    s.dropout = flags.dropout.unwrap_or(s.dropout);
    s.label_smoothing = flags.label_smoothing.unwrap_or(s.label_smoothing);
    s.compute = flags.compute.unwrap_or(s.compute);
    s.evaluate_every = flags.evaluate_every.unwrap_or(s.evaluate_every);
    s.learning_rate = flags.learning_rate.unwrap_or(s.learning_rate);
    s
}

/// A model of fewer parameters is trained whole: adapters would save nothing.
const SMALL: usize = 10_000_000;

/// Settings of the training of a student with so many parameters, changed by flags.
fn settings(flags: &TrainFlags, parameters: usize) -> Settings {
    let mut s = Settings { checkpointing: flags.checkpointing, ..Settings::default() };
    let adapters = flags.lora_rank.is_some() || flags.lora_alpha.is_some() || !flags.lora_targets.is_empty();
    if flags.full || (parameters < SMALL && !adapters) {
        s.lora = None;
        s.learning_rate = if parameters < SMALL { 5e-4 } else { 3e-5 };
    }
    if let Some(lora) = &mut s.lora {
        lora.rank = flags.lora_rank.unwrap_or(lora.rank);
        lora.alpha = flags.lora_alpha.unwrap_or(2.0 * lora.rank as f64);
        if !flags.lora_targets.is_empty() {
            lora.targets.clone_from(&flags.lora_targets);
        }
    }
    fit(&flags.fit, s)
}

/// What to train, on what, and where.
pub(super) struct Request<'a> {
    pub run: &'a RunFolder,
    pub data: Vec<PathBuf>,
    pub out: PathBuf,
    pub base: String,
    pub tasks: Vec<Task>,
    pub seed: u64,
    pub flags: &'a TrainFlags,
}

pub(super) fn run(session: &Session, args: &Train) -> Result<()> {
    let run = RunFolder::open(&args.run)?;
    let request = Request {
        data: if args.data.is_empty() { vec![args.run.join("dataset")] } else { args.data.clone() },
        out: args.out.clone().unwrap_or_else(|| args.run.join("student/stage0")),
        base: args.base.clone().unwrap_or_else(|| base(&run)),
        tasks: args.task.map_or(Task::ALL.to_vec(), |t| vec![task(t)]),
        seed: args.seed.unwrap_or(run.plan().seed),
        flags: &args.train,
        run: &run,
    };
    let done = train(session, &request, &stop_flag()?)?;
    session.say(&done, || told(&done))
}

pub(super) fn told(done: &Done) -> String {
    let student = done.student.display();
    let loss = |l: Option<f32>| l.map_or("-".to_owned(), |l| format!("{l:.3}"));
    format!(
        "{} steps over {} examples; loss {}, on {} held-out examples {}.\n  {student}\nUse it: impossible paraphrase --student {student} \"Your sentence.\"",
        done.steps,
        done.examples,
        loss(done.loss),
        done.held_out,
        loss(done.validation)
    )
}

/// What a run's student starts from.
pub(super) fn base(run: &RunFolder) -> String {
    let models = &run.plan().models;
    if models.student.is_empty() { models.teacher.clone() } else { models.student.clone() }
}

fn size(folder: &ModelFolder) -> usize {
    let of = |name: &str| folder.tensors.info(name).map_or(0, |i| i.shape.iter().product());
    folder.tensors.names().iter().map(|name| of(name)).sum()
}

/// Trains to the end and writes the student.
pub(super) fn train(session: &Session, request: &Request<'_>, stop: &Arc<AtomicBool>) -> Result<Done> {
    let (pairs, data) = read_pairs(&request.data, &request.tasks)?;
    let spec = plans::device(request.run.plan())?;
    let folder = models::open(&session.store, &request.base)?;
    let shape = impossible_core::model::lm::LanguageModel::sizes(&folder.config)?;
    let format = match shape.start {
        Some(_) => Format::encoder_decoder(&request.tasks),
        None => Format::causal(&request.tasks),
    };
    let plan = StudentPlan {
        seed: request.seed,
        device: spec.to_string(),
        base: request.base.clone(),
        // The plan must not go on with another base.
        base_sha256: models::weights_hash(&session.store.resolve(&request.base)?)?.unwrap_or_default(),
        data,
        format,
        train: settings(request.flags, size(&folder)),
    };
    let compute = spec.open()?;
    let tokenizer = folder.tokenizer()?.clone();
    let eos = end(&folder, &shape.eos)?;
    let made = balanced(examples(&plan.format, &pairs, &tokenizer, (eos, shape.start.is_some()), shape.positions)?);
    for (reason, n) in &made.dropped {
        eprintln!("{n} pairs were left out: {reason}.");
    }
    let parameters = Parameters::read(&folder.tensors, plan.train.lora.clone(), plan.seed, &compute.device)?;
    let mut trainer = Trainer::new(
        Likelihood::new(folder.config.clone())?,
        parameters,
        plan.train.clone(),
        made.examples,
        plan.seed,
    )?;
    // Nothing is written before the request is known to work.
    std::fs::create_dir_all(&request.out).map_err(io_error("creating", &request.out))?;
    let hash = plan::begin(&request.out.join(plan::FILE), &plan, &plan.train)?;
    let (learned, held_out) = trainer.sizes();
    let (all, trained) = trainer.parameters.count();
    if !session.quiet {
        eprintln!(
            "{learned} examples, {held_out} held out; {:.1} of {:.1} million parameters are trained.",
            trained as f64 / 1e6,
            all as f64 / 1e6
        );
    }
    let place = Folder::new(&request.out, &hash);
    let metrics = folder::train(&place, &mut trainer, session.quiet, stop, |_, _| Ok(()))?;
    write_file(&request.out.join("report.html"), curve::page("Training of a student", &metrics).as_bytes())?;
    let model = request.out.join("model");
    let card = card(&plan, learned + held_out, &trainer, shape.start.is_some());
    let weights = wait(trainer.parameters.merged())?;
    let text = tokenizer.to_json()?;
    let token = tokenizer.token(eos).unwrap_or_default();
    save(
        &model,
        &Model {
            config: &folder.config,
            tokenizer: text.as_bytes(),
            eos: Some((eos, &token)),
            pad: pad(&folder).as_deref(),
            format: Some((format::FILE, &plan.format.to_bytes()?)),
            weights: &weights,
            precision: Precision::F32.into(),
            shard: None,
            card: &card,
        },
    )?;
    if let Err(error) = students::refresh(request.run.dir()) {
        eprintln!("The student is finished, but not in the run's report: {error}");
    }
    Ok(Done {
        student: model,
        steps: metrics.last().map_or(0, |l| l.step),
        examples: learned,
        held_out,
        loss: metrics.last().map(|l| l.loss),
        validation: trainer.state.best.map(|(loss, _)| loss),
    })
}

/// The padding token that the config names.
pub(super) fn pad(folder: &ModelFolder) -> Option<String> {
    let id = folder.config.get("pad_token_id")?.as_u64().and_then(|id| u32::try_from(id).ok())?;
    folder.tokenizer().ok()?.token(id)
}

/// The token that ends a target.
pub(super) fn end(folder: &ModelFolder, eos: &[u32]) -> impossible_core::Result<u32> {
    let special = folder.tokenizer()?.special();
    eos.first().or(special.first()).copied().ok_or_else(|| Error::Config {
        file: folder.config.file().to_owned(),
        field: "eos_token_id".into(),
        expected: "an end-of-text token, so that the student can learn to stop".into(),
        found: "none, and no special token".into(),
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

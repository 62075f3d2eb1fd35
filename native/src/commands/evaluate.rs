//! `impossible evaluate`: what a dataset or a system's outputs are worth.

use anyhow::Result;
use lm::decode::sample::SampleOptions;
use lm::decode::siblings::{Job, Limits, Stop, sample};
use lm::device::Compute;
use lm::lanes::wait;
use method::evaluate::models::{Bert, Critic};
use method::evaluate::{Judge, Model, TokenEncoder, baseline};
use record::monitor::Stage;
use record::presets::Role;
use record::random::Purpose;
use record::{Error, Monitor, Preset, Task};

use crate::args::evaluate::EvaluateArgs;
use crate::evaluate::{self, Loaded, Models, datasets};
use crate::session::Session;

/// Most new tokens of a zero-shot answer.
const ANSWER_TOKENS: usize = 80;

pub(super) fn run(session: &Session, args: &EvaluateArgs) -> Result<()> {
    let mut bar = session.bar("items", 0, 0)?;
    let mut monitor = Monitor::new(&mut bar, 0, 0);
    // Files first: what is wrong with them is said before a model is loaded.
    let loaded = if args.dataset.is_empty() { Some(evaluate::load(args)?) } else { None };
    let mut compute = None;
    let (mut judge, mut encoder) = (None, None);
    let no_models = "switched off".to_owned();
    let mut why = [no_models.clone(), no_models];
    if args.needs(Model::Judge)? {
        match critic(session, args, &mut compute) {
            Ok(model) => judge = Some(model),
            Err(error) => why[0] = missing(error)?,
        }
    }
    if args.needs(Model::Encoder)? {
        match bert(session, args, &mut compute) {
            Ok(model) => encoder = Some(model),
            Err(error) => why[1] = missing(error)?,
        }
    }
    let [no_judge, no_encoder] = why;
    let judge = judge.as_mut().map(|model| model as &mut dyn Judge).ok_or(no_judge);
    let encoder = encoder.as_mut().map(|model| model as &mut dyn TokenEncoder).ok_or(no_encoder);
    let Some(mut loaded) = loaded else {
        let found = wait(datasets::measure(args, encoder, &mut monitor))?;
        bar.finish();
        session.say(&found.json(), || if args.markdown { found.markdown() } else { found.text() })?;
        if let Some(dir) = &args.out {
            found.write(dir)?;
        }
        return Ok(evaluate::finish(found.problems)?);
    };
    if let Some(name) = &args.zero_shot
        && let Err(problem) = zero_shot(session, name, &mut loaded, &mut compute, &mut monitor)
    {
        loaded.problem(problem);
    }
    let found = wait(evaluate::score(args, loaded, Models { judge, encoder }, &mut monitor))?;
    bar.finish();
    session.say(&found.json(), || if args.markdown { found.markdown() } else { found.text() })?;
    if let Some(dir) = &args.out {
        found.write(dir, args.examples)?;
    }
    Ok(evaluate::finish(found.problems)?)
}

/// Why a model's columns are left out: it is not there. Anything else ends the command.
fn missing(error: Error) -> record::Result<String> {
    match error {
        Error::Missing { .. } => Ok(error.to_string()),
        _ => Err(error),
    }
}

fn device<'c>(session: &Session, compute: &'c mut Option<Compute>) -> record::Result<&'c Compute> {
    if compute.is_none() {
        *compute = Some(session.compute()?);
    }
    compute.as_ref().ok_or(Error::Interrupted)
}

fn critic(session: &Session, args: &EvaluateArgs, compute: &mut Option<Compute>) -> record::Result<Critic> {
    let name = args.critic.as_deref().unwrap_or(Preset::Small.model(Role::Critic));
    let model = session.pair_model(name, device(session, compute)?)?;
    Ok(Critic::new(model, &shown(name)))
}

fn bert(session: &Session, args: &EvaluateArgs, compute: &mut Option<Compute>) -> record::Result<Bert> {
    let name = args.encoder.as_deref().unwrap_or(Preset::Small.model(Role::Encoder));
    let model = session.text_encoder(name, device(session, compute)?)?;
    Bert::new(model, &shown(name), args.layer)
}

/// The last part of a path: signatures are copied into papers.
fn shown(name: &str) -> String {
    let path = std::path::Path::new(name);
    path.file_name().map_or_else(|| name.to_owned(), |last| last.to_string_lossy().into_owned())
}

/// Adds the answers of a language model that is asked in words, greedily.
fn zero_shot(
    session: &Session,
    name: &str,
    loaded: &mut Loaded,
    compute: &mut Option<Compute>,
    monitor: &mut Monitor<'_>,
) -> record::Result<()> {
    let teacher = session.text_model(name, device(session, compute)?)?;
    let task = loaded.benchmark().task();
    // Models that were tuned on dialogues know their turns by these tokens.
    let turns = teacher.tokenizer.id("<|im_start|>").is_some();
    let mut jobs = Vec::new();
    for (at, item) in loaded.benchmark().items().iter().enumerate() {
        let prompt = prompt(task, &item.source, turns);
        let prompt = teacher.prompt(&prompt, ANSWER_TOKENS).map_err(|e| match e {
            Error::Input { expected, found, .. } => {
                Error::Input { name: format!("row {} of the benchmark, as a question", at + 1), expected, found }
            }
            other => other,
        })?;
        jobs.push(Job { context: at as u64, prompt, rows: 0..1, stop: Stop::FirstSentence });
    }
    let sampler = teacher.sampler(SampleOptions { top_k: 1, ..SampleOptions::default() })?;
    let mut outputs = Vec::with_capacity(jobs.len());
    for some in jobs.chunks(96) {
        let limits = Limits { batch: 96, max_tokens: ANSWER_TOKENS };
        let rows = wait(sample(&teacher, some, &sampler, limits, (0, Purpose::Other), monitor))?;
        outputs.extend(rows.iter().map(|row| baseline::answer(task, &row.text)));
        monitor.at(Stage::Versions, outputs.len() as u64, jobs.len() as u64)?;
    }
    loaded.push(baseline::ZERO_SHOT, outputs)
}

fn prompt(task: Task, text: &str, turns: bool) -> String {
    let question = baseline::question(task, text);
    if turns {
        format!("<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n")
    } else {
        let label = if task == Task::Paraphrase { "Paraphrase" } else { "Summary" };
        format!("{question}\n\n{label}:")
    }
}

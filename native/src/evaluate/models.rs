//! The models of an evaluation: judge, encoder, and the language model that is asked in words.

use lm::decode::sample::SampleOptions;
use lm::decode::siblings::{Job, Limits, Stop, sample};
use lm::lanes::wait;
use method::evaluate::baseline;
use method::evaluate::models::{Bert, Critic};
use record::monitor::Stage;
use record::presets::Role;
use record::random::Purpose;
use record::{Error, Monitor, Preset, Result, Task};

use super::Loaded;
use crate::args::evaluate::EvaluateArgs;
use crate::session::Session;

/// Most new tokens of a zero-shot answer.
const ANSWER_TOKENS: usize = 80;

/// A model, or why its columns are left out: it is not there. Anything else is an error.
///
/// # Errors
/// All but [`Error::Missing`].
pub fn or_missing<M>(model: Result<M>) -> Result<std::result::Result<M, String>> {
    match model {
        Ok(model) => Ok(Ok(model)),
        Err(error @ Error::Missing { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

/// The entailment model of the judge's columns.
///
/// # Errors
/// Those of the model folder.
pub fn critic(session: &Session, args: &EvaluateArgs) -> Result<Critic> {
    let name = args.critic.as_deref().unwrap_or(Preset::Small.model(Role::Critic));
    let model = session.pair_model(name, &session.compute()?)?;
    Ok(Critic::new(model, &shown(name)))
}

/// The encoder of the similarity columns.
///
/// # Errors
/// Those of the model folder; [`Error::Input`] for a layer that the encoder lacks.
pub fn bert(session: &Session, args: &EvaluateArgs) -> Result<Bert> {
    let name = args.encoder.as_deref().unwrap_or(Preset::Small.model(Role::Encoder));
    let model = session.text_encoder(name, &session.compute()?)?;
    Bert::new(model, &shown(name), args.layer)
}

/// The last part of a path: signatures are copied into papers.
fn shown(name: &str) -> String {
    let path = std::path::Path::new(name);
    path.file_name().map_or_else(|| name.to_owned(), |last| last.to_string_lossy().into_owned())
}

/// Adds the answers of a language model that is asked in words, greedily.
///
/// # Errors
/// The model's; [`Error::Input`] for a row that leaves no room for an answer; [`Error::Interrupted`].
pub fn zero_shot(session: &Session, name: &str, loaded: &mut Loaded, monitor: &mut Monitor<'_>) -> Result<()> {
    let teacher = session.text_model(name, &session.compute()?)?;
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

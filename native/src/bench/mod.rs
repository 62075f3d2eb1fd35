//! `impossible bench`: speed of sampling, entailment, embedding, whole contexts, and a student's decoding and training.

mod student;
mod words;

use std::time::Instant;

use anyhow::Result;
use lm::decode::TextModel;
use lm::lanes::wait;
use method::critic::{Critics, EntailmentModel, Panel, SentenceEncoder};
use method::distill::pipeline;
use record::monitor::Unwatched;
use record::plan::Plan;
use record::{Context, Finish, Monitor};
use serde_json::json;

use crate::args::{Bench, Measure};
use crate::models;
use crate::run::jsonl;
use crate::session::Session;

/// Contexts of the benchmark, which the Python comparison uses as well.
const CONTEXTS: [&str; 2] = [
    "LONDON, England (Reuters) - The central bank said on Tuesday that it would keep interest rates unchanged.",
    "SYDNEY, Australia (ABC) - Heavy rain closed roads across the north of the state on Monday. Emergency crews worked \
     through the night to reach cut-off towns. Farmers said the water had destroyed most of the late crop. The \
     government promised help within days.",
];

fn context(id: usize) -> Context {
    Context { id: id as u64, text: CONTEXTS[id].to_owned(), origin: String::new(), sentences: 0 }
}

#[allow(clippy::cast_precision_loss)]
fn rate(n: usize, start: Instant) -> f64 {
    n as f64 / start.elapsed().as_secs_f64()
}

/// Peak resident memory of this process in bytes; `None` if unknown.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib << 10)
}

/// Measures one context, from sampling siblings to the kept pairs.
fn whole_context(
    teacher: &TextModel,
    plan: &Plan,
    critics: &mut Critics,
    id: usize,
    monitor: &mut Monitor<'_>,
) -> Result<serde_json::Value> {
    let start = Instant::now();
    let rows = wait(pipeline::siblings(teacher, plan, &[context(id)], monitor))?;
    let sampling = start.elapsed().as_secs_f64();
    let mut siblings = pipeline::sentences(&rows, id as u64)?;
    let verdicts = wait(critics.judge(id as u64, &mut siblings, monitor))?;
    let seconds = start.elapsed().as_secs_f64();
    let kept = verdicts.scored.iter().filter(|s| s.kept()).count();
    #[allow(clippy::cast_precision_loss)]
    let per_minute = kept as f64 / seconds * 60.0;
    Ok(json!({"measure": "context", "k": plan.siblings.k, "sentences": siblings.len(),
        "nli_calls": verdicts.nli_calls, "kept": kept, "kept_per_minute": per_minute, "sampling_s": sampling,
        "critics_s": seconds - sampling, "seconds": seconds}))
}

/// Runs the selected measurements and prints their results.
///
/// # Errors
/// Errors of the models; [`record::Error::Input`] for a plan out of range.
pub fn run(session: &Session, args: &Bench) -> Result<()> {
    let compute = session.compute()?;
    let mut plan: Plan = args.preset.plan(compute.spec);
    let single = args.teacher.is_some() || args.critic.is_some() || args.encoder.is_some();
    let pick = |flag: &Option<String>, preset: &str| flag.clone().or_else(|| (!single).then(|| preset.to_owned()));
    let (teacher, critic, encoder) = (
        pick(&args.teacher, &plan.models.teacher),
        pick(&args.critic, &plan.models.critic),
        pick(&args.encoder, &plan.models.encoder).filter(|n| !n.is_empty()),
    );
    plan.siblings.k = args.k;
    plan.siblings.batch = args.batch.unwrap_or(plan.siblings.batch);
    plan.validate()?;
    let say = |row: serde_json::Value| session.say(&row, || words::line(&row));
    let mut unwatched = Unwatched;
    let monitor = &mut Monitor::new(&mut unwatched, 0, 0);

    let wanted = |m: Measure| args.only.is_empty() || args.only.contains(&m);
    let mut sentences: Vec<String> = Vec::new();
    // Training loads the weights itself, so without other measurements no second copy should count as memory.
    let trains = |m: &Measure| matches!(m, Measure::TrainingLora | Measure::TrainingFull);
    let only_training = !args.only.is_empty() && args.only.iter().all(trains);
    let teacher_name = teacher.clone();
    let teacher = teacher.filter(|_| !only_training);
    let teacher = teacher.map(|name| session.text_model(&name, &compute)).transpose()?;
    if let Some(teacher) = teacher.as_ref().filter(|_| wanted(Measure::Sampling)) {
        // Warm-up: loads pages of the weights, starts threads and compiles kernels.
        plan.siblings.k = 2;
        wait(pipeline::siblings(teacher, &plan, &[context(0)], monitor))?;
        for k in [1, args.k] {
            plan.siblings.k = k;
            let start = Instant::now();
            let rows = wait(pipeline::siblings(teacher, &plan, &[context(0)], monitor))?;
            let tokens: u32 = rows.iter().map(|r| r.tokens).sum();
            let usable = rows.iter().filter(|r| r.finish == Finish::Sentence).count();
            say(json!({"measure": "sampling", "k": k, "tokens_per_s": rate(tokens as usize, start),
                "usable_first_sentences_per_s": rate(usable, start), "seconds": start.elapsed().as_secs_f64(),
                "device": compute.spec.to_string()}))?;
            sentences = rows.into_iter().filter(|r| r.finish == Finish::Sentence).map(|r| r.text).collect();
        }
    }
    plan.siblings.k = args.k;
    if sentences.is_empty() {
        sentences =
            (0..64).map(|i| format!("The central bank raised interest rates for the {i}th time this year.")).collect();
    }
    let mut critic = critic.filter(|_| !only_training).map(|name| session.pair_model(&name, &compute)).transpose()?;
    if let Some(critic) = critic.as_mut().filter(|_| wanted(Measure::Entailment)) {
        let given = args.pairs.as_deref().map(|p| jsonl::read_rows(p, &["text", "target"])?.strict(p)).transpose()?;
        let pairs: Vec<(&str, &str)> = match &given {
            Some(rows) => rows.iter().map(|r| (r.values[0].as_str(), r.values[1].as_str())).collect(),
            None => sentences
                .iter()
                .flat_map(|x| sentences.iter().map(move |y| (x.as_str(), y.as_str())))
                .filter(|(x, y)| x != y)
                .step_by((sentences.len() * sentences.len() / 400).max(1))
                .collect(),
        };
        wait(critic.entail(&pairs[..pairs.len().min(2)], monitor))?;
        let start = Instant::now();
        wait(critic.entail(&pairs, monitor))?;
        say(
            json!({"measure": "entailment", "directed_pairs": pairs.len(), "nli_pairs_per_s": rate(pairs.len(), start)}),
        )?;
    }
    let mut encoder =
        encoder.filter(|_| !only_training).map(|name| session.text_encoder(&name, &compute)).transpose()?;
    if let Some(encoder) = encoder.as_mut().filter(|_| wanted(Measure::Embedding)) {
        let given = args.texts.as_deref().map(|p| jsonl::read_seeds(p, None)).transpose()?;
        let texts: Vec<&str> = match &given {
            Some(rows) => rows.iter().map(|r| r.text.as_str()).collect(),
            None => sentences.iter().map(String::as_str).collect(),
        };
        wait(encoder.embed(&texts[..texts.len().min(2)], monitor))?;
        let start = Instant::now();
        wait(encoder.embed(&texts, monitor))?;
        say(json!({"measure": "embedding", "sentences": texts.len(), "embeddings_per_s": rate(texts.len(), start)}))?;
    }
    if let (Some(teacher), Some(critic), true) = (&teacher, critic.take(), wanted(Measure::Context)) {
        let panel = Panel::new(&plan.paraphrase, &plan.summary);
        let encoder = encoder.take().map(|encoder| Box::new(encoder) as Box<dyn SentenceEncoder>);
        let mut critics = Critics { panel, entailment: Box::new(critic), encoder };
        for id in 0..CONTEXTS.len() {
            say(whole_context(teacher, &plan, &mut critics, id, monitor)?)?;
        }
    }
    if let Some(teacher) = teacher.as_ref().filter(|_| wanted(Measure::Decoding)) {
        say(student::decoding(teacher, monitor)?)?;
    }
    for (measure, full) in [(Measure::TrainingLora, false), (Measure::TrainingFull, true)] {
        if let Some(name) = teacher_name.as_ref().filter(|_| args.only.contains(&measure)) {
            say(student::training(&models::open(&session.store, name)?, &compute, full)?)?;
        }
    }
    if let Some(bytes) = peak_memory() {
        say(json!({"measure": "memory", "peak_bytes": bytes}))?;
    }
    Ok(())
}

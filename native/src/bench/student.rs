//! The measurements of `impossible bench` for students: batched decoding, and training steps.

use std::time::Instant;

use anyhow::Result;
use burn::tensor::{Device, Tensor};
use lm::decode::TextModel;
use lm::decode::sample::SampleOptions;
use lm::decode::siblings::{Job, Limits, Stop, sample};
use lm::device::Compute;
use lm::lanes::wait;
use lm::model::{LanguageModel, ModelFolder};
use lm::train::objective::Likelihood;
use lm::train::trainer::{Settings, Trainer};
use lm::train::{Example, Parameters};
use record::Monitor;
use record::random::Purpose;
use serde_json::{Value, json};

use super::rate;

/// Number of prompts decoded together, and new tokens per prompt.
const ROWS: u32 = 32;
const NEW_TOKENS: usize = 48;

/// Examples per step, tokens of a prompt and of a target, and number of timed steps.
const EXAMPLES: u32 = 16;
const HALF: u32 = 32;
const STEPS: usize = 4;

/// Measures sampling of 48 tokens after each of 32 prompts; end-of-text tokens are banned.
pub(super) fn decoding(teacher: &TextModel, monitor: &mut Monitor<'_>) -> Result<Value> {
    let jobs = (0..ROWS)
        .map(|i| {
            let text = format!("Paraphrase: The central bank raised interest rates for the {i}th time this year.");
            let prompt = teacher.prompt(&text, NEW_TOKENS)?;
            Ok(Job { context: u64::from(i), prompt, rows: 0..1, stop: Stop::EndOfText })
        })
        .collect::<Result<Vec<_>>>()?;
    let options =
        SampleOptions { temperature: 0.7, top_p: 0.9, banned: teacher.ends.clone(), ..SampleOptions::default() };
    let sampler = teacher.sampler(options)?;
    let limits = Limits { batch: ROWS as usize, max_tokens: NEW_TOKENS };
    let mut run = |jobs: &[Job], limits| wait(sample(teacher, jobs, &sampler, limits, (1, Purpose::Bench), monitor));
    run(&jobs[..2], Limits { max_tokens: 4, ..limits })?;
    let start = Instant::now();
    let rows = run(&jobs, limits)?;
    let tokens: u32 = rows.iter().map(|r| r.tokens).sum();
    Ok(json!({"measure": "decoding", "batch": ROWS, "tokens": tokens, "tokens_per_s": rate(tokens as usize, start)}))
}

/// Measures training steps of 16 examples of 64 tokens, with adapters or all weights.
pub(super) fn training(folder: &ModelFolder, compute: &Compute, full: bool) -> Result<Value> {
    let mut settings =
        Settings { epochs: STEPS as u64 + 1, batch: EXAMPLES as usize, validation: 0.0, ..Settings::default() };
    if full {
        settings.lora = None;
    }
    let vocabulary = LanguageModel::sizes_of(&folder.config)?.vocabulary as u64;
    let id = |i: u32, j: u32| {
        u32::try_from((u64::from(i) * 7919 + u64::from(j) * 104_729) % vocabulary.saturating_sub(256).max(1))
            .unwrap_or(0)
    };
    let examples = (0..EXAMPLES)
        .map(|i| Example {
            group: 0,
            prompt: (0..HALF).map(|j| id(i, j)).collect(),
            target: (HALF..2 * HALF).map(|j| id(i, j)).collect(),
        })
        .collect();
    let parameters = Parameters::read(&folder.tensors, settings.lora.clone(), 1, &compute.device)?;
    let shapes: Vec<[usize; 2]> = parameters
        .all
        .iter()
        .filter(|(name, p)| {
            p.shape.len() == 2 && !name.contains("lora") && !name.contains("embed") && !name.contains("shared")
        })
        .map(|(_, p)| [p.shape[0], p.shape[1]])
        .collect();
    let mut trainer = Trainer::new(Likelihood::new(folder.config.clone())?, parameters, settings, examples, 1)?;
    wait(trainer.step())?;
    let (start, mut positions) = (Instant::now(), 0);
    for _ in 0..STEPS {
        positions += wait(trainer.step())?.positions;
    }
    #[allow(clippy::cast_precision_loss)]
    let step = start.elapsed().as_secs_f64() / STEPS as f64;
    // Each projection has one product forward, one for the gradient of its input, and one for that of its weight if
    // trained.
    let products = if full { 3.0 } else { 2.0 };
    let matmul = products * products_of(&shapes, positions / STEPS, &compute.device);
    Ok(json!({
        "measure": if full { "training-full" } else { "training-lora" }, "examples": EXAMPLES, "step_s": step,
        "positions_per_s": rate(positions, start), "share_outside_projections": (1.0 - matmul / step).max(0.0),
    }))
}

/// Seconds for one product of `rows` rows with each of these weights.
fn products_of(shapes: &[[usize; 2]], rows: usize, device: &Device) -> f64 {
    let mut seconds = 0.0;
    for &[outputs, inputs] in shapes {
        let x = Tensor::<2>::ones([rows, inputs], device);
        let w = Tensor::<2>::ones([outputs, inputs], device);
        let start = Instant::now();
        let y = x.matmul(w.transpose());
        // Reading one value waits for devices that compute asynchronously.
        let _ = y.slice([0..1, 0..1]).into_data();
        seconds += start.elapsed().as_secs_f64();
    }
    seconds
}

//! Greedy, beam and diverse beam search compared with `generate` of transformers on the same checkpoints.

use anyhow::{Context, Result};
use impossible_tests::{folder, golden, wait};
use lm::decode::drive::drive;
use lm::decode::group::{GroupBeamSearch, GroupOptions};
use lm::decode::process::{Processor, Processors};
use lm::decode::search::{BeamOptions, BeamSearch, EarlyStopping, Finish, Greedy, GreedyOptions, Hypothesis};
use lm::device::{Compute, DeviceSpec};
use lm::model::LanguageModel;
use serde::Deserialize;

const SCORE: f64 = 1e-4;

#[derive(Deserialize)]
struct Case {
    model: String,
    case: String,
    input_ids: Vec<Vec<u32>>,
    attention_mask: Vec<Vec<u32>>,
    options: Options,
    /// The hypotheses of each prompt.
    results: Option<Vec<Vec<Want>>>,
    /// The hypotheses of each beam group.
    groups: Option<Vec<Vec<Want>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    max_new_tokens: usize,
    eos_token_id: Option<u32>,
    no_repeat_ngram_size: Option<usize>,
    repetition_penalty: Option<f32>,
    bad_words_ids: Option<Vec<Vec<u32>>>,
    min_new_tokens: Option<usize>,
    num_beams: Option<usize>,
    #[serde(rename = "num_return_sequences")]
    _returned: Option<usize>,
    length_penalty: Option<f64>,
    early_stopping: Option<serde_json::Value>,
    num_beam_groups: Option<usize>,
    diversity_penalty: Option<f64>,
    penalty_carried: Option<bool>,
}

#[derive(Deserialize)]
struct Want {
    tokens: Vec<u32>,
    finish: String,
    score: Option<f64>,
    raw_logprob_sum: Option<f64>,
}

impl Options {
    fn eos(&self) -> Vec<u32> {
        self.eos_token_id.into_iter().collect()
    }

    fn processors(&self) -> Result<Processors> {
        let mut chain = Vec::new();
        chain.extend(self.repetition_penalty.map(Processor::RepetitionPenalty));
        chain.extend(self.no_repeat_ngram_size.map(Processor::NoRepeatNgram));
        chain.extend(self.bad_words_ids.clone().map(Processor::Banned));
        chain.extend(self.min_new_tokens.map(|n| Processor::MinLength { min_new_tokens: n, eos: self.eos() }));
        Ok(Processors::new(chain)?)
    }

    fn early_stopping(&self) -> EarlyStopping {
        match &self.early_stopping {
            Some(serde_json::Value::Bool(true)) => EarlyStopping::True,
            Some(serde_json::Value::String(_)) => EarlyStopping::Never,
            _ => EarlyStopping::False,
        }
    }
}

fn same(found: &[Hypothesis], want: &[Want]) -> Result<()> {
    anyhow::ensure!(found.len() == want.len(), "{} hypotheses, expected {}", found.len(), want.len());
    for (f, w) in found.iter().zip(want) {
        anyhow::ensure!(f.tokens == w.tokens, "tokens {:?}, expected {:?}", f.tokens, w.tokens);
        let finish = if f.finish == Finish::Eos { "eos" } else { "length" };
        anyhow::ensure!(finish == w.finish, "finish {finish}, expected {}", w.finish);
        for (name, f, w) in [("score", f.score, w.score), ("log p", f.raw_logprob_sum, w.raw_logprob_sum)] {
            anyhow::ensure!(w.is_none_or(|w| (f - w).abs() < SCORE), "{name} {f}, expected {w:?}");
        }
    }
    Ok(())
}

fn check(lm: &LanguageModel, compute: &Compute, case: &Case) -> Result<()> {
    let o = &case.options;
    for (row, (ids, mask)) in case.input_ids.iter().zip(&case.attention_mask).enumerate() {
        let prompt: Vec<u32> = ids.iter().zip(mask).filter(|(_, m)| **m == 1).map(|(t, _)| *t).collect();
        // Logits processors see the decoder's tokens only: with an encoder, these do not include the prompt.
        let seen = lm.sizes().start.map_or_else(|| prompt.clone(), |start| vec![start]);
        let (max_new_tokens, eos, processors) = (o.max_new_tokens, o.eos(), o.processors()?);
        let length_penalty = o.length_penalty.unwrap_or(1.0);
        if let (Some(groups), Some(num_groups)) = (&case.groups, o.num_beam_groups) {
            let options = GroupOptions {
                num_beams: o.num_beams.unwrap_or(1),
                num_groups,
                diversity_penalty: o.diversity_penalty.unwrap_or(0.0),
                penalty_carried: o.penalty_carried.unwrap_or(true),
                max_new_tokens,
                length_penalty,
                eos,
                processors,
            };
            let mut search = GroupBeamSearch::new(options, &seen)?;
            wait(drive(lm, compute, &prompt, &mut search))?;
            let found = search.finish();
            anyhow::ensure!(found.len() == groups.len(), "{} groups, expected {}", found.len(), groups.len());
            for (f, w) in found.iter().zip(groups) {
                same(f, w)?;
            }
            continue;
        }
        let want = &case.results.as_ref().context("a case without results")?[row];
        if let Some(num_beams) = o.num_beams {
            let early_stopping = o.early_stopping();
            let options = BeamOptions { num_beams, max_new_tokens, length_penalty, early_stopping, eos, processors };
            let mut search = BeamSearch::new(options, &seen)?;
            wait(drive(lm, compute, &prompt, &mut search))?;
            same(&search.finish(), want)?;
        } else {
            let mut search = Greedy::new(GreedyOptions { max_new_tokens, eos, processors }, &seen)?;
            wait(drive(lm, compute, &prompt, &mut search))?;
            same(&[search.finish()], want)?;
        }
    }
    Ok(())
}

fn run(file: &str) -> Result<()> {
    let text = std::fs::read_to_string(golden(&format!("decoding/{file}")))?;
    let cases: Vec<Case> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    anyhow::ensure!(!cases.is_empty(), "no cases in {file}");
    for spec in [DeviceSpec::Flex, DeviceSpec::NdArray] {
        let compute = Compute::open(spec)?;
        for model in ["gpt2", "llama", "biogpt", "t5-v1_0", "t5-v1_1"] {
            let checkpoint = folder(golden(&format!("models/{model}")))?;
            let lm = LanguageModel::load(&checkpoint.config, &checkpoint.tensors, &compute.device)?;
            for case in cases.iter().filter(|c| c.model == model) {
                check(&lm, &compute, case).with_context(|| format!("{model}, {} on {spec}", case.case))?;
            }
        }
    }
    Ok(())
}

#[test]
fn greedy_and_beam_search() -> Result<()> {
    run("generate.jsonl")
}

#[test]
fn diverse_beam_search() -> Result<()> {
    run("group_beam.jsonl")
}

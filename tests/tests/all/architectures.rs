//! Every architecture of language models is trained and saved: its gradient is the slope of its loss, adapters change all
//! of its projections, and what is saved computes what was trained.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use burn::tensor::{DType, Tensor};
use impossible_tests::{folder, golden, wait};
use lm::device::Compute;
use lm::model::cache::Sequences;
use lm::model::files::{Files, MemoryFiles};
use lm::model::loader::Source;
use lm::model::save::{Layout, Precision, Trained, save};
use lm::model::{Batch as Texts, LanguageModel, ModelFolder};
use lm::tokenizer::Tokenizer;
use lm::train::gradient::{Options, gradients};
use lm::train::parameters::Gradients;
use lm::train::trainer::Settings;
use lm::train::{Batch, Example, Parameters};
use record::DeviceSpec;

/// A model of each architecture, in the forms whose weights differ.
const MODELS: [&str; 20] = [
    "gpt2",
    "gpt2-untied",
    "llama",
    "llama-bias",
    "mistral",
    "qwen2",
    "qwen3",
    "smollm3",
    "phi3",
    "gemma",
    "gemma2",
    "gemma3",
    "biogpt",
    "opt",
    "opt-350m",
    "gpt_neox",
    "t5-today",
    "t5-v1_0",
    "bart",
    "pegasus",
];

fn examples() -> Vec<Example> {
    let texts = [(vec![5, 9, 3, 17], vec![40, 2, 77, 2]), (vec![8, 30, 30, 6, 51, 60], vec![12, 2])];
    texts.into_iter().map(|(prompt, target)| Example { group: 0, prompt, target }).collect()
}

fn each(check: impl Fn(&ModelFolder, &Compute) -> Result<()>) -> Result<()> {
    let compute = Compute::open(DeviceSpec::Flex)?;
    MODELS.iter().try_for_each(|model| {
        folder(golden(&format!("models/{model}"))).and_then(|folder| check(&folder, &compute)).context(*model)
    })
}

fn host<const D: usize>(t: Tensor<D>) -> Result<Vec<f32>> {
    t.into_data().try_into_vec::<f32>().map_err(|e| anyhow::anyhow!("{e:?}"))
}

/// Loss of the examples and its gradients.
fn slope(folder: &ModelFolder, parameters: &Parameters) -> Result<(f64, Gradients)> {
    let start = LanguageModel::sizes_of(&folder.config)?.start;
    let examples = examples();
    let batch = Batch::new(&examples.iter().collect::<Vec<_>>(), start);
    let mut sink = Gradients::new();
    let loss =
        wait(gradients(&folder.config, parameters, &batch, Options { scale: 1.0, ..Options::default() }, &mut sink))?;
    Ok((loss, sink))
}

/// The loss a step along the gradient minus the loss a step against it is twice the step times the gradient's square.
#[test]
fn gradients_are_slopes() -> Result<()> {
    each(|folder, compute| {
        for lora in [None, Settings::default().lora] {
            let adapted = lora.is_some();
            let mut parameters = Parameters::read(&folder.tensors, lora, 3, &compute.device)?;
            let (_, found) = slope(folder, &parameters)?;
            let mut square = 0.0;
            for gradient in found.values() {
                square += host(gradient.clone())?.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>();
            }
            ensure!(square > 1e-6, "no gradient, adapters: {adapted}");
            let step = 0.02 / square;
            let mut walk = |by: f64| -> Result<f64> {
                for (name, gradient) in &found {
                    let parameter = parameters.all.get_mut(name).context("a gradient of nothing")?;
                    parameter.value = parameter.value.clone() + gradient.clone() * by;
                }
                Ok(slope(folder, &parameters)?.0)
            };
            let (up, down) = (walk(step)?, walk(-2.0 * step)?);
            let ratio = (up - down) / (2.0 * step * square);
            ensure!((ratio - 1.0).abs() < 0.03, "{ratio} of the slope that the gradient says, adapters: {adapted}");
        }
        Ok(())
    })
}

/// The default adapters change every projection of every layer.
#[test]
fn adapters_are_on_every_projection() -> Result<()> {
    each(|folder, compute| {
        let parameters = Parameters::read(&folder.tensors, Settings::default().lora, 3, &compute.device)?;
        let table = ["embed", "wte", "wpe", "shared", "lm_head", "norm", "ln_", "relative_attention_bias", "project_"];
        let constant = ["output_projection", "final_logits_bias"];
        let names = parameters.all.iter().filter(|(name, p)| p.shape.len() == 2 && !name.contains(".lora_"));
        for (name, _) in names {
            let other = table.iter().chain(&constant).any(|part| name.contains(part));
            ensure!(other || parameters.all.contains_key(&format!("{name}.lora_b")), "{name} has no adapter");
        }
        Ok(())
    })
}

/// Logits of the first example.
fn logits(lm: &LanguageModel, compute: &Compute) -> Result<Vec<f32>> {
    let example = &examples()[0];
    let mut cache = Sequences::new(lm.sizes().layers, &compute.device);
    let mut ids = [&example.prompt[..], &example.target].concat();
    if let (Some(encoder), Some(start)) = (lm.decoder.encoder(), lm.sizes().start) {
        let types = vec![0; example.prompt.len()];
        let memory = encoder.encode(&Texts::new(&[(&example.prompt, &types)], 0), &mut cache, &compute.device);
        cache = cache.with_memory(memory);
        ids = [&[start], &example.target[..]].concat();
    }
    cache.extend(&[vec![true; ids.len()]]);
    let places: Vec<u32> = (0..u32::try_from(ids.len())?).collect();
    host(lm.logits(lm.forward(1, &ids, &places, &mut cache, &compute.device)))
}

#[test]
fn what_is_saved_is_what_was_trained() -> Result<()> {
    let tokenizer = std::fs::read(golden("browser/tokenizer.json"))?;
    let tokenizer = Tokenizer::parse("tokenizer.json", &tokenizer)?;
    each(|folder, compute| {
        let mut parameters = Parameters::read(&folder.tensors, Settings::default().lora, 3, &compute.device)?;
        let (_, found) = slope(folder, &parameters)?;
        for (name, gradient) in found {
            let parameter = parameters.all.get_mut(&name).context("a gradient of nothing")?;
            parameter.value = parameter.value.clone() - gradient * 0.01;
        }
        let live = parameters.live(false, DType::F32);
        let trained = LanguageModel::build(&folder.config, Source::Live(&live), &compute.device)?;
        let weights = wait(parameters.merged())?;
        let model = Trained::new(&folder.config, &tokenizer, (Some(2), Some(1)), weights)?;
        let mut files = MemoryFiles::default();
        let layout = Layout { precision: Precision::F32, shard: None };
        save("memory", &model, layout, &mut |name, bytes| {
            files.insert(name, bytes.to_vec());
            Ok(())
        })?;
        let files: Arc<dyn Files> = Arc::new(files);
        let saved = ModelFolder::open(&files)?;
        let read = LanguageModel::load(&saved.config, &saved.tensors, &compute.device)?;
        let (before, after) = (logits(&trained, compute)?, logits(&read, compute)?);
        let far = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let start = LanguageModel::load(&folder.config, &folder.tensors, &compute.device)?;
        let moved = logits(&start, compute)?.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        ensure!(far < 1e-4 && moved > 1e-3, "a logit differs by {far}; training moved one by {moved}");
        Ok(())
    })
}

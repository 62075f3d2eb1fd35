//! Parity of every architecture with transformers (golden files), on every device: the logits agree, and are the same
//! with
//! and without a key/value cache, with and without padding, and in a batch or alone.

use std::sync::Arc;

use anyhow::{Context, Result};
use burn::tensor::Tensor;
use impossible_tests::{Expected, close, devices, folder, golden};
use lm::device::Compute;
use lm::model::cache::{Sequences, SiblingCache};
use lm::model::config::Config;
use lm::model::files::MemoryFiles as Memory;
use lm::model::{Batch, LanguageModel, PairClassifier, SentenceEncoder};
use safetensors::tensor::TensorView;

const LOGITS: f32 = 2e-5;
/// Every architecture, and every setting that changes its computation: without it the logits would be others.
const CAUSAL: [&str; 38] = [
    "gpt2",
    "gpt2-hub-layout",
    "gpt2-unscaled",
    "gpt2-inverse",
    "gpt2-untied",
    "gpt2-relu",
    "gpt2-gelu",
    "llama",
    "llama-llama3",
    "llama-linear",
    "llama-dynamic",
    "llama-yarn",
    "llama-yarn-factor",
    "llama-yarn-mscale",
    "llama-longrope",
    "llama-bias",
    "llama-headdim",
    "mistral",
    "qwen2",
    "qwen2-window",
    "qwen3",
    "qwen3-tied",
    "smollm3",
    "smollm3-window",
    "phi3",
    "phi3-partial",
    "phi3-longrope",
    "gemma",
    "gemma2",
    "gemma3",
    "gemma3-softcap",
    "biogpt",
    "biogpt-untied",
    "opt",
    "opt-350m",
    "opt-plain",
    "gpt_neox",
    "gpt_neox-sequential",
];

/// Every architecture with an encoder of the prompt.
const SEQ2SEQ: [&str; 6] = ["t5-v1_0", "t5-v1_1", "t5-today", "bart", "bart-scaled", "pegasus"];

fn host(t: Tensor<2>) -> Result<Vec<f32>> {
    t.into_data().try_into_vec::<f32>().map_err(|e| anyhow::anyhow!("{e:?}"))
}

fn expected(model: &str) -> Result<Expected> {
    Expected::read(&golden(&format!("models/{}/expected.safetensors", model.trim_end_matches("-hub-layout"))))
}

fn causal(model: &str, compute: &Compute) -> Result<LanguageModel> {
    let folder = folder(golden(&format!("models/{model}")))?;
    Ok(LanguageModel::load(&folder.config, &folder.tensors, &compute.device)?)
}

fn each(models: &[&str], check: impl Fn(&str, &Compute) -> Result<()>) -> Result<()> {
    for compute in devices()? {
        for model in models {
            check(model, &compute).with_context(|| format!("{model} on {}", compute.spec))?;
        }
    }
    Ok(())
}

fn positions(from: usize, n: usize) -> Vec<u32> {
    (from..from + n).map(|p| u32::try_from(p).unwrap_or(0)).collect()
}

#[test]
fn causal_logits() -> Result<()> {
    each(&CAUSAL, |model, compute| {
        let (lm, want) = (causal(model, compute)?, expected(model)?);
        let ids = &want.rows("single.input_ids")?[0];
        let mut cache = Sequences::new(lm.sizes().layers, &compute.device);
        cache.extend(&[vec![true; ids.len()]]);
        let hidden = lm.forward(1, ids, &positions(0, ids.len()), &mut cache, &compute.device);
        // The reference counts OPT's last projection as part of the hidden states.
        if model != "opt-350m" {
            close("hidden", &host(hidden.clone())?, want.values("single.hidden")?, LOGITS)?;
        }
        close("logits", &host(lm.logits(hidden))?, want.values("single.logits")?, LOGITS)
    })
}

/// Texts longer than windows and than the length that rotary positions are scaled from, in one pass and token by token.
#[test]
fn causal_long_texts() -> Result<()> {
    each(&CAUSAL, |model, compute| {
        let (lm, want) = (causal(model, compute)?, expected(model)?);
        let Ok(ids) = want.rows("long.input_ids") else { return Ok(()) };
        let ids = &ids[0][..ids[0].len().min(lm.sizes().positions)];
        let wanted = &want.values("long.logits")?[..ids.len() * lm.sizes().vocabulary];
        if lm.sizes().positions < want.rows("long.input_ids")?[0].len() {
            // The reference chooses other factors for a longer text.
            return Ok(());
        }
        for piece in [ids.len(), 1] {
            let mut cache = Sequences::new(lm.sizes().layers, &compute.device);
            let mut logits = Vec::new();
            for (at, new) in (0..).step_by(piece).zip(ids.chunks(piece)) {
                cache.extend(&[vec![true; new.len()]]);
                let hidden = lm.forward(1, new, &positions(at, new.len()), &mut cache, &compute.device);
                logits.extend(host(lm.logits(hidden))?);
            }
            close(&format!("pieces of {piece}"), &logits, wanted, LOGITS)?;
        }
        Ok(())
    })
}

/// The same models with the spelling of transformers 4 in their configuration.
#[test]
fn causal_older_spelling() -> Result<()> {
    let mut tried = 0;
    each(&CAUSAL, |model, compute| {
        let place = golden(&format!("models/{model}"));
        let Ok(old) = std::fs::read(place.join("config-old.json")) else { return Ok(()) };
        let (folder, want) = (folder(place)?, expected(model)?);
        let config = Config::parse("config-old.json", &old)?;
        let lm = LanguageModel::load(&config, &folder.tensors, &compute.device)?;
        let ids = &want.rows("single.input_ids")?[0];
        let mut cache = Sequences::new(lm.sizes().layers, &compute.device);
        cache.extend(&[vec![true; ids.len()]]);
        let hidden = lm.forward(1, ids, &positions(0, ids.len()), &mut cache, &compute.device);
        close("logits", &host(lm.logits(hidden))?, want.values("single.logits")?, LOGITS)
    })?;
    for model in CAUSAL {
        tried += usize::from(golden(&format!("models/{model}/config-old.json")).is_file());
    }
    anyhow::ensure!(tried > 5, "only {tried} configurations in the older spelling");
    Ok(())
}

#[test]
fn causal_cached_equals_uncached() -> Result<()> {
    each(&CAUSAL, |model, compute| {
        let (lm, want) = (causal(model, compute)?, expected(model)?);
        let ids = &want.rows("single.input_ids")?[0];
        let mut cache = Sequences::new(lm.sizes().layers, &compute.device);
        let mut logits = Vec::new();
        let mut at = 0;
        for n in [4, 1, 1, 1, 1, 1, 1, 1, 1] {
            cache.extend(&[vec![true; n]]);
            let hidden = lm.forward(1, &ids[at..at + n], &positions(at, n), &mut cache, &compute.device);
            logits.extend(host(lm.logits(hidden))?);
            at += n;
        }
        close("cached logits", &logits, want.values("cached.single.logits")?, LOGITS)?;
        close("cached = uncached", &logits, want.values("single.logits")?, LOGITS)
    })
}

#[test]
fn causal_padded_rows_equal_unpadded() -> Result<()> {
    each(&CAUSAL, |model, compute| {
        let (lm, want) = (causal(model, compute)?, expected(model)?);
        let ids = want.rows("padded.input_ids")?;
        let mask = want.rows("padded.attention_mask")?;
        let (rows, length, vocabulary) = (ids.len(), ids[0].len(), lm.sizes().vocabulary);
        let visible: Vec<Vec<bool>> = mask.iter().map(|r| r.iter().map(|&m| m == 1).collect()).collect();
        let mut cache = Sequences::new(lm.sizes().layers, &compute.device);
        cache.extend(&visible);
        let hidden =
            lm.forward(rows, &ids.concat(), &want.rows("padded.position_ids")?.concat(), &mut cache, &compute.device);
        let logits = host(lm.logits(hidden))?;
        let golden_logits = want.values("padded.logits")?;
        for (i, seen) in visible.concat().iter().enumerate().filter(|(_, s)| **s) {
            let at = i * vocabulary..(i + 1) * vocabulary;
            close(&format!("position {i} {seen}"), &logits[at.clone()], &golden_logits[at], LOGITS)?;
        }
        // Then decodes one token per step for all rows.
        let next = want.rows("cached.padded.next_ids")?;
        let golden_cached = want.values("cached.padded.logits")?;
        let lengths: Vec<usize> = visible.iter().map(|r| r.iter().filter(|v| **v).count()).collect();
        for step in 0..next[0].len() {
            cache.extend(&vec![vec![true]; rows]);
            let ids: Vec<u32> = next.iter().map(|r| r[step]).collect();
            let places: Vec<u32> = lengths.iter().map(|n| u32::try_from(n + step).unwrap_or(0)).collect();
            let logits = host(lm.logits(lm.forward(rows, &ids, &places, &mut cache, &compute.device)))?;
            for row in 0..rows {
                let from = (row * (next[0].len() + 1) + step + 1) * vocabulary;
                close(
                    &format!("row {row} step {step}"),
                    &logits[row * vocabulary..(row + 1) * vocabulary],
                    &golden_cached[from..from + vocabulary],
                    LOGITS,
                )?;
            }
        }
        anyhow::ensure!(length == 11, "the golden batch changed");
        Ok(())
    })
}

/// The rows of the golden encoder batch, without padding.
fn sources(want: &Expected) -> Result<Vec<Vec<u32>>> {
    let (ids, mask) = (want.rows("encoder.input_ids")?, want.rows("encoder.attention_mask")?);
    let real = |m: &Vec<u32>| m.iter().filter(|m| **m == 1).count();
    Ok(ids.iter().zip(&mask).map(|(ids, m)| ids[..real(m)].to_vec()).collect())
}

/// Encoder states, and logits of the decoder run on whole sequences and one token at a time, for a batch and single
/// rows.
#[test]
fn encoder_decoder() -> Result<()> {
    each(&SEQ2SEQ, |model, compute| {
        let (lm, want) = (causal(model, compute)?, expected(model)?);
        let device = &compute.device;
        let (sources, texts) = (sources(&want)?, want.rows("decoder.input_ids")?);
        let (length, hidden, vocabulary) = (texts[0].len(), lm.sizes().hidden, lm.sizes().vocabulary);
        let labels = want.values("labels")?;
        let real: Vec<usize> =
            labels.chunks(length).map(|row| row.iter().filter(|label| **label >= 0.0).count()).collect();
        let all = batch(&want, "encoder.input_ids", Some("encoder.attention_mask"), None)?;
        for rows in [vec![0, 1, 2], vec![0], vec![2]] {
            let types = vec![0; 64];
            let one: Vec<(&[u32], &[u32])> =
                rows.iter().map(|&r| (sources[r].as_slice(), &types[..sources[r].len()])).collect();
            let read = Batch::new(&one, 0);
            let mut cache = Sequences::new(lm.sizes().layers, device);
            let memory = lm.decoder.encoder().context("an encoder")?.encode(&read, &mut cache, device);
            let states = host(memory.states.clone())?;
            let golden_states = want.values("encoder.hidden")?;
            for (i, &r) in rows.iter().enumerate() {
                let n = sources[r].len() * hidden;
                let (at, golden_at) = (i * read.length * hidden, r * all.length * hidden);
                close("encoder", &states[at..at + n], &golden_states[golden_at..golden_at + n], LOGITS)?;
            }
            let check = |what: &str, logits: &[f32], golden: &str| -> Result<()> {
                let golden = want.values(golden)?;
                for (i, &r) in rows.iter().enumerate() {
                    let n = real[r] * vocabulary;
                    let (at, golden_at) = (i * length * vocabulary, r * length * vocabulary);
                    close(&format!("{what}, row {r}"), &logits[at..at + n], &golden[golden_at..golden_at + n], LOGITS)?;
                }
                Ok(())
            };
            let n = rows.len();
            let ids: Vec<u32> = rows.iter().flat_map(|&r| texts[r].clone()).collect();
            let mut whole = Sequences::new(lm.sizes().layers, device).with_memory(memory.clone());
            whole.extend(&vec![vec![true; length]; n]);
            let x = lm.forward(n, &ids, &positions(0, length).repeat(n), &mut whole, device);
            check("logits", &host(lm.logits(x))?, "logits")?;
            let mut stepwise = Sequences::new(lm.sizes().layers, device).with_memory(memory);
            let mut logits = vec![0.0; n * length * vocabulary];
            for place in positions(0, length) {
                let step = usize::try_from(place)?;
                stepwise.extend(&vec![vec![true]; n]);
                let ids: Vec<u32> = rows.iter().map(|&r| texts[r][step]).collect();
                let places = vec![place; n];
                let each = host(lm.logits(lm.forward(n, &ids, &places, &mut stepwise, device)))?;
                for (i, row) in each.chunks(vocabulary).enumerate() {
                    let at = (i * length + step) * vocabulary;
                    logits[at..at + vocabulary].copy_from_slice(row);
                }
            }
            check("cached logits", &logits, "cached.logits")?;
        }
        Ok(())
    })
}

/// Logits with the siblings' cache (shared prefix, ring of slots per row; rows are restarted and removed in between)
/// agree
/// with those of whole sequences.
#[test]
fn siblings_share_a_prefix() -> Result<()> {
    let models = [&CAUSAL[..], &SEQ2SEQ].concat();
    each(&models, |model, compute| {
        let lm = causal(model, compute)?;
        let device = &compute.device;
        let prompts: [Vec<u32>; 2] = [vec![5, 9, 3, 17, 8], vec![40, 2, 77]];
        // The logits after a prompt and a row's own tokens. If there is an encoder, it gets the prompt.
        let whole = |prompt: &[u32], own: &[u32]| -> Result<Vec<f32>> {
            let mut cache = Sequences::new(lm.sizes().layers, device);
            let types = vec![0; prompt.len()];
            let source = Batch::new(&[(prompt, &types)], 0);
            let memory = lm.decoder.encoder().map(|encoder| encoder.encode(&source, &mut cache, device));
            let before = lm.sizes().start.map_or_else(|| prompt.to_vec(), |start| vec![start]);
            let tokens = &[before, own.to_vec()].concat();
            if let Some(memory) = memory {
                cache = cache.with_memory(memory);
            }
            cache.extend(&[vec![true; tokens.len()]]);
            let logits = host(lm.logits(lm.forward(1, tokens, &positions(0, tokens.len()), &mut cache, device)))?;
            Ok(logits[(tokens.len() - 1) * lm.sizes().vocabulary..].to_vec())
        };
        let prefixes: Vec<_> = prompts.iter().map(|p| lm.prefill(p, device)).collect::<Result<_, _>>()?;
        close("prefill", &host(prefixes[0].1.clone().reshape([1, -1]))?, &whole(&prompts[0], &[])?, LOGITS)?;
        let token = |row: usize, step: usize| u32::try_from((row * 31 + step * 7 + 1) % 90).unwrap_or(0);
        // Rows 0 and 2 continue prompt 0, row 1 prompt 1. At step 20 rows 0 and 1 start again, both with prompt 0; at
        // step 22 row 0 is removed; at step 23 the second of the remaining rows starts again.
        let mut rows: Vec<(usize, Vec<u32>)> = vec![(0, vec![]), (1, vec![]), (0, vec![])];
        let mut cache = SiblingCache::new(lm.sizes().layers, 3, 24, device);
        let group = |rows: &[(usize, Vec<u32>)]| {
            let members = |p: usize| (0..rows.len()).filter(|&r| rows[r].0 == p).collect::<Vec<_>>();
            (0..2).filter(|&p| !members(p).is_empty()).map(|p| (prefixes[p].0.clone(), members(p))).collect::<Vec<_>>()
        };
        cache.regroup(group(&rows), &[0, 1, 2]);
        for step in 0..30 {
            if step == 20 {
                rows[1] = (0, vec![]);
                rows[0].1.clear();
                cache.regroup(group(&rows), &[0, 1]);
            }
            if step == 22 {
                rows.remove(0);
                cache.keep(&[1, 2]);
                cache.regroup(group(&rows), &[]);
            }
            if step == 23 {
                rows[1].1.clear();
                cache.regroup(group(&rows), &[1]);
            }
            for (r, row) in rows.iter_mut().enumerate() {
                row.1.push(token(r, step));
            }
            let ids: Vec<u32> = rows.iter().map(|r| r.1[r.1.len() - 1]).collect();
            let places: Vec<u32> =
                rows.iter().map(|r| u32::try_from(prefixes[r.0].0.len + r.1.len() - 1).unwrap_or(0)).collect();
            cache.advance();
            let logits = host(lm.logits(lm.forward(rows.len(), &ids, &places, &mut cache, device)))?;
            for (r, row) in rows.iter().enumerate() {
                let v = lm.sizes().vocabulary;
                let want = whole(&prompts[row.0], &row.1)?;
                close(&format!("row {r} step {step}"), &logits[r * v..(r + 1) * v], &want, LOGITS)?;
            }
        }
        Ok(())
    })
}

fn batch(want: &Expected, ids: &str, mask: Option<&str>, types: Option<&str>) -> Result<Batch> {
    let ids = want.rows(ids)?;
    let lengths: Vec<usize> = match mask {
        Some(mask) => want.rows(mask)?.iter().map(|r| r.iter().filter(|m| **m == 1).count()).collect(),
        None => ids.iter().map(Vec::len).collect(),
    };
    let types = match types {
        Some(types) => want.rows(types)?,
        None => ids.iter().map(|r| vec![0; r.len()]).collect(),
    };
    let rows: Vec<(&[u32], &[u32])> =
        ids.iter().zip(&types).zip(&lengths).map(|((i, t), &n)| (&i[..n], &t[..n])).collect();
    Ok(Batch::new(&rows, 0))
}

/// Every architecture of classifiers, with golden values of a padded batch, a single text and, if there are any, long
/// texts.
const CLASSIFIERS: [&str; 10] = [
    "roberta",
    "deberta-v3",
    "deberta-v3-b8",
    "bert-classifier",
    "xlm-roberta-classifier",
    "distilbert-classifier",
    "electra-classifier",
    "modernbert-classifier",
    "modernbert-mean",
    "bart-classifier",
];

#[test]
fn pair_classifiers() -> Result<()> {
    each(&CLASSIFIERS, |model, compute| {
        let (folder, want) = (folder(golden(&format!("models/{model}")))?, expected(model)?);
        let classifier = PairClassifier::load(&folder.config, &folder.tensors, &compute.device)?;
        anyhow::ensure!(classifier.entailment(&folder.config).is_ok(), "{:?}", classifier.labels);
        let run = |b: &Batch| host(classifier.logits(b));
        let types = want.rows("token_type_ids").is_ok().then_some("token_type_ids");
        let padded = batch(&want, "input_ids", Some("attention_mask"), types)?;
        close("padded batch", &run(&padded)?, want.values("logits")?, 2e-5)?;
        close("single", &run(&batch(&want, "single.input_ids", None, None)?)?, want.values("single.logits")?, 2e-5)?;
        if let Ok(long) = want.values("long.logits") {
            let mask = want.rows("long.attention_mask").is_ok().then_some("long.attention_mask");
            close("long", &run(&batch(&want, "long.input_ids", mask, None)?)?, long, 2e-5)?;
        }
        Ok(())
    })
}

/// Every architecture of sentence encoders: hidden states, and the vector by the mean and by the first token.
#[test]
fn sentence_encoders() -> Result<()> {
    let models = ["bert", "roberta-encoder", "xlm-roberta", "distilbert", "electra", "mpnet", "modernbert"];
    each(&models, |model, compute| {
        let (mut folder, want) = (folder(golden(&format!("models/{model}")))?, expected(model)?);
        let encoder = SentenceEncoder::load(&folder, &compute.device)?;
        let types = want.rows("token_type_ids").is_ok().then_some("token_type_ids");
        let padded = batch(&want, "input_ids", Some("attention_mask"), types)?;
        close("embedding", &host(encoder.embed(&padded))?, want.values("sentence_embedding")?, 2e-5)?;
        for (ids, hidden) in [("single.input_ids", "single.hidden"), ("long.input_ids", "long.hidden")] {
            let Ok(wanted) = want.values(hidden) else { continue };
            let (_, states) = encoder.states(&batch(&want, ids, None, None)?, 0);
            close(hidden, &host(states)?, wanted, LOGITS)?;
        }
        let Ok(first) = want.values("cls") else { return Ok(()) };
        let files = Memory::from_iter([(
            "1_Pooling/config.json",
            br#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#.to_vec(),
        )]);
        folder.files = Some(Arc::new(files));
        let encoder = SentenceEncoder::load(&folder, &compute.device)?;
        let length = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
        let unit: Vec<f32> =
            first.chunks(encoder.hidden()).flat_map(|v| v.iter().map(|x| x / length(v)).collect::<Vec<_>>()).collect();
        close("first token", &host(encoder.embed(&padded))?, &unit, 2e-5)
    })
}

/// The modules of a sentence-transformers folder, against the same computed by hand; others and other orders are refused.
#[test]
fn modules_of_sentence_encoders() -> Result<()> {
    let compute = &devices()?[0];
    let (mut bert, want) = (folder(golden("models/bert"))?, expected("bert")?);
    let padded = batch(&want, "input_ids", Some("attention_mask"), Some("token_type_ids"))?;
    let means = want.values("mean_pooled")?;
    let hidden = means.len() / padded.rows();
    let weight: Vec<f32> = (0..2 * hidden).map(|i| ((i * 37 % 19) as f32 - 9.0) / 20.0).collect();
    let bias = [0.3_f32, -0.2];
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let (of_weight, of_bias) = (bytes(&weight), bytes(&bias));
    let file = safetensors::serialize(
        [
            ("linear.weight", TensorView::new(safetensors::Dtype::F32, vec![2, hidden], &of_weight)?),
            ("linear.bias", TensorView::new(safetensors::Dtype::F32, vec![2], &of_bias)?),
        ],
        None,
    )?;
    let module =
        |kind: &str, path: &str| format!(r#"{{"path": "{path}", "type": "sentence_transformers.models.{kind}"}}"#);
    let dense = format!(
        r#"{{"in_features": {hidden}, "out_features": 2, "bias": true, "activation_function": "torch.nn.modules.activation.Tanh"}}"#
    );
    let mut load = |kinds: &[(&str, &str)]| {
        let modules: Vec<String> = kinds.iter().map(|(kind, path)| module(kind, path)).collect();
        let settings = br#"{"prompts": {"q": "query: "}, "default_prompt_name": "q"}"#;
        let files = Memory::from_iter([
            ("modules.json", format!("[{}]", modules.join(", ")).into_bytes()),
            ("1_Pooling/config.json", br#"{"pooling_mode_mean_tokens": true}"#.to_vec()),
            ("2_Dense/config.json", dense.clone().into_bytes()),
            ("2_Dense/model.safetensors", file.clone()),
            ("sentence_bert_config.json", br#"{"max_seq_length": 7, "do_lower_case": true}"#.to_vec()),
            ("config_sentence_transformers.json", settings.to_vec()),
        ]);
        bert.files = Some(Arc::new(files));
        SentenceEncoder::load(&bert, &compute.device)
    };
    let [body, pooling, dense, normalize] =
        [("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense"), ("Normalize", "3_Normalize")];
    let encoder = load(&[body, pooling, dense, normalize])?;
    anyhow::ensure!((encoder.positions(), &encoder.prompt[..], encoder.lowercase) == (7, "query: ", true));
    let by_hand: Vec<f32> = means
        .chunks(hidden)
        .flat_map(|mean| {
            let y = [0, 1].map(|o| {
                let row = &weight[o * hidden..][..hidden];
                (row.iter().zip(mean).map(|(w, x)| w * x).sum::<f32>() + bias[o]).tanh()
            });
            let length = (y[0] * y[0] + y[1] * y[1]).sqrt();
            y.map(|y| y / length)
        })
        .collect();
    close("projected", &host(encoder.embed(&padded))?, &by_hand, 2e-5)?;
    for wrong in [
        &[body, dense, pooling][..],
        &[body, pooling, normalize, dense],
        &[body, pooling, pooling],
        &[body, ("WeightedLayerPooling", "1_Pooling")],
        &[body, ("Pooling", "../1_Pooling")],
        &[body, ("Pooling", "4_Pooling")],
        &[dense; 17],
    ] {
        anyhow::ensure!(load(wrong).is_err(), "{wrong:?} was accepted");
    }
    Ok(())
}

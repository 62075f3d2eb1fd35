//! `impossible export`: a model in another precision, for other libraries and for the browser.

use std::path::{Path, PathBuf};

use anyhow::Result;
use impossible_core::Error;
use impossible_core::device::DeviceSpec;
use impossible_core::model::lm::LanguageModel;
use impossible_core::record::Task;
use impossible_core::student::{Format, format};
use serde::Serialize;

use super::{Session, train, wait};
use crate::args::Export;
use crate::models;
use crate::run::atomic::{read_small, write_file};
use crate::training::save::{Model, Weights, save};

/// A model's folder: the folder itself, or `model` of a training folder.
pub(super) fn model_folder(given: &Path) -> PathBuf {
    let inner = given.join("model");
    if inner.join("config.json").is_file() { inner } else { given.to_owned() }
}

/// How tasks are put to the model of a folder.
pub(super) fn read_format(file: &Path) -> impossible_core::Result<Format> {
    if !file.is_file() {
        return Err(Error::Missing {
            what: file.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned()),
            place: file.parent().unwrap_or(Path::new(".")).display().to_string(),
            hint: "Name the folder of a student (RUN/student/stage0/model), or say with --format how tasks are put to \
                   this model."
                .into(),
        });
    }
    Format::parse(&file.display().to_string(), &read_small(file, 1 << 20)?)
}

/// What the exported weights compute for a fixed input, so that whoever loads them can check.
#[derive(Serialize)]
#[serde(untagged)]
enum Golden {
    Text {
        prompt: String,
        ids: Vec<u32>,
        /// Logits of the token that follows, largest first.
        top: Vec<(u32, f32)>,
        /// ln of the sum of exp of all logits.
        log_sum: f64,
    },
    Pair {
        pair: [&'static str; 2],
        ids: Vec<u32>,
        /// Of all labels, in the order of `id2label`.
        probabilities: Vec<f32>,
    },
}

const GOLDEN_SENTENCE: &str = "The council voted on Tuesday to close the bridge for two years.";
const GOLDEN_HYPOTHESIS: &str = "The bridge will be closed.";

/// Of a classifier.
fn golden_pair(session: &Session, args: &Export) -> Result<Golden> {
    let compute = DeviceSpec::Flex.open()?;
    let name = args.out.display().to_string();
    let pair = [GOLDEN_SENTENCE, GOLDEN_HYPOTHESIS];
    let (ids, _) = models::open(&session.store, &name)?.tokenizer()?.encode_pair(pair[0], pair[1])?;
    let mut critic = models::entailment(&session.store, &name, &compute)?;
    let probabilities = wait(critic.probabilities(&[(pair[0], pair[1])]))?.pop().flatten().unwrap_or_default();
    Ok(Golden::Pair { pair, ids, probabilities })
}

/// Of a model that writes; of a student, with a prompt as it was trained.
fn golden_text(session: &Session, args: &Export, format: Option<&Format>) -> Result<Golden> {
    let compute = DeviceSpec::Flex.open()?;
    let student = models::teacher(&session.store, &args.out.display().to_string(), &compute)?;
    let prompt = format.map_or_else(
        || GOLDEN_SENTENCE.to_owned(),
        |format| {
            let task = format.tasks.first().copied().unwrap_or(Task::Paraphrase);
            format.prompt(task, GOLDEN_SENTENCE, 0.6)
        },
    );
    let ids = student.prompt(&prompt, 1)?;
    let (_, logits) = student.lm.prefill(&ids, &compute.device)?;
    let logits = logits
        .into_data()
        .try_into_vec::<f32>()
        .map_err(|e| Error::Device { device: "flex".into(), reason: format!("reading logits failed: {e:?}") })?;
    let most = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let log_sum = most + logits.iter().map(|&x| (f64::from(x) - most).exp()).sum::<f64>().ln();
    let mut top: Vec<(u32, f32)> = (0_u32..).zip(logits).collect();
    top.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    top.truncate(32);
    Ok(Golden::Text { prompt, ids, top, log_sum })
}

pub(super) fn run(session: &Session, args: &Export) -> Result<()> {
    let from = model_folder(&args.model);
    let format_file = from.join(format::FILE);
    let format = if format_file.is_file() { Some(read_format(&format_file)?) } else { None };
    let folder = models::open(&session.store, &from.display().to_string())?;
    let classifier = matches!(folder.config.model_type()?, "roberta" | "deberta-v2");
    let eos = if classifier { None } else { Some(train::end(&folder, &LanguageModel::sizes(&folder.config)?.eos)?) };
    let mut weights = Weights::new();
    for name in folder.tensors.names() {
        if let Some(info) = folder.tensors.info(name) {
            weights.insert(name.to_owned(), (info.shape, folder.tensors.read_f32(name)?));
        }
    }
    let tokenizer = folder.tokenizer()?;
    let text = tokenizer.to_json()?;
    let token = eos.and_then(|eos| tokenizer.token(eos)).unwrap_or_default();
    let pad = train::pad(&folder);
    let card = from.join("README.md");
    let card = if card.is_file() { read_small(&card, 1 << 20)? } else { Vec::new() };
    let card = String::from_utf8_lossy(&card).into_owned();
    save(
        &args.out,
        &Model {
            config: &folder.config,
            tokenizer: text.as_bytes(),
            eos: eos.map(|eos| (eos, token.as_str())),
            pad: pad.as_deref(),
            format: format.as_ref(),
            weights: &weights,
            precision: args.precision,
            // Room for the header of the file.
            shard: args.shard_size.map(|mib| mib.saturating_mul(1 << 20).saturating_sub(1 << 16)),
            card: &card,
        },
    )?;
    let golden = if classifier { golden_pair(session, args)? } else { golden_text(session, args, format.as_ref())? };
    write_file(&args.out.join("golden.json"), &serde_json::to_vec_pretty(&golden)?)?;
    let out = args.out.display().to_string();
    session.say(&serde_json::json!({"model": out}), || format!("Written to {out}."))
}

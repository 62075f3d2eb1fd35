//! `impossible export`: a model in another precision, for other libraries and for the browser.

use std::path::{Path, PathBuf};

use anyhow::Result;
use impossible_core::Error;
use impossible_core::device::DeviceSpec;
use impossible_core::golden;
use impossible_core::model::lm::LanguageModel;
use impossible_core::student::{Format, format};

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
    let bytes = format.as_ref().map(Format::to_bytes).transpose()?;
    save(
        &args.out,
        &Model {
            config: &folder.config,
            tokenizer: text.as_bytes(),
            eos: eos.map(|eos| (eos, token.as_str())),
            pad: pad.as_deref(),
            format: bytes.as_deref().map(|bytes| (format::FILE, bytes)),
            weights: &weights,
            precision: args.precision.into(),
            // Room for the header of the file.
            shard: args.shard_size.map(|mib| mib.saturating_mul(1 << 20).saturating_sub(1 << 16)),
            card: &card,
        },
    )?;
    // Of the weights as written, whose numbers are rounded.
    let compute = DeviceSpec::Flex.open()?;
    let name = args.out.display().to_string();
    let golden = if classifier {
        wait(golden::pair(&mut models::entailment(&session.store, &name, &compute)?))?
    } else {
        wait(golden::text(&models::teacher(&session.store, &name, &compute)?, format.as_ref()))?
    };
    write_file(&args.out.join(golden::FILE), &serde_json::to_vec_pretty(&golden)?)?;
    let out = args.out.display().to_string();
    session.say(&serde_json::json!({"model": out}), || format!("Written to {out}."))
}

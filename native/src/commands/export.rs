//! `impossible export`: saving a model in another precision, for other libraries and for the browser.

use anyhow::Result;
use lm::device::{Compute, DeviceSpec};
use lm::lanes::wait;
use lm::model::save::{Layout, Trained};
use method::golden;
use method::student::format;

use crate::args::Export;
use crate::fs::{read_small, write_file};
use crate::models;
use crate::models::student::{model_folder, read_format};
use crate::session::Session;
use crate::training::save::save;

pub(super) fn run(session: &Session, args: &Export) -> Result<()> {
    let from = model_folder(&args.model);
    let format_file = from.join(format::FILE);
    let format = if format_file.is_file() { Some(read_format(&format_file)?) } else { None };
    let folder = models::open(&session.store, &from.display().to_string())?;
    let classifier = matches!(folder.config.model_type()?, "roberta" | "deberta-v2");
    let eos = if classifier { None } else { Some(folder.end()?) };
    let mut weights = lm::model::save::Weights::new();
    for name in folder.tensors.names() {
        if let Some(info) = folder.tensors.info(name) {
            weights.insert(name.to_owned(), (info.shape, folder.tensors.read_f32(name)?));
        }
    }
    let mut model = Trained::new(&folder.config, folder.tokenizer()?, (eos, folder.config.pad()), weights)?;
    let card = from.join("README.md");
    let card = if card.is_file() { read_small(&card, 1 << 20)? } else { Vec::new() };
    model.card = String::from_utf8_lossy(&card).into_owned();
    if let Some(format) = &format {
        model.extra = Some((format::FILE, format.to_bytes()?));
    }
    // Leave room for the header of the file.
    let shard = args.shard_size.map(|mib| mib.saturating_mul(1 << 20).saturating_sub(1 << 16));
    save(&args.out, &model, Layout { precision: args.precision, shard })?;
    // Golden values of the weights as written, which may be rounded.
    let compute = Compute::open(DeviceSpec::Flex)?;
    let name = args.out.display().to_string();
    let golden = if classifier {
        wait(golden::pair(&session.pair_model(&name, &compute)?))?
    } else {
        wait(golden::text(&session.text_model(&name, &compute)?, format.as_ref()))?
    };
    write_file(&args.out.join(golden::FILE), &serde_json::to_vec_pretty(&golden)?)?;
    session.say(&serde_json::json!({"model": name}), || format!("Written to {name}."))
}

//! `impossible export`: saving a model in another precision, for other libraries and for the browser.

use anyhow::Result;
use lm::decode::TextModel;
use lm::device::{Compute, DeviceSpec};
use lm::lanes::wait;
use lm::model::classifier::entailment_label;
use lm::model::save::{Layout, Trained, Weights, save};
use lm::scoring::PairModel;
use method::golden;
use method::student::format;

use crate::args::Export;
use crate::fs::write_file;
use crate::models::Place;
use crate::models::student::{JUDGES, Judges, format_of, locate, own_judges};
use crate::output::{Kind, Replace, Staged};
use crate::session::Session;

pub(super) fn run(session: &Session, args: &Export) -> Result<()> {
    let place = locate(&session.store, &args.model)?;
    let format = format_of(&place)?;
    let folder = place.open()?;
    let staged = Staged::begin(&args.out, Kind::Export, Replace::forced(args.force))?;
    let classifier = entailment_label(&folder.config)?.is_some();
    let eos = if classifier { None } else { Some(folder.end()?) };
    let mut weights = Weights::new();
    for name in folder.tensors.names() {
        if let Some(info) = folder.tensors.info(name) {
            weights.insert(name.to_owned(), (info.shape, folder.tensors.read_f32(name)?));
        }
    }
    let mut model = Trained::new(&folder.config, folder.tokenizer()?, (eos, folder.config.pad()), weights)?;
    let card = place.read("README.md", 1 << 20)?.unwrap_or_default();
    model.card = String::from_utf8_lossy(&card).into_owned();
    if let Some(format) = &format {
        model.extra.push((format::FILE, format.to_bytes()?));
    }
    if let Some(plan) = own_judges(&place)?.filter(|_| format.is_some()) {
        model.extra.push((JUDGES, Judges::of(&plan).public().to_bytes()?));
    }
    // Leave room for the header of the file.
    let shard = args.shard_size.map(|mib| mib.saturating_mul(1 << 20).saturating_sub(1 << 16));
    let name = args.out.display().to_string();
    let new = staged.folder();
    save(&name, &model, Layout { precision: args.precision, shard }, &mut |file, bytes| {
        write_file(&new.join(file), bytes)
    })?;
    // Golden values of the weights as written, which may be rounded.
    let compute = Compute::open(DeviceSpec::Flex)?;
    let written = Place::Disk(new.to_owned()).open()?;
    let golden = if classifier {
        wait(golden::pair(&PairModel::load(&written, &compute)?))?
    } else {
        wait(golden::text(&TextModel::load(&written, &compute)?, format.as_ref()))?
    };
    write_file(&new.join(golden::FILE), &serde_json::to_vec_pretty(&golden)?)?;
    drop(written);
    staged.commit()?;
    session.say(&serde_json::json!({"model": name}), || format!("Written to {name}."))
}

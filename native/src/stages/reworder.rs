//! Training a reworder: a model that writes damaged sentences back, on sentences alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use lm::device::{Compute, DeviceSpec};
use lm::model::LanguageModel;
use lm::train::trainer::{Settings, Trainer};
use method::reword::{Damage, words::Words};
use method::student::{Format, Lesson, Rewording};
use record::plan::{Paraphrase, Plan};
use record::{Error, Finish, Preset};
use text::sentence;

use super::student::{Aside, Done, begin, carry_out, check, first_base, licence_of};
use crate::args::TrainFlags;
use crate::fs::{hash_file, regular, sha256};
use crate::language;
use crate::models::student::{JUDGES, Judges};
use crate::output::{self, Kind};
use crate::run::RunFolder;
use crate::run::jsonl::read_seeds;
use crate::session::Session;
use crate::training::{StudentPlan, settings};

/// Fewest and most words of a sentence that is learned from.
const WORDS: std::ops::RangeInclusive<usize> = 4..=60;

/// What to train on, and where.
pub struct Request<'a> {
    /// A run whose finished shards are learned from.
    pub run: Option<&'a RunFolder>,
    /// Files of texts: lines, or .jsonl with this field.
    pub texts: (&'a [PathBuf], Option<&'a str>),
    /// Folder of the training.
    pub out: PathBuf,
    /// Which earlier training in that folder is set aside in the run's folder `earlier`.
    pub aside: Aside,
    /// Name or path of the model to adapt.
    pub base: String,
    /// Seed of the training and of the damage.
    pub seed: u64,
    /// Flags that override the default settings.
    pub flags: &'a TrainFlags,
}

/// Distinct sentences, and the SHA-256 of what they were read from.
struct Sentences {
    texts: Vec<String>,
    data: BTreeMap<String, String>,
}

/// Reads the sentences of the run (contexts and siblings) and of the files.
fn sentences(request: &Request<'_>) -> Result<Sentences> {
    let (mut seen, mut found) = (BTreeSet::new(), Sentences { texts: Vec::new(), data: BTreeMap::new() });
    let mut add = |text: &str, texts: &mut Vec<String>| {
        for one in sentence::split(text) {
            let one = one.split_whitespace().collect::<Vec<_>>().join(" ");
            let fits = sentence::usable(&one) && WORDS.contains(&Words::read(&one).words.len());
            if fits && seen.insert(sha256(one.as_bytes())) {
                texts.push(one);
            }
        }
    };
    if let Some(run) = request.run {
        for shard in run.shards()? {
            let shard = shard?;
            shard.contexts.iter().for_each(|context| add(&context.text, &mut found.texts));
            let whole = shard.samples.iter().filter(|sample| sample.finish == Finish::Sentence);
            whole.for_each(|sample| add(&sample.text, &mut found.texts));
        }
    }
    let (files, field) = request.texts;
    for (i, file) in files.iter().enumerate() {
        regular(file, "--sentences")?;
        let rows = read_seeds(file, field)?;
        language::tell(&file.display().to_string(), rows.iter().map(|row| row.text.as_str()));
        rows.iter().for_each(|row| add(&row.text, &mut found.texts));
        let name = file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        found.data.insert(format!("{i}/{name}"), hash_file(file)?.1);
    }
    // The files alone do not say which of their fields was read.
    found.data.insert("sentences".to_owned(), sha256(found.texts.join("\n").as_bytes()));
    if found.texts.is_empty() {
        let expected = format!("at least one sentence of {} to {} words", WORDS.start(), WORDS.end());
        return Err(Error::input("the sentences", expected, "none").into());
    }
    Ok(found)
}

/// Settings for a base model with this number of parameters: wider adapters and a higher rate than for pairs, as there
/// are many sentences and one pass over them.
fn defaults(flags: &TrainFlags, parameters: usize) -> Settings {
    let mut s = settings::student(flags, parameters);
    let fit = &flags.fit;
    if let Some(lora) = &mut s.lora {
        lora.rank = flags.lora_rank.unwrap_or(32);
        lora.alpha = flags.lora_alpha.unwrap_or(2.0 * lora.rank as f64);
        s.learning_rate = fit.learning_rate.unwrap_or(6e-4);
    }
    s.epochs = fit.epochs.unwrap_or(1);
    s.validation = fit.validation.unwrap_or(0.02);
    s.warmup = fit.warmup.unwrap_or(0.05);
    s
}

/// Trains a reworder, or resumes an interrupted training, and saves the model.
///
/// # Errors
/// Errors of reading sentences, base model and folders; [`Error::Interrupted`] after Ctrl-C, with a checkpoint saved.
pub fn train(session: &Session, request: &Request<'_>) -> Result<Done> {
    output::check(&request.out, Kind::Student)?;
    let Sentences { texts, data } = sentences(request)?;
    let place = session.store.resolve(&request.base)?;
    let base = place.open()?;
    let encoder = LanguageModel::sizes_of(&base.config)?.start.is_some();
    let damage = Damage::training();
    let plan = StudentPlan {
        seed: request.seed,
        device: request.run.map_or_else(|| session.spec(), |run| Ok(run.plan().device))?,
        base: request.base.clone(),
        base_sha256: place.weights_hash()?,
        data,
        format: Format::reworder(encoder, Damage::writing()),
        training_damage: Some(damage.clone()),
        train: defaults(request.flags, base.parameters()),
    };
    check(&request.out, request.aside, &plan)?;
    let compute = Compute::open(plan.device)?;
    let mut lesson =
        Lesson::rewording(&base, &texts, (plan.format.clone(), damage), plan.train.clone(), plan.seed, &compute)?;
    for (reason, n) in &lesson.dropped {
        note!("{n} sentences were left out: {reason}.");
    }
    let _lock = begin(request.run, &request.out, request.aside, &plan)?;
    let judges = request.run.map_or_else(|| Preset::Small.plan(DeviceSpec::Flex), |run| run.plan().clone());
    carry_out(session, &request.out, &plan, &mut lesson, |model, trainer| {
        model.card = card(&plan, &judges, texts.len(), trainer);
        let (of_run, mut judges) = (judges.paraphrase.entailment_min, Judges::of(&judges));
        judges.paraphrase = Paraphrase::reworded();
        // A small critic that is rarely sure has a lower threshold in its run, too.
        judges.paraphrase.entailment_min = judges.paraphrase.entailment_min.min(of_run);
        if judges.encoder.is_empty() {
            judges.paraphrase.cosine_min = None;
        }
        model.extra.push((JUDGES, judges.to_bytes()?));
        Ok(())
    })
}

/// The default folder of a reworder: in its run, or else `reworder` in the current folder.
#[must_use]
pub fn folder(run: Option<&Path>) -> PathBuf {
    run.map_or_else(|| PathBuf::from("reworder"), |run| run.join("student/reworder"))
}

/// The model card.
fn card(plan: &StudentPlan, judges: &Plan, sentences: usize, trainer: &Trainer<Rewording>) -> String {
    let base = first_base(plan);
    let best = trainer.state.best.map_or_else(String::new, |(loss, step)| {
        let held_out = trainer.sizes().1;
        format!("Loss on {held_out} held-out sentences: {loss:.4} nats per token, after step {step}.\n")
    });
    let prompt = plan.format.around("WORDS").replace('\n', "\\n");
    format!(
        "---\nlibrary_name: transformers\nbase_model: {base}\ntags:\n- paraphrase\n- impossible-distillation\n---\n\n# A reworder\n\nIt writes a sentence from some of its words in any order. Trained on {sentences} sentences, without pairs and labels; {epochs} epochs, learning rate {rate}.\n{best}\n## Use\n\n`impossible reword --model FOLDER \"Your sentence.\"` damages the sentence anew for each version and judges what comes back; the critic is {critic} unless --critic names another.\n\nWith other libraries: the prompt, as trained, is `{prompt}`.\n\n## Limits\n\nA version says what the words allow, which need not be what the sentence said. Most versions are wrong, and a small entailment model misses many of these errors: keep those only that the reworder itself finds likely after other damage (`nll`), and read them.\n\n## Licence\n\nThe licence of the base model {base}{licence} applies to these weights.\n",
        epochs = plan.train.epochs,
        rate = plan.train.learning_rate,
        critic = Judges::of(judges).public().critic,
        licence = licence_of(&base),
    )
}

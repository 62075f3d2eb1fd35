//! Training a new language model on the user's texts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use lm::decode::TextModel;
use lm::decode::sample::SampleOptions;
use lm::decode::siblings::{Job, Limits, Stop, sample};
use lm::device::{Compute, DeviceSpec};
use lm::lanes::wait;
use lm::model::LanguageModel;
use lm::model::config::Config;
use lm::model::loader::Source;
use lm::model::save::{Layout, Trained};
use lm::model::tensors::Tensors;
use lm::tokenizer::Tokenizer;
use lm::train::pretraining::{self, Pretraining, Task};
use lm::train::trainer::{Settings, Trainer};
use lm::train::{Parameters, initial};
use lm::train_tokenizer::{self, END, Kind};
use record::monitor::Unwatched;
use record::random::Purpose;
use record::{Error, Monitor};
use serde::Serialize;

use crate::args::{Pretrain, Size};
use crate::fs::{hash_file, read_lines, read_small, regular, sha256, write_file, write_lines};
use crate::html::escape;
use crate::output::{self, Manifest};
use crate::report::curve;
use crate::run::jsonl::read_seeds;
use crate::session::Session;
use crate::training::folder::{self, Folder, Line};
use crate::training::new::{TINY_STUDENT, TINY_TEACHER, architecture, ending, entries, read_tokenizer};
use crate::training::save::{kept, save};
use crate::training::{plan, settings};

/// Everything needed to reproduce a pretraining.
#[derive(Debug, Serialize)]
struct PretrainPlan {
    seed: u64,
    device: DeviceSpec,
    task: Task,
    length: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    tokenizer_sha256: String,
    /// Settings of a new tokenizer, if none was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    new_tokenizer: Option<NewTokenizer>,
    /// SHA-256 of every text file.
    data: BTreeMap<String, String>,
    config: serde_json::Map<String, serde_json::Value>,
    train: Settings,
}

#[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
struct NewTokenizer {
    kind: Kind,
    vocabulary: usize,
}

/// A sample text that the model generated during training.
#[derive(Debug, Serialize, serde::Deserialize)]
struct Written {
    step: u64,
    text: String,
}

/// Results of the training.
#[derive(Debug, Serialize)]
struct Done {
    #[serde(serialize_with = "crate::fs::lossy")]
    model: PathBuf,
    parameters: usize,
    steps: u64,
    documents: usize,
    tokens: usize,
    held_out: usize,
    /// Best held-out loss per target token, in nats.
    validation: Option<f32>,
    /// Held-out perplexity per token; `None` unless the task is next-token prediction.
    perplexity: Option<f64>,
    /// Mean characters per token of the held-out documents, to compare models with different tokenizers.
    characters_per_token: f64,
}

const SAMPLES: &str = "samples.jsonl";
const PLAN: &str = "pretrain.toml";
const TOKENIZER: &str = "tokenizer.json";

/// Most new tokens of a sample text.
const WRITTEN: usize = 80;

/// The training texts.
struct Texts {
    documents: Vec<String>,
    /// SHA-256 of every file.
    hashes: BTreeMap<String, String>,
}

fn texts(args: &Pretrain) -> Result<Texts> {
    let (mut documents, mut hashes, mut seen) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
    for (i, file) in args.text.iter().enumerate() {
        regular(file, "--text")?;
        // Duplicates are dropped, as one copy could be trained on while the other is held out.
        let texts = read_seeds(file, args.field.as_deref())?.into_iter().map(|row| row.text);
        documents.extend(texts.filter(|text| seen.insert(sha256(text.as_bytes()))));
        let name = file.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        hashes.insert(format!("{i}/{name}"), hash_file(file)?.1);
    }
    Ok(Texts { documents, hashes })
}

fn default_settings() -> Settings {
    Settings {
        epochs: 4,
        batch: 32,
        batch_tokens: 4096,
        learning_rate: 2e-3,
        warmup: 0.02,
        validation: 0.02,
        evaluate_every: 200,
        lora: None,
        ..Settings::default()
    }
}

/// A pretraining with its plan and resources.
struct Work<'a> {
    args: &'a Pretrain,
    plan: PretrainPlan,
    tokenizer: Tokenizer,
    /// Text of `tokenizer.json`.
    tokenizer_text: String,
    config: Config,
    /// Id of the end-of-text token.
    end: u32,
    compute: Compute,
}

/// Trains a new model, or resumes an interrupted training.
///
/// # Errors
/// Errors of reading texts, tokenizer, architecture and folders; [`Error::Interrupted`] after Ctrl-C, with a checkpoint
/// saved.
pub fn run(session: &Session, args: &Pretrain) -> Result<()> {
    if !(16..=4096).contains(&args.length) {
        return Err(Error::input("--length", "16 to 4096", args.length).into());
    }
    output::check(&args.out, output::Kind::Pretraining)?;
    let texts = texts(args)?;
    let work = Work::new(session, args, &texts)?;
    let (mut trainer, tokens) = work.trainer(&texts.documents)?;
    // Nothing has been written up to here, so that a failing request leaves nothing behind.
    let _lock = output::claim(&args.out, output::Kind::Pretraining)?;
    let hash = plan::begin(&args.out.join(PLAN), &work.plan, &work.plan.train)?;
    write_file(&args.out.join(TOKENIZER), work.tokenizer_text.as_bytes())?;
    let (learned, held_out) = trainer.sizes();
    let parameters = trainer.parameters.count().0;
    if !session.quiet {
        note!(
            "{:.2} million parameters; {} documents, {tokens} tokens; {learned} examples, {held_out} held out.",
            parameters as f64 / 1e6,
            texts.documents.len()
        );
    }
    let (held_tokens, held_characters) = work.held_out(&trainer)?;
    let samples = args.out.join(SAMPLES);
    let mut written: Vec<Written> = if samples.is_file() { read_lines(&samples)? } else { Vec::new() };
    let looked = |trainer: &Trainer<Pretraining>, line: &Line| {
        if args.task != Task::Causal || args.samples == 0 {
            return Ok(());
        }
        written.retain(|w| w.step < line.step);
        written.extend(work.write(trainer, line.step)?);
        write_lines(&samples, &written)
    };
    let metrics = folder::train(session, &Folder::new(&args.out, &hash), &mut trainer, looked)?;
    let (validation, best) = trainer.state.best.unzip();
    let done = Done {
        model: args.out.join("model"),
        parameters,
        steps: metrics.last().map_or(0, |l| l.step),
        documents: texts.documents.len(),
        tokens,
        held_out,
        validation,
        perplexity: validation.filter(|_| args.task == Task::Causal).map(|v| f64::from(v).exp()),
        characters_per_token: held_characters as f64 / held_tokens.max(1) as f64,
    };
    write_file(&args.out.join("report.html"), page(&done, &metrics, &written).as_bytes())?;
    // Only the sample texts of the best weights, which are the ones that are saved.
    let written: Vec<&Written> = written.iter().filter(|w| best.is_none_or(|step| w.step == step)).collect();
    if !kept(&args.out) {
        work.save(&trainer, &done, &written)?;
    }
    Manifest::write(&args.out, output::Kind::Pretraining)?;
    session.say(&done, || told(&done, &written, &args.out))
}

impl<'a> Work<'a> {
    fn new(session: &Session, args: &'a Pretrain, texts: &Texts) -> Result<Self> {
        let tokenizer = match &args.tokenizer {
            Some(path) => read_tokenizer(path)?.0,
            None => new_tokenizer(&args.out.join(TOKENIZER), args, texts)?,
        };
        let Size::Tiny = args.preset;
        let preset = if args.task == Task::Causal { TINY_TEACHER } else { TINY_STUDENT };
        let config = architecture(args.config.as_deref(), preset, &tokenizer)?;
        let sizes = LanguageModel::sizes_of(&config)?;
        if sizes.positions < 32 {
            return Err(Error::input("the architecture", "at least 32 positions", sizes.positions).into());
        }
        let tokenizer_text = tokenizer.to_json()?;
        let spec = session.spec()?;
        let plan = PretrainPlan {
            seed: args.seed,
            device: spec,
            task: args.task,
            length: args.length,
            field: args.field.clone(),
            tokenizer_sha256: sha256(tokenizer_text.as_bytes()),
            new_tokenizer: match args.tokenizer {
                Some(_) => None,
                None => Some(NewTokenizer { kind: args.tokenizer_kind, vocabulary: args.vocabulary }),
            },
            data: texts.hashes.clone(),
            config: entries(&config),
            train: settings::fit(&args.train, default_settings()),
        };
        plan::check(&args.out.join(PLAN), &plan, &plan.train)?;
        let end = sizes.eos.first().copied().unwrap_or(END.0);
        Ok(Self { args, plan, tokenizer, tokenizer_text, config, end, compute: Compute::open(spec)? })
    }

    /// The training at step 0, and the number of tokens of its texts.
    fn trainer(&self, documents: &[String]) -> Result<(Trainer<Pretraining>, usize)> {
        let (args, config) = (self.args, &self.config);
        let length = args.length.min(LanguageModel::sizes_of(config)?.positions - 1);
        let windows = pretraining::windows(documents, &self.tokenizer, length, self.end)?;
        let tokens = windows.iter().map(|w| w.ids.len()).sum();
        let weights = Tensors::Memory(initial::initial(config, args.seed)?);
        let parameters = Parameters::read(&weights, None, args.seed, &self.compute.device)?;
        let objective = Pretraining::new(config.clone(), args.task, &self.tokenizer, self.end, args.seed)?;
        let trainer = Trainer::new(objective, parameters, self.plan.train.clone(), windows, args.seed)?;
        Ok((trainer, tokens))
    }

    /// Number of tokens and characters of the held-out documents.
    fn held_out(&self, trainer: &Trainer<Pretraining>) -> record::Result<(usize, usize)> {
        trainer.held_out().iter().try_fold((0, 0), |(tokens, characters), w| {
            Ok((tokens + w.ids.len(), characters + self.tokenizer.decode(&w.ids)?.chars().count()))
        })
    }

    /// Sample texts of the current weights, from the start of a document.
    fn write(&self, trainer: &Trainer<Pretraining>, step: u64) -> record::Result<Vec<Written>> {
        let (args, device) = (self.args, &self.compute.device);
        let weights = Tensors::Memory(wait(trainer.parameters.merged())?);
        let lm = LanguageModel::build(&self.config, Source::Checkpoint(&weights), device)?;
        let model = TextModel::new(lm, self.tokenizer.clone(), &self.compute);
        let options = SampleOptions { temperature: 0.7, top_p: 0.9, ..SampleOptions::default() };
        let new = WRITTEN.min(model.lm.sizes().positions - 2);
        let prompt = model.prompt("", new)?;
        let job = Job { context: step, prompt, rows: 0..args.samples, stop: Stop::Sentences(3) };
        let limits = Limits { batch: args.samples as usize, max_tokens: new };
        let sampler = model.sampler(options)?;
        let stream = (args.seed, Purpose::Written);
        let mut unwatched = Unwatched;
        let mut monitor = Monitor::new(&mut unwatched, 0, 1);
        let rows = wait(sample(&model, &[job], &sampler, limits, stream, &mut monitor))?;
        Ok(rows.into_iter().map(|row| Written { step, text: row.text }).collect())
    }

    fn save(&self, trainer: &Trainer<Pretraining>, done: &Done, written: &[&Written]) -> Result<()> {
        let weights = wait(trainer.parameters.merged())?;
        let ids = (Some(self.end), self.config.pad());
        let mut model = Trained::new(&self.config, &self.tokenizer, ids, weights)?;
        if self.args.task != Task::Causal {
            model.tokenizer = ending(&self.tokenizer)?;
        }
        model.card = card(done, &self.plan, written);
        Ok(save(&done.model, &model, Layout::default())?)
    }
}

/// The tokenizer of the interrupted training in the same folder, or a new one.
fn new_tokenizer(file: &Path, args: &Pretrain, texts: &Texts) -> record::Result<Tokenizer> {
    /// The entries of the plan that a new tokenizer depends on.
    #[derive(PartialEq, Serialize, serde::Deserialize)]
    struct Depends {
        new_tokenizer: Option<NewTokenizer>,
        data: BTreeMap<String, String>,
    }
    let saved = read_small(&args.out.join(PLAN), 1 << 20).ok();
    let saved: Option<Depends> = saved.and_then(|bytes| toml::from_str(&String::from_utf8_lossy(&bytes)).ok());
    let hashes = |data: &BTreeMap<String, String>| data.values().cloned().collect::<Vec<_>>();
    let wanted = NewTokenizer { kind: args.tokenizer_kind, vocabulary: args.vocabulary };
    let same =
        saved.is_some_and(|s| s.new_tokenizer.as_ref() == Some(&wanted) && hashes(&s.data) == hashes(&texts.hashes));
    if file.is_file() && same {
        return Ok(read_tokenizer(file)?.0);
    }
    let documents = &texts.documents;
    train_tokenizer::train(args.tokenizer_kind, documents, args.vocabulary)
}

fn told(done: &Done, written: &[&Written], out: &Path) -> String {
    let mut text = format!(
        "{:.2} million parameters, {} steps over {} tokens.\n",
        done.parameters as f64 / 1e6,
        done.steps,
        done.tokens
    );
    if let Some(loss) = done.validation {
        let perplexity = done.perplexity.map_or_else(String::new, |p| {
            format!(", perplexity {p:.1} per token ({:.1} characters)", done.characters_per_token)
        });
        text += &format!("On {} held-out examples: {loss:.3} nats per target token{perplexity}.\n", done.held_out);
    }
    for w in written {
        text += &format!("  | {}\n", w.text);
    }
    text + &format!("  {}\n  {}", done.model.display(), out.join("report.html").display())
}

fn page(done: &Done, metrics: &[Line], written: &[Written]) -> String {
    let rows: String =
        written.iter().map(|w| format!("<tr><td>{}</td><td>{}</td></tr>\n", w.step, escape(&w.text))).collect();
    let samples = if rows.is_empty() {
        String::new()
    } else {
        format!(
            "<h2>Sample texts during training</h2>\n<div class=\"scroll\"><table><thead><tr><th scope=\"col\">step</th>\
             <th scope=\"col\">text</th></tr></thead><tbody>{rows}</tbody></table></div>\n"
        )
    };
    let perplexity =
        done.perplexity.map_or_else(String::new, |p| format!(" Perplexity on held-out documents: {p:.1}."));
    let facts = format!(
        "<p>{:.2} million parameters, {} documents, {} tokens.{perplexity}</p>\n",
        done.parameters as f64 / 1e6,
        done.documents,
        done.tokens
    );
    curve::page_with("A new model", "target token", metrics, [&facts, &samples])
}

fn card(done: &Done, plan: &PretrainPlan, written: &[&Written]) -> String {
    let pipeline = if plan.task == Task::Causal { "text-generation" } else { "text2text-generation" };
    let files: Vec<&str> = plan.data.keys().filter_map(|k| k.split_once('/')).map(|(_, name)| name).collect();
    let result = done.perplexity.map_or_else(String::new, |p| {
        format!("Perplexity on held-out documents: {p:.1} per token ({:.1} characters).\n", done.characters_per_token)
    });
    let samples: String = written.iter().map(|w| format!("> {}\n\n", w.text)).collect();
    format!(
        "---\nlibrary_name: transformers\npipeline_tag: {pipeline}\ntags:\n- impossible-distillation\n---\n\n# A small language model of one domain\n\n{:.2} million parameters, trained from scratch on {} documents ({} tokens) of {}: {:?}, {} epochs, seed {}.\n{result}\n{samples}## Limits\n\nIt has learned the style of its texts, not facts. What it states is invented.\n\n## Licence\n\nThe licence depends on that of the texts, which this tool cannot know. State it here before you publish the model.\n",
        done.parameters as f64 / 1e6,
        done.documents,
        done.tokens,
        files.join(", "),
        plan.task,
        plan.train.epochs,
        plan.seed,
    )
}

//! `impossible pretrain`: a language model out of a user's texts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use impossible_core::Error;
use impossible_core::decode::Teacher;
use impossible_core::decode::sample::SampleOptions;
use impossible_core::decode::siblings::{Job, Limits, Stop, sample};
use impossible_core::device::{Compute, DeviceSpec};
use impossible_core::event::{Event, Signal, Stage};
use impossible_core::model::LanguageModel;
use impossible_core::model::config::Config;
use impossible_core::model::loader::Source;
use impossible_core::model::tensors::Tensors;
use impossible_core::text::tokenizer::Tokenizer;
use impossible_core::text::train_tokenizer::{self, END, Kind};
use impossible_core::train::pretraining::{self, Pretraining, Task};
use impossible_core::train::trainer::{Settings, Trainer};
use impossible_core::train::{Parameters, initial};
use serde::Serialize;

use super::{Session, train, wait};
use crate::args::{Pretrain, Size};
use crate::progress::stop_flag;
use crate::run::atomic::{hash_file, io_error, sha256, write_file};
use crate::run::histogram::escape;
use crate::run::jsonl::read_seeds;
use crate::training::folder::{self, Folder, Line};
use crate::training::new::{TINY_STUDENT, TINY_TEACHER, architecture, ending, entries, read_tokenizer};
use crate::training::save::{Model, Precision, save};
use crate::training::{curve, plan};

/// Everything needed to repeat a pretraining.
#[derive(Debug, Serialize)]
struct PretrainPlan {
    seed: u64,
    device: String,
    task: Task,
    length: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    tokenizer_sha256: String,
    /// Where the tokenizer was not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    new_tokenizer: Option<NewTokenizer>,
    /// sha256 of every file of texts.
    data: BTreeMap<String, String>,
    config: serde_json::Map<String, serde_json::Value>,
    train: Settings,
}

#[derive(Debug, Serialize)]
struct NewTokenizer {
    kind: Kind,
    vocabulary: usize,
}

/// A text that the model wrote on the way.
#[derive(Debug, Serialize, serde::Deserialize)]
struct Written {
    step: u64,
    text: String,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Done {
    model: PathBuf,
    parameters: usize,
    steps: u64,
    documents: usize,
    tokens: usize,
    held_out: usize,
    /// Nats a target token on held-out documents.
    validation: Option<f32>,
    /// Of the next token; none for other tasks.
    perplexity: Option<f64>,
    /// Characters a token of the held-out documents has, so that models with other tokenizers can be compared.
    characters_per_token: f64,
}

const SAMPLES: &str = "samples.jsonl";
const PLAN: &str = "pretrain.toml";

/// New tokens of a text on the way.
const WRITTEN: usize = 80;

pub(super) fn run(session: &Session, args: &Pretrain) -> Result<()> {
    let spec = session.spec()?;
    let spec = if spec == DeviceSpec::Auto { session.compute()?.spec } else { spec };
    if !(16..=4096).contains(&args.length) {
        return Err(Error::input("--length", "16 to 4096", args.length).into());
    }
    let (mut documents, mut data, mut seen) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
    for (i, file) in args.text.iter().enumerate() {
        // A text that is there twice could be trained on and held out.
        let texts = read_seeds(file, args.field.as_deref())?.into_iter().map(|row| row.text);
        documents.extend(texts.filter(|text| seen.insert(sha256(text.as_bytes()))));
        let name = file.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        data.insert(format!("{i}/{name}"), hash_file(file)?.1);
    }
    let tokenizer_file = args.out.join("tokenizer.json");
    let tokenizer = match &args.tokenizer {
        Some(path) => read_tokenizer(path)?.0,
        None => new_tokenizer(&tokenizer_file, args, &documents)?,
    };
    let Size::Tiny = args.preset;
    let preset = if args.task == Task::Causal { TINY_TEACHER } else { TINY_STUDENT };
    let config = architecture(args.config.as_deref(), preset, &tokenizer)?;
    let shape = LanguageModel::sizes(&config)?;
    if shape.positions < 32 {
        return Err(Error::input("the architecture", "at least 32 positions", shape.positions).into());
    }
    let end = shape.eos.first().copied().unwrap_or(END.0);
    let defaults = Settings {
        epochs: 4,
        batch: 32,
        batch_tokens: 4096,
        learning_rate: 2e-3,
        warmup: 0.02,
        validation: 0.02,
        evaluate_every: 200,
        lora: None,
        ..Settings::default()
    };
    let text = tokenizer.to_json()?;
    let plan = PretrainPlan {
        seed: args.seed,
        device: spec.to_string(),
        task: args.task,
        length: args.length,
        field: args.field.clone(),
        tokenizer_sha256: sha256(text.as_bytes()),
        new_tokenizer: match args.tokenizer {
            Some(_) => None,
            None => Some(NewTokenizer { kind: args.tokenizer_kind, vocabulary: args.vocabulary }),
        },
        data,
        config: entries(&config),
        train: train::fit(&args.train, defaults),
    };
    let plan_file = args.out.join(PLAN);
    plan::check(&plan_file, &plan, &plan.train)?;

    let compute = spec.open()?;
    let windows = pretraining::windows(&documents, &tokenizer, args.length.min(shape.positions - 1), end)?;
    let tokens: usize = windows.iter().map(|w| w.ids.len()).sum();
    let weights = Tensors::Memory(initial::initial(&config, args.seed)?);
    let parameters = Parameters::read(&weights, None, args.seed, &compute.device)?;
    let objective = Pretraining::new(config.clone(), args.task, &tokenizer, end, args.seed)?;
    let mut trainer = Trainer::new(objective, parameters, plan.train.clone(), windows, args.seed)?;
    // Nothing is written before the request is known to work.
    std::fs::create_dir_all(&args.out).map_err(io_error("creating", &args.out))?;
    write_file(&tokenizer_file, text.as_bytes())?;
    let hash = plan::begin(&plan_file, &plan, &plan.train)?;
    let (learned, held_out) = trainer.sizes();
    let count = trainer.parameters.count().0;
    if !session.quiet {
        eprintln!(
            "{:.2} million parameters; {} documents, {tokens} tokens; {learned} examples, {held_out} held out.",
            count as f64 / 1e6,
            documents.len()
        );
    }
    let (held_tokens, held_characters) = trainer.held_out().iter().try_fold((0, 0), |(tokens, characters), w| {
        Ok::<_, Error>((tokens + w.ids.len(), characters + tokenizer.decode(&w.ids)?.chars().count()))
    })?;
    let stop = stop_flag()?;
    let place = Folder::new(&args.out, &hash);
    let samples = args.out.join(SAMPLES);
    let mut written: Vec<Written> = if samples.is_file() { folder::read_lines(&samples)? } else { Vec::new() };
    let looked = |trainer: &Trainer<Pretraining>, line: &Line| {
        if args.task != Task::Causal || args.samples == 0 {
            return Ok(());
        }
        written.retain(|w| w.step < line.step);
        written.extend(write(trainer, &config, &tokenizer, &compute, args, line.step)?);
        let mut text = Vec::new();
        for line in &written {
            serde_json::to_writer(&mut text, line).map_err(|e| Error::broken(SAMPLES, e.to_string()))?;
            text.push(b'\n');
        }
        write_file(&samples, &text)
    };
    let metrics = folder::train(&place, &mut trainer, session.quiet, &stop, looked)?;
    let (validation, best) = trainer.state.best.unzip();
    let done = Done {
        model: args.out.join("model"),
        parameters: count,
        steps: metrics.last().map_or(0, |l| l.step),
        documents: documents.len(),
        tokens,
        held_out,
        validation,
        perplexity: validation.filter(|_| args.task == Task::Causal).map(|v| f64::from(v).exp()),
        characters_per_token: held_characters as f64 / held_tokens.max(1) as f64,
    };
    write_file(&args.out.join("report.html"), page(&done, &metrics, &written).as_bytes())?;
    // Those of the weights that are kept.
    let written: Vec<&Written> = written.iter().filter(|w| best.is_none_or(|step| w.step == step)).collect();
    let weights = wait(trainer.parameters.merged())?;
    let token = tokenizer.token(end).unwrap_or_default();
    let pad = config.get("pad_token_id").and_then(serde_json::Value::as_u64);
    let pad = pad.and_then(|id| tokenizer.token(u32::try_from(id).ok()?));
    save(
        &done.model,
        &Model {
            config: &config,
            tokenizer: if args.task == Task::Causal { text } else { ending(&tokenizer)? }.as_bytes(),
            eos: Some((end, &token)),
            pad: pad.as_deref(),
            format: None,
            weights: &weights,
            precision: Precision::F32.into(),
            shard: None,
            card: &card(&done, &plan, &written),
        },
    )?;
    session.say(&done, || told(&done, &written, &args.out))
}

/// The tokenizer of an earlier start of the same training, or a new one.
fn new_tokenizer(file: &Path, args: &Pretrain, documents: &[String]) -> impossible_core::Result<Tokenizer> {
    if file.is_file() && args.out.join(PLAN).is_file() {
        return Ok(read_tokenizer(file)?.0);
    }
    train_tokenizer::train(args.tokenizer_kind, documents, args.vocabulary)
}

/// Texts of the model as it is now, from the start of a document.
fn write(
    trainer: &Trainer<Pretraining>,
    config: &Config,
    tokenizer: &Tokenizer,
    compute: &Compute,
    args: &Pretrain,
    step: u64,
) -> impossible_core::Result<Vec<Written>> {
    const STAGE: u32 = 17;
    let weights = Tensors::Memory(wait(trainer.parameters.merged())?);
    let lm = LanguageModel::build(config, Source::Checkpoint(&weights), &compute.device)?;
    let teacher = Teacher::new(config, lm, tokenizer.clone(), compute)?;
    let options = SampleOptions { temperature: 0.7, top_p: 0.9, ..SampleOptions::default() };
    let new = WRITTEN.min(teacher.lm.shape().positions - 2);
    let job = Job { context: step, prompt: teacher.prompt("", new)?, rows: 0..args.samples, stop: Stop::Sentences(3) };
    let limits = Limits { batch: args.samples as usize, max_tokens: new };
    let mut event = Event { stage: Stage::Siblings, done: 0, total: 1, tokens: 0, pairs: 0, kept: 0 };
    let sampler = teacher.sampler(options)?;
    let rows = wait(sample(&teacher, &[job], &sampler, limits, (args.seed, STAGE), &mut event, &mut |_: &Event| {
        Signal::Continue
    }))?;
    Ok(rows.into_iter().map(|row| Written { step, text: row.text }).collect())
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
            format!(", perplexity {p:.1} a token of {:.1} characters", done.characters_per_token)
        });
        text += &format!("On {} held-out examples: {loss:.3} nats a target token{perplexity}.\n", done.held_out);
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
            "<h2>Texts on the way</h2>\n<div class=\"scroll\"><table><thead><tr><th scope=\"col\">step</th>\
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
        format!("Perplexity on held-out documents: {p:.1} a token of {:.1} characters.\n", done.characters_per_token)
    });
    let samples: String = written.iter().map(|w| format!("> {}\n\n", w.text)).collect();
    format!(
        "---\nlibrary_name: transformers\npipeline_tag: {pipeline}\ntags:\n- impossible-distillation\n---\n\n# A small language model of one domain\n\n{:.2} million parameters, trained from nothing on {} documents ({} tokens) of {}: {:?}, {} epochs, seed {}.\n{result}\n{samples}## Limits\n\nIt knows the style of its texts and no facts. Whatever it says is invented.\n\n## Licence\n\nThat of its texts, which this tool does not know: name it here before you pass the model on.\n",
        done.parameters as f64 / 1e6,
        done.documents,
        done.tokens,
        files.join(", "),
        plan.task,
        plan.train.epochs,
        plan.seed,
    )
}

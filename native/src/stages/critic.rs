//! Training an entailment critic on labelled pairs, or on the probabilities of a larger critic.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use lm::device::{Compute, DeviceSpec};
use lm::lanes::wait;
use lm::model::PairClassifier;
use lm::model::config::Config;
use lm::model::save::{Layout, Trained};
use lm::model::tensors::Tensors;
use lm::scoring::PairModel;
use lm::tokenizer::Tokenizer;
use lm::train::calibration::{
    AtThreshold, Reliability, at_thresholds, cross_entropy, probabilities, reliability, temperature,
};
use lm::train::classification::{Classification, PairExample};
use lm::train::gradient;
use lm::train::objective::Objective;
use lm::train::trainer::{Settings, Trainer};
use lm::train::{Parameters, initial};
use record::{Error, Monitor};
use serde::Serialize;

use crate::args::{Size, TrainCritic};
use crate::fs::{hash_file, regular, sha256, write_file};
use crate::html::escape;
use crate::models;
use crate::output::{self, Kind, Lock, Manifest};
use crate::report::curve;
use crate::session::Session;
use crate::training::folder::{self, Folder, Line};
use crate::training::labelled::{self, LabelledPair};
use crate::training::new::{TINY_CRITIC, architecture, check_pairs, entries, read_tokenizer};
use crate::training::save::{kept, save};
use crate::training::{plan, settings};

/// Everything needed to reproduce the training of a critic.
#[derive(Debug, Serialize)]
struct CriticPlan {
    seed: u64,
    device: DeviceSpec,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    teacher_critic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    teacher_critic_sha256: Option<String>,
    tokenizer_sha256: String,
    /// SHA-256 of every file of pairs, and of the pairs drawn from runs.
    data: BTreeMap<String, String>,
    config: serde_json::Map<String, serde_json::Value>,
    train: Settings,
}

/// Quality of a critic on pairs with target probabilities.
#[derive(Debug, Clone, Serialize)]
struct Measured {
    pairs: usize,
    /// Mean cross-entropy per pair, in nats.
    cross_entropy: f64,
    /// Fraction of the pairs for which prediction and target have the same most likely label.
    agreement: f64,
    /// Fraction of the pairs with the most common label, which a constant prediction would reach.
    commonest: f64,
    /// Precision and recall of entailment, which is true if the target's probability is at least 0.5.
    entailment: Vec<AtThreshold>,
    /// Number of sentence pairs that occur in both directions.
    pairs_both_ways: usize,
    /// Precision and recall of entailment in both directions, for these pairs.
    both_ways: Vec<AtThreshold>,
    /// Reliability of the probability of entailment.
    reliability: Reliability,
}

/// Results of the training.
#[derive(Debug, Serialize)]
struct Done {
    #[serde(serialize_with = "crate::fs::lossy")]
    model: PathBuf,
    parameters: usize,
    steps: u64,
    pairs: usize,
    /// Temperature that logits are divided by, fitted on half of the held-out groups; the saved weights include it.
    temperature: f64,
    /// Calibration error before dividing by the temperature.
    error_before: f64,
    /// Quality on the other half of the held-out groups.
    held_out: Measured,
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<Measured>,
}

const THRESHOLDS: [f32; 6] = [0.5, 0.75, 0.9, 0.95, 0.97, 0.99];

const PLAN: &str = "critic.toml";

/// The critic before training, with the weights of a base model or random ones.
struct Start {
    config: Config,
    tokenizer: Tokenizer,
    /// Names of the labels, in the order of their ids.
    labels: Vec<String>,
    /// Id of the entailment label.
    entailment: usize,
    /// Largest number of tokens of a pair.
    longest: usize,
    weights: Tensors,
}

impl Start {
    fn open(session: &Session, args: &TrainCritic, compute: &Compute) -> Result<Self> {
        let folder = args.base.as_ref().map(|base| models::open(&session.store, base)).transpose()?;
        let (config, tokenizer) = match (&folder, &args.tokenizer) {
            (Some(folder), _) => (folder.config.clone(), folder.tokenizer()?.clone()),
            (None, Some(path)) => {
                let tokenizer = read_tokenizer(path)?.0;
                let Size::Tiny = args.preset;
                (architecture(args.config.as_deref(), TINY_CRITIC, &tokenizer)?, tokenizer)
            }
            (None, None) => return Err(Error::input("--tokenizer", "the tokenizer of a new critic", "none").into()),
        };
        check_pairs(&tokenizer)?;
        let labels = config.labels()?;
        let weights = match folder {
            Some(folder) => folder.tensors,
            None => Tensors::Memory(initial::initial(&config, args.seed)?),
        };
        let classifier = PairClassifier::load(&config, &weights, &compute.device)?;
        let (longest, entailment) = (classifier.positions(), classifier.entailment(&config)?);
        Ok(Self { config, tokenizer, labels, entailment, longest, weights })
    }
}

/// Training and test pairs.
struct Pairs {
    train: Vec<LabelledPair>,
    test: Vec<LabelledPair>,
    /// SHA-256 of every training file, and of the pairs drawn from runs.
    hashes: BTreeMap<String, String>,
}

impl Pairs {
    fn read(args: &TrainCritic, labels: &[String]) -> Result<Self> {
        for (flag, files) in [("--pairs", &args.pairs), ("--test", &args.test)] {
            files.iter().try_for_each(|file| regular(file, flag))?;
        }
        let mut train = labelled::read(&args.pairs, labels)?;
        let sample = usize::try_from(args.sample).unwrap_or(usize::MAX);
        let siblings = labelled::siblings(&args.siblings, sample, args.seed)?;
        let test = labelled::read(&args.test, labels)?;
        let hashes = hashes(args, &siblings)?;
        train.extend(siblings);
        if train.is_empty() {
            return Err(Error::input("the pairs", "--pairs FILES or --siblings RUNS", "none").into());
        }
        Ok(Self { train, test, hashes })
    }

    /// The teacher critic; without one every pair must have a label.
    fn teacher(&self, session: &Session, args: &TrainCritic, plan: &CriticPlan) -> Result<Option<PairModel>> {
        if let Some(name) = &args.teacher_critic {
            return Ok(Some(session.pair_model(name, &Compute::open(plan.device)?)?));
        }
        match self.train.iter().chain(&self.test).find(|p| p.target.is_none()) {
            Some(bad) => {
                let found = format!("none for \"{}\"", bad.premise);
                Err(Error::input("the pairs", "a label, or a --teacher-critic", found).into())
            }
            None => Ok(None),
        }
    }

    /// Gives every pair without a label the probabilities of the teacher critic as its target.
    fn label(
        &mut self,
        session: &Session,
        args: &TrainCritic,
        (start, plan): (&Start, &CriticPlan),
        critic: &PairModel,
    ) -> Result<()> {
        let open = |pairs: &[LabelledPair]| pairs.iter().filter(|p| p.target.is_none()).count() as u64;
        let total = open(&self.train) + open(&self.test);
        let mut bar = session.bar("pairs labelled", 0, total)?;
        let mut monitor = Monitor::new(&mut bar, 0, total);
        for (pairs, dir) in [(&mut self.train, "labels"), (&mut self.test, "labels-test")] {
            let who = plan.teacher_critic_sha256.as_deref().unwrap_or_default();
            labelled::ask((critic, who), pairs, &start.labels, &args.out.join(dir), &mut monitor)?;
        }
        bar.finish();
        Ok(())
    }
}

fn plan_of(session: &Session, args: &TrainCritic, start: &Start, pairs: &Pairs) -> Result<CriticPlan> {
    let defaults = Settings {
        epochs: 4,
        batch: 32,
        batch_tokens: 4096,
        learning_rate: if args.base.is_some() { 3e-5 } else { 1e-3 },
        evaluate_every: 200,
        validation: 0.05,
        lora: None,
        ..Settings::default()
    };
    let hash_of = |name: &Option<String>| -> record::Result<Option<String>> {
        name.as_ref().map(|n| session.store.resolve(n)?.weights_hash()).transpose()
    };
    Ok(CriticPlan {
        seed: args.seed,
        device: session.spec()?,
        base_sha256: hash_of(&args.base)?,
        teacher_critic: args.teacher_critic.clone(),
        teacher_critic_sha256: hash_of(&args.teacher_critic)?,
        tokenizer_sha256: sha256(start.tokenizer.to_json()?.as_bytes()),
        data: pairs.hashes.clone(),
        config: entries(&start.config),
        train: settings::fit(&args.train, defaults),
    })
}

/// Trains a critic, or resumes an interrupted training.
///
/// # Errors
/// Errors of reading pairs, models and folders; [`Error::Input`] without held-out pairs; [`Error::Interrupted`] after
/// Ctrl-C, with a checkpoint saved.
pub fn run(session: &Session, args: &TrainCritic) -> Result<()> {
    output::check(&args.out, Kind::Critic)?;
    let compute = session.compute()?;
    let start = Start::open(session, args, &compute)?;
    let mut pairs = Pairs::read(args, &start.labels)?;
    let plan = plan_of(session, args, &start, &pairs)?;
    let plan_file = args.out.join(PLAN);
    plan::check(&plan_file, &plan, &plan.train)?;
    let begin = || -> record::Result<(Lock, String)> {
        let lock = output::claim(&args.out, Kind::Critic)?;
        Ok((lock, plan::begin(&plan_file, &plan, &plan.train)?))
    };
    // Labels are saved while they are being made.
    let mut begun = None;
    if let Some(critic) = pairs.teacher(session, args, &plan)? {
        begun = Some(begin()?);
        pairs.label(session, args, (&start, &plan), &critic)?;
    }
    let train = read_pairs(pairs.train, &start.tokenizer, start.longest)?;
    let test = read_pairs(pairs.test, &start.tokenizer, start.longest)?;
    let parameters = Parameters::read(&start.weights, None, args.seed, &compute.device)?;
    let objective = Classification::new(start.config.clone())?;
    let examples: Vec<PairExample> = train.iter().map(|(_, e)| e.clone()).collect();
    let mut trainer = Trainer::new(objective, parameters, plan.train.clone(), examples, args.seed)?;
    let (learned, held_out) = trainer.sizes();
    if held_out == 0 {
        let expected =
            "pairs that are held out, to measure on: --validation above 0, and pairs of two premises or contexts";
        return Err(Error::input("--validation", expected, "none").into());
    }
    // Without labels nothing has been written up to here, so that a failing request leaves nothing behind.
    let (_lock, hash) = match begun {
        Some(begun) => begun,
        None => begin()?,
    };
    let count = trainer.parameters.count().0;
    if !session.quiet {
        note!("{:.2} million parameters; {learned} pairs, {held_out} held out.", count as f64 / 1e6);
    }
    let metrics = folder::train(session, &Folder::new(&args.out, &hash), &mut trainer, |_, _| Ok(()))?;
    let done = Done {
        model: args.out.join("model"),
        parameters: count,
        steps: metrics.last().map_or(0, |l| l.step),
        pairs: learned,
        ..calibrated(&trainer, train, &test, &start)?
    };
    write_file(&args.out.join("measured.json"), &serde_json::to_vec_pretty(&done)?)?;
    write_file(&args.out.join("report.html"), page(&done, &metrics).as_bytes())?;
    if !kept(&args.out) {
        write(&trainer, &done, &start, &plan)?;
    }
    Manifest::write(&args.out, Kind::Critic)?;
    session.say(&done, || told(&done, &args.out))
}

/// Fits the temperature on half of the held-out groups and measures the critic on the other half.
fn calibrated(trainer: &Trainer<Classification>, train: Vec<Read>, test: &[Read], start: &Start) -> Result<Done> {
    let groups: BTreeSet<u64> = trainer.held_out().iter().map(|e| e.group).collect();
    let fitted: BTreeSet<u64> = groups.iter().copied().skip(1).step_by(2).collect();
    let held = train.into_iter().filter(|(_, e)| groups.contains(&e.group));
    let (fit, measured): (Vec<_>, Vec<_>) = held.partition(|(_, e)| fitted.contains(&e.group));
    let labels = start.labels.len();
    let t = temperature(&read(trainer, &fit)?, &targets(&fit), labels);
    let measure = |rows: &[Read], t: f64| -> Result<Measured> {
        Ok(measure(&read(trainer, rows)?, rows, (labels, start.entailment), t))
    };
    Ok(Done {
        model: PathBuf::new(),
        parameters: 0,
        steps: 0,
        pairs: 0,
        temperature: t,
        error_before: measure(&measured, 1.0)?.reliability.error,
        held_out: measure(&measured, t)?,
        test: if test.is_empty() { None } else { Some(measure(test, t)?) },
    })
}

/// Saves the model, with its final projection divided by the temperature.
fn write(trainer: &Trainer<Classification>, done: &Done, start: &Start, plan: &CriticPlan) -> Result<()> {
    let mut weights = wait(trainer.parameters.merged())?;
    for name in PairClassifier::head(&start.config)? {
        if let Some((_, values)) = weights.get_mut(name) {
            values.iter_mut().for_each(|v| *v = (f64::from(*v) / done.temperature) as f32);
        }
    }
    let pad = PairClassifier::pad_of(&start.config)?;
    let mut model = Trained::new(&start.config, &start.tokenizer, (None, Some(pad)), weights)?;
    model.card = card(done, plan);
    Ok(save(&done.model, &model, Layout::default())?)
}

fn hashes(args: &TrainCritic, siblings: &[LabelledPair]) -> Result<BTreeMap<String, String>> {
    let mut data = BTreeMap::new();
    let name = |p: &Path| p.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    for (i, file) in args.pairs.iter().enumerate() {
        data.insert(format!("{i}/{}", name(file)), hash_file(file)?.1);
    }
    if !siblings.is_empty() {
        // The pairs are hashed rather than the runs, because a run may have grown since.
        let texts: Vec<[&str; 2]> = siblings.iter().map(|p| [p.premise.as_str(), p.hypothesis.as_str()]).collect();
        let names: Vec<String> = args.siblings.iter().map(|run| name(run)).collect();
        data.insert(format!("siblings/{}", names.join(" ")), sha256(&serde_json::to_vec(&texts)?));
    }
    Ok(data)
}

/// A pair and its training example.
type Read = (LabelledPair, PairExample);

/// Training examples of the pairs that have a target and are not too long; reports how many are left out.
fn read_pairs(pairs: Vec<LabelledPair>, tokenizer: &Tokenizer, longest: usize) -> record::Result<Vec<Read>> {
    let (mut out, mut unknown, mut long) = (Vec::new(), 0, 0);
    let all = pairs.len();
    for pair in pairs {
        let (ids, types) = tokenizer.encode_pair(&pair.premise, &pair.hypothesis)?;
        let Some(target) = pair.target.clone() else {
            unknown += 1;
            continue;
        };
        if ids.len() > longest {
            long += 1;
            continue;
        }
        out.push((pair, PairExample { group: 0, ids, types, target }));
    }
    for (pair, example) in &mut out {
        example.group = pair.group;
    }
    if unknown + long > 0 {
        note!(
            "Left out: {long} pairs of more than the critic's {longest} tokens, {unknown} pairs that the teacher critic could not score."
        );
    }
    if out.is_empty() && all > 0 {
        let found = format!("{long} that are longer, {unknown} without a label");
        return Err(Error::input("the pairs", format!("pairs of at most {longest} tokens"), found));
    }
    Ok(out)
}

fn targets(rows: &[Read]) -> Vec<f32> {
    rows.iter().flat_map(|(_, e)| e.target.iter().copied()).collect()
}

/// Logits of the labels for each pair, in order.
fn read(trainer: &Trainer<Classification>, rows: &[Read]) -> record::Result<Vec<f32>> {
    const TOGETHER: usize = 64;
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&i| rows[i].1.ids.len());
    let labels = rows.first().map_or(0, |r| r.1.target.len());
    let mut out = vec![0.0; rows.len() * labels];
    for part in order.chunks(TOGETHER) {
        let examples: Vec<&PairExample> = part.iter().map(|&i| &rows[i].1).collect();
        let batch = trainer.objective.batch(&examples, 0)?;
        let logits = wait(trainer.objective.logits(&trainer.parameters, &batch, gradient::Precision::F32))?;
        for (&i, row) in part.iter().zip(logits.chunks(labels)) {
            out[i * labels..(i + 1) * labels].copy_from_slice(row);
        }
    }
    Ok(out)
}

fn measure(logits: &[f32], pairs: &[Read], (labels, label): (usize, usize), temperature: f64) -> Measured {
    let (p, target) = (probabilities(logits, labels, temperature), targets(pairs));
    let likeliest = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]).then(b.cmp(&a)));
    let rows = pairs.len();
    let theirs: Vec<Option<usize>> = target.chunks(labels).map(likeliest).collect();
    let same = p.chunks(labels).map(likeliest).zip(&theirs).filter(|(a, b)| a == *b).count();
    let commonest = (0..labels).map(|l| theirs.iter().filter(|t| **t == Some(l)).count()).max().unwrap_or(0);
    let of = |values: &[f32]| -> Vec<f32> { values.chunks(labels).map(|row| row[label]).collect() };
    let (said, so) = (of(&p), of(&target));
    let both = labelled::both_ways(pairs.iter().map(|(p, _)| (p.premise.as_str(), p.hypothesis.as_str())));
    let least = |values: &[f32]| -> Vec<f32> { both.iter().map(|&(x, y)| values[x].min(values[y])).collect() };
    let truth = |values: &[f32]| -> Vec<bool> { values.iter().map(|v| *v >= 0.5).collect() };
    Measured {
        pairs: rows,
        cross_entropy: cross_entropy(logits, &target, labels, temperature),
        agreement: same as f64 / rows.max(1) as f64,
        commonest: commonest as f64 / rows.max(1) as f64,
        entailment: at_thresholds(&said, &truth(&so), &THRESHOLDS),
        pairs_both_ways: both.len(),
        both_ways: at_thresholds(&least(&said), &truth(&least(&so)), &THRESHOLDS),
        reliability: reliability(&said, &so),
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), |s| format!("{:.1}", 100.0 * s))
}

fn told(done: &Done, out: &Path) -> String {
    let mut text = format!(
        "{:.2} million parameters, {} steps over {} pairs; temperature {:.2} (calibration error {:.3} before, {:.3} after).\n",
        done.parameters as f64 / 1e6,
        done.steps,
        done.pairs,
        done.temperature,
        done.error_before,
        done.held_out.reliability.error
    );
    for (name, m) in [("held out", Some(&done.held_out)), ("test", done.test.as_ref())] {
        let Some(m) = m else { continue };
        let _ = writeln!(
            text,
            "{name}: {} pairs, agreement {:.1} % (always the most common label: {:.1} %)",
            m.pairs,
            100.0 * m.agreement,
            100.0 * m.commonest
        );
        for (what, rows) in [("entailed", &m.entailment), ("entailed both ways", &m.both_ways)] {
            for row in rows.iter().filter(|r| r.found > 0) {
                let _ = writeln!(
                    text,
                    "  {what} at {:.2}: {} pairs, precision {} %, recall {} %",
                    row.threshold,
                    row.found,
                    percent(row.precision),
                    percent(row.recall)
                );
            }
        }
    }
    text + &format!("  {}\n  {}", done.model.display(), out.join("report.html").display())
}

/// Reliability diagram, with a table of its values.
fn reliability_figure(m: &Measured) -> String {
    const SIDE: f64 = 260.0;
    const LEFT: f64 = 40.0;
    let x = |p: f64| LEFT + SIDE * p;
    let y = |p: f64| 10.0 + SIDE * (1.0 - p);
    let most = m.reliability.bins.iter().map(|b| b.rows).max().unwrap_or(1).max(1) as f64;
    let (mut dots, mut rows) = (String::new(), String::new());
    for (i, b) in m.reliability.bins.iter().enumerate().filter(|(_, b)| b.rows > 0) {
        let radius = 3.0 + 9.0 * (b.rows as f64 / most).sqrt();
        let _ = write!(
            dots,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\" class=\"held\"/>",
            x(b.said),
            y(b.true_share)
        );
        let _ = write!(
            rows,
            "<tr><td>{:.1} to {:.1}</td><td>{}</td><td>{:.3}</td><td>{:.3}</td></tr>",
            i as f64 / 10.0,
            (i + 1) as f64 / 10.0,
            b.rows,
            b.said,
            b.true_share
        );
    }
    format!(
        "<h2>Reliability on held-out pairs</h2>\n<p>On the line predicted and observed shares are equal. Larger points \
         have more pairs. Calibration error {:.3}.</p>\n<svg viewBox=\"0 0 320 310\" role=\"img\"><title>Probability of entailment, \
         predicted and observed</title><desc>The numbers are in the table.</desc><line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" \
         class=\"grid\"/>{dots}<text x=\"{LEFT}\" y=\"{}\">0</text><text x=\"{}\" y=\"{}\" text-anchor=\"end\">predicted: 1</text>\
         <text x=\"{}\" y=\"18\" text-anchor=\"end\">observed: 1</text></svg>\n<div class=\"scroll\"><table><thead><tr>\
         <th scope=\"col\">predicted</th><th scope=\"col\">pairs</th><th scope=\"col\">mean</th><th scope=\"col\">observed</th></tr>\
         </thead><tbody>{rows}</tbody></table></div>\n",
        m.reliability.error,
        x(0.0),
        y(0.0),
        x(1.0),
        y(1.0),
        y(0.0) + 18.0,
        x(1.0),
        y(0.0) + 18.0,
        LEFT + 60.0,
    )
}

fn page(done: &Done, metrics: &[Line]) -> String {
    let facts = format!("<pre>{}</pre>\n", escape(&told(done, Path::new("."))));
    curve::page_with("A critic", "pair", metrics, [&facts, &reliability_figure(&done.held_out)])
}

fn card(done: &Done, plan: &CriticPlan) -> String {
    let from = plan.teacher_critic.as_ref().map_or_else(String::new, |name| {
        let name = Path::new(name).file_name().map_or_else(|| name.clone(), |n| n.to_string_lossy().into_owned());
        format!(" Pairs without a label were trained on the probabilities of {name}.")
    });
    let files: Vec<&str> = plan.data.keys().filter_map(|k| k.split_once('/')).map(|(_, name)| name).collect();
    format!(
        "---\nlibrary_name: transformers\npipeline_tag: text-classification\ntags:\n- natural-language-inference\n- impossible-distillation\n---\n\n# An entailment critic of one domain\n\n{:.2} million parameters, trained on {} pairs from {}.{from} Seed {}. On {} held-out pairs it agrees with {:.1} % of the labels (the most common label alone: {:.1} %); its probabilities are calibrated (temperature {:.2}, error {:.3}).\n\n## Limits\n\nIt was trained on pairs like these only. Do not use it for other texts.\n\n## Licence\n\nThe licence depends on those of the pairs and of the critic that labelled them, which this tool cannot know. State it here before you publish the model.\n",
        done.parameters as f64 / 1e6,
        done.pairs,
        files.join(", "),
        plan.seed,
        done.held_out.pairs,
        100.0 * done.held_out.agreement,
        100.0 * done.held_out.commonest,
        done.temperature,
        done.held_out.reliability.error,
    )
}

//! `impossible paraphrase` and `impossible summarize`: a student at work on a user's texts, judged by the critics.

use std::io::{IsTerminal, Read, Write};
use std::path::Path;

use anyhow::Result;
use impossible_core::Error;
use impossible_core::critic::{Panel, SentenceEncoder};
use impossible_core::decode::Teacher;
use impossible_core::decode::sample::SampleOptions;
use impossible_core::decode::siblings::Limits;
use impossible_core::device::DeviceSpec;
use impossible_core::event::{Event, Stage};
use impossible_core::plan::Plan;
use impossible_core::record::Task;
use impossible_core::student::Version;
use impossible_core::student::rewrite::{Beams, Options, judge, versions};
use impossible_core::student::{Format, format};
use impossible_core::text::sentence;
use serde::Serialize;

use super::export::{model_folder, read_format};
use super::{Session, distill, wait};
use crate::args::{PresetName, Rewrite};
use crate::progress::{Progress, stop_flag};
use crate::run::jsonl::read_seeds;
use crate::run::read_plan;
use crate::{models, plans};

/// Most sentences rewritten together; the first are few, so that the first answer comes soon.
const TOGETHER: usize = 32;

/// A version of a sentence, as printed.
#[derive(Debug, Clone, Serialize)]
struct Candidate {
    text: String,
    kept: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    refused_by: String,
    forward: Option<f32>,
    backward: Option<f32>,
    cosine: Option<f32>,
    rouge_l: f32,
    length_ratio: f32,
}

/// A sentence and its versions, best first. Without one it stays as it is.
#[derive(Debug, Clone, Serialize)]
struct Sentence {
    text: String,
    /// Longer than the student reads.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    too_long: bool,
    candidates: Vec<Candidate>,
}

/// A text: `outputs[i]` joins the i-th best version of every sentence.
#[derive(Debug, Clone, Serialize)]
struct Output {
    text: String,
    /// The best one, or the text itself where there is none: what `evaluate --system` reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    paraphrase: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    outputs: Vec<String>,
    sentences: Vec<Sentence>,
}

fn sampling(args: &Rewrite) -> (SampleOptions, u32) {
    let (options, samples) = args.style.sampling();
    let options = SampleOptions {
        temperature: args.temperature.unwrap_or(options.temperature),
        top_p: args.top_p.unwrap_or(options.top_p),
        top_k: args.top_k.unwrap_or(options.top_k),
        min_p: args.min_p.unwrap_or(options.min_p),
        typical_p: args.typical_p.unwrap_or(options.typical_p),
        repetition_penalty: args.repetition_penalty.unwrap_or(options.repetition_penalty),
        no_repeat_ngram: args.no_repeat_ngram,
        ..options
    };
    (options, args.samples.unwrap_or(samples))
}

/// The texts: arguments, a file, or stdin.
fn texts(args: &Rewrite) -> Result<Vec<String>> {
    if !args.text.is_empty() && args.file.is_some() {
        return Err(Error::input("the texts", "arguments or --file", "both").into());
    }
    let mut texts = args.text.clone();
    if let Some(file) = &args.file {
        texts = read_seeds(file, args.field.as_deref())?.into_iter().map(|s| s.text).collect();
    } else if texts.is_empty() {
        let mut text = String::new();
        std::io::stdin().take(64 << 20).read_to_string(&mut text)?;
        texts = text.lines().map(str::to_owned).collect();
    }
    texts.retain(|t| !t.trim().is_empty());
    if texts.is_empty() {
        return Err(Error::input("the texts", "at least one sentence", "none").into());
    }
    Ok(texts)
}

pub(super) fn run(session: &Session, args: &Rewrite, task: Task) -> Result<()> {
    let texts = texts(args)?;
    let range = |ok: bool, name: &str, expected: &str, found: String| {
        if ok { Ok(()) } else { Err(Error::input(name, expected, found)) }
    };
    range((1..=100).contains(&args.num), "--num", "1 to 100", args.num.to_string())?;
    range(args.length > 0.0 && args.length <= 1.0, "--length", "above 0, at most 1", args.length.to_string())?;
    let (sampling, samples) = sampling(args);
    range((1..=1000).contains(&samples), "--samples", "1 to 1000", samples.to_string())?;
    range((1..=1024).contains(&args.max_tokens), "--max-tokens", "1 to 1024", args.max_tokens.to_string())?;
    let plan = plan_of(&args.student)?;
    let (mut paraphrase, mut summary) = args.style.thresholds(plan.paraphrase.clone(), plan.summary.clone());
    plans::apply_thresholds(&args.thresholds, &mut paraphrase, &mut summary);
    if let Some(min) = args.min_entailment {
        (paraphrase.entailment_min, summary.entailment_min) = (min, min);
    }
    paraphrase.validate()?;
    summary.validate()?;
    let panel = Panel::new(&paraphrase, &summary);

    let compute = session.compute()?;
    let (student, format) = open_student(session, &args.student, args.format.as_deref(), &compute)?;
    format.check(task)?;
    let critic = args.critic.as_deref().unwrap_or(&plan.models.critic);
    let mut entailment = models::entailment(&session.store, critic, &compute)?;
    let stop = stop_flag()?;
    distill::watch(&mut entailment, stop.clone());
    let small = || plans::preset_plan(PresetName::Small, compute.spec).models.encoder;
    let encoder = args.encoder.clone().unwrap_or_else(|| plan.models.encoder.clone());
    let encoder = if encoder.is_empty() { small() } else { encoder };
    let mut encoder =
        if panel.needs_encoder() { Some(models::encoder(&session.store, &encoder, &compute)?) } else { None };
    let batch = if compute.is_host() { 96 } else { 256 };
    let options = Options {
        task,
        length: args.length,
        samples,
        sampling,
        limits: Limits { batch, max_tokens: args.max_tokens },
        beams: args
            .beams
            .then_some(Beams { length_penalty: args.length_penalty, diversity_penalty: args.diversity_penalty }),
        seed: args.seed,
    };
    let parts: Vec<Vec<&str>> = texts.iter().map(|t| sentence::split(t)).collect();
    let sources: Vec<(u64, &str)> = (0..).zip(parts.iter().flatten().copied()).collect();
    let total = sources.len() as u64;
    // A bar would wipe out the line that a sentence has just been added to.
    let quiet =
        session.quiet || sources.len() < TOGETHER || (at_once(session, args) && std::io::stdout().is_terminal());
    let mut progress = Progress::of("sentences", total, 0, quiet, stop);
    let mut event = Event { stage: Stage::Siblings, done: 0, total, tokens: 0, pairs: 0, kept: 0 };
    let mut printer = Printer { session, args, task, texts: &texts, parts: &parts, text: 0, ready: Vec::new() };
    let (mut rest, mut together) = (&sources[..], 2);
    while !rest.is_empty() {
        let (group, later) = rest.split_at(together.min(rest.len()));
        // A sentence that is longer than the student reads stays as it is.
        let fits = |text: &str| student.prompt(&format.prompt(task, text, args.length), args.max_tokens).is_ok();
        let readable: Vec<(u64, &str)> = group.iter().copied().filter(|(_, t)| fits(t)).collect();
        let drawn = wait(versions(&student, &format, &readable, &options, &mut event, &mut progress))?;
        let encoder = encoder.as_mut().map(|e| e as &mut dyn SentenceEncoder);
        let judged = wait(judge(&panel, task, &readable, drawn, encoder, &mut entailment))?;
        for &(n, text) in group {
            let mine = judged.iter().filter(|v| v.scored.context == n).cloned().collect();
            printer.take(Sentence { too_long: !fits(text), ..chosen(text, mine, args) })?;
        }
        event.done += group.len() as u64;
        (rest, together) = (later, (together * 2).min(TOGETHER));
    }
    progress.finish();
    Ok(())
}

/// Puts sentences together again, and prints: each text when it is whole, or, where a line is nothing but the best
/// version, each sentence when it is there.
struct Printer<'a> {
    session: &'a Session,
    args: &'a Rewrite,
    task: Task,
    texts: &'a [String],
    parts: &'a [Vec<&'a str>],
    /// The text at work, and its sentences so far.
    text: usize,
    ready: Vec<Sentence>,
}

impl Printer<'_> {
    fn take(&mut self, sentence: Sentence) -> Result<()> {
        let at_once = at_once(self.session, self.args);
        if at_once {
            let best = sentence.candidates.first().map_or(&sentence.text, |c| &c.text);
            let mut out = std::io::stdout().lock();
            write!(out, "{}{best}", if self.ready.is_empty() { "" } else { " " })?;
            out.flush()?;
        }
        self.ready.push(sentence);
        if self.ready.len() == self.parts[self.text].len() {
            let ready = std::mem::take(&mut self.ready);
            if at_once {
                let same = ready.iter().all(|s| s.candidates.is_empty());
                let why = if same { format!("    ({})", why_none(&ready)) } else { String::new() };
                writeln!(std::io::stdout(), "{why}")?;
            } else {
                let output = assemble(&self.texts[self.text], ready, self.args.num, self.task);
                self.session.say(&output, || told(&output, self.args.explain))?;
            }
            self.text += 1;
        }
        Ok(())
    }
}

/// Is a line nothing but the best version?
fn at_once(session: &Session, args: &Rewrite) -> bool {
    !session.json && !args.explain && args.num == 1
}

/// Why a text stays as it is.
fn why_none(sentences: &[Sentence]) -> &'static str {
    if sentences.iter().all(|s| s.too_long) {
        "longer than the student reads"
    } else {
        "no version passed the critics; --all shows them"
    }
}

/// The versions of a sentence that are given, best first, each text once.
fn chosen(text: &str, mut versions: Vec<Version>, args: &Rewrite) -> Sentence {
    versions.sort_by(|a, b| args.style.rank(a, b));
    let mut candidates: Vec<Candidate> = Vec::new();
    for v in versions.into_iter().filter(|v| v.kept() || args.all) {
        if candidates.len() < args.num && candidates.iter().all(|c| c.text != v.text) {
            let s = v.scored;
            candidates.push(Candidate {
                text: v.text,
                kept: s.refused_by.is_empty(),
                refused_by: s.refused_by,
                forward: s.forward,
                backward: s.backward,
                cosine: s.cosine,
                rouge_l: s.rouge_l,
                length_ratio: s.length_ratio,
            });
        }
    }
    Sentence { text: text.to_owned(), too_long: false, candidates }
}

/// Texts out of the versions of their sentences; none where every sentence stays as it is.
fn assemble(text: &str, sentences: Vec<Sentence>, num: usize, task: Task) -> Output {
    let most = sentences.iter().map(|s| s.candidates.len()).max().unwrap_or(0).min(num);
    let version = |s: &Sentence, i: usize| {
        let last = s.candidates.len().saturating_sub(1);
        s.candidates.get(i.min(last)).map_or_else(|| s.text.clone(), |c| c.text.clone())
    };
    let outputs: Vec<String> =
        (0..most).map(|i| sentences.iter().map(|s| version(s, i)).collect::<Vec<_>>().join(" ")).collect();
    let best = || Some(outputs.first().map_or_else(|| text.to_owned(), Clone::clone));
    let (paraphrase, summary) = if task == Task::Paraphrase { (best(), None) } else { (None, best()) };
    Output { text: text.to_owned(), paraphrase, summary, outputs, sentences }
}

fn told(output: &Output, explain: bool) -> String {
    let mut lines: Vec<String> = output.outputs.clone();
    if lines.is_empty() {
        lines.push(format!("{}    ({})", output.text, why_none(&output.sentences)));
    }
    if explain {
        let score = |s: Option<f32>| s.map_or("-".to_owned(), |s| format!("{s:.2}"));
        for sentence in &output.sentences {
            lines.push(format!("  {}", sentence.text));
            lines.extend(sentence.candidates.iter().map(|c| {
                format!(
                    "    {} {}  entailment {} / {}  cosine {}  ROUGE-L {:.2}  length {:.2}",
                    if c.kept { "kept".to_owned() } else { format!("refused by {}:", c.refused_by) },
                    c.text,
                    score(c.forward),
                    score(c.backward),
                    score(c.cosine),
                    c.rouge_l,
                    c.length_ratio
                )
            }));
        }
    }
    lines.join("\n")
}

/// The plan whose critics judge what a student writes: that of its run, else that of a preset.
fn plan_of(student: &Path) -> impossible_core::Result<Plan> {
    let within = |name: &str| student.ancestors().find(|p| p.file_name().is_some_and(|n| n == name));
    if let Some(file) = within("student").and_then(Path::parent).map(|run| run.join("plan.toml"))
        && file.is_file()
    {
        return read_plan(&file);
    }
    let tiny = within("tiny-student").is_some();
    Ok(plans::preset_plan(if tiny { PresetName::Tiny } else { PresetName::Small }, DeviceSpec::Flex))
}

/// The student of a folder or a name, with its own format or that of a file; `refine` uses it too.
pub(super) fn open_student(
    session: &Session,
    folder: &Path,
    format: Option<&Path>,
    compute: &impossible_core::device::Compute,
) -> Result<(Teacher, Format)> {
    let folder = model_folder(folder);
    // A name in the models' folder.
    let known = if folder.exists() { None } else { folder.to_str().and_then(|name| session.store.resolve(name).ok()) };
    let folder = known.unwrap_or(folder);
    let format = read_format(format.unwrap_or(&folder.join(format::FILE)))?;
    let student = Teacher::load(&models::open(&session.store, &folder.display().to_string())?, compute)?;
    Ok((student, format))
}

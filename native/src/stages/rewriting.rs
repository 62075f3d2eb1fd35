//! Rewriting the user's texts with a student, sentence by sentence, judged by the critics.

use std::io::{IsTerminal, Write};
use std::path::Path;

use anyhow::Result;
use lm::decode::TextModel;
use lm::decode::sample::SampleOptions;
use lm::decode::siblings::Limits;
use lm::device::Compute;
use lm::lanes::wait;
use method::student::Format;
use method::student::rewrite::{self, Beams, Options, Rewriter, Rewritten};
use record::plan::Plan;
use record::presets::Role;
use record::{Error, Monitor, Preset, Refusal, Style, Task, Version};
use serde::Serialize;
use serde_json::{Map, Value};
use text::sentence;

use crate::args::{Reword, Rewrite, Writing};
use crate::language;
use crate::models::Place;
use crate::models::student::{judged_by, locate, prompts};
use crate::plans;
use crate::run::jsonl::read_texts;
use crate::session::Session;

/// Most sentences rewritten together; the first groups are smaller, so that results appear soon.
const TOGETHER: usize = 32;

/// A version of a sentence, as printed.
#[derive(Debug, Clone, Serialize)]
struct Candidate {
    text: String,
    kept: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_by: Option<Refusal>,
    forward: Option<f32>,
    backward: Option<f32>,
    cosine: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nll: Option<f32>,
    rouge_l: f32,
    length_ratio: f32,
}

/// A sentence and its versions, best first; without a version the sentence is left unchanged.
#[derive(Debug, Clone, Serialize)]
struct Sentence {
    text: String,
    /// Whether the sentence does not fit the student's positions.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    too_long: bool,
    candidates: Vec<Candidate>,
}

/// A rewritten text; `outputs[i]` joins the i-th best versions of all sentences.
#[derive(Debug, Clone, Serialize)]
struct Output {
    text: String,
    /// The best output, or the text itself without any, in the field that `evaluate --system` expects.
    #[serde(skip_serializing_if = "Option::is_none")]
    paraphrase: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    outputs: Vec<String>,
    sentences: Vec<Sentence>,
    /// The other fields of the row of a .jsonl file, such as an id.
    #[serde(flatten)]
    fields: Map<String, Value>,
}

/// Names of the fields of an [`Output`].
const OWN: [&str; 5] = ["text", "paraphrase", "summary", "outputs", "sentences"];

/// What is asked for, whatever the command.
struct Work<'a> {
    writing: &'a Writing,
    task: Task,
    /// Most versions that are shown of a sentence.
    num: usize,
    style: Style,
    sampling: SampleOptions,
    samples: u32,
    beams: Option<Beams>,
    min_entailment: Option<f32>,
    nll_max: Option<f32>,
}

impl<'a> Work<'a> {
    fn of_student(args: &'a Rewrite, task: Task) -> Self {
        let (options, samples) = rewrite::sampling(args.style);
        let sampling = SampleOptions {
            temperature: args.temperature.unwrap_or(options.temperature),
            top_p: args.top_p.unwrap_or(options.top_p),
            top_k: args.top_k.unwrap_or(options.top_k),
            min_p: args.min_p.unwrap_or(options.min_p),
            typical_p: args.typical_p.unwrap_or(options.typical_p),
            repetition_penalty: args.repetition_penalty.unwrap_or(options.repetition_penalty),
            no_repeat_ngram: args.no_repeat_ngram,
            ..options
        };
        let beams = Beams { length_penalty: args.length_penalty, diversity_penalty: args.diversity_penalty };
        Self {
            writing: &args.writing,
            task,
            num: args.num,
            style: args.style,
            sampling,
            samples: args.samples.unwrap_or(samples),
            beams: args.beams.then_some(beams),
            min_entailment: args.min_entailment,
            nll_max: None,
        }
    }

    fn of_reworder(args: &'a Reword) -> Self {
        let (temperature, top_p) = (args.temperature, args.top_p);
        Self {
            writing: &args.writing,
            task: args.task,
            num: args.candidates as usize,
            style: Style::Balanced,
            sampling: SampleOptions { temperature, top_p, ..rewrite::sampling(Style::Balanced).0 },
            samples: args.candidates,
            beams: None,
            min_entailment: None,
            nll_max: args.nll_max,
        }
    }
}

/// A text with the other fields of its row.
struct Text {
    text: String,
    fields: Map<String, Value>,
}

/// The non-blank texts from the arguments, a file or stdin.
fn texts(args: &Writing) -> Result<Vec<Text>> {
    if !args.text.is_empty() && args.file.is_some() {
        return Err(Error::input("the texts", "arguments or --file", "both").into());
    }
    if !args.text.is_empty() {
        let given = args.text.iter().filter(|text| !text.trim().is_empty());
        let texts: Vec<Text> = given.map(|text| Text { text: text.clone(), fields: Map::new() }).collect();
        let none = || Error::input("the texts", "at least one sentence", "none");
        language::tell("the texts", texts.iter().map(|text| text.text.as_str()));
        return if texts.is_empty() { Err(none().into()) } else { Ok(texts) };
    }
    let read = read_texts(args.file.as_deref().unwrap_or(Path::new("-")), args.field.as_deref())?;
    language::tell("the texts", read.seeds.iter().map(|seed| seed.text.as_str()));
    let with_fields = read.seeds.into_iter().zip(read.fields).map(|(seed, mut fields)| {
        fields.retain(|name, _| !OWN.contains(&name.as_str()));
        Text { text: seed.text, fields }
    });
    Ok(with_fields.collect())
}

/// The options of rewriting, with a check of the flags' ranges.
fn options(work: &Work<'_>, compute: &Compute) -> Result<Options> {
    let Writing { length, max_tokens, seed, .. } = *work.writing;
    let range = |ok: bool, name: &str, expected: &str, found: String| {
        if ok { Ok(()) } else { Err(Error::input(name, expected, found)) }
    };
    range((1..=100).contains(&work.num), "--num", "1 to 100", work.num.to_string())?;
    range(length > 0.0 && length <= 1.0, "--length", "above 0, at most 1", length.to_string())?;
    range((1..=1000).contains(&work.samples), "--samples", "1 to 1000", work.samples.to_string())?;
    range((1..=1024).contains(&max_tokens), "--max-tokens", "1 to 1024", max_tokens.to_string())?;
    let batch = if compute.is_host() { 96 } else { 256 };
    Ok(Options {
        task: work.task,
        length,
        samples: work.samples,
        sampling: work.sampling.clone(),
        limits: Limits { batch, max_tokens },
        beams: work.beams,
        seed,
    })
}

/// The plan for the critics: that of the student or of a preset, modified by flags.
fn plan_of(work: &Work<'_>, student: &Place) -> Result<Plan> {
    let (mut plan, args) = (judged_by(student)?, work.writing);
    (plan.paraphrase, plan.summary) = work.style.thresholds(plan.paraphrase, plan.summary);
    plans::apply_thresholds(&args.thresholds, &mut plan.paraphrase, &mut plan.summary);
    if let Some(min) = work.min_entailment {
        (plan.paraphrase.entailment_min, plan.summary.entailment_min) = (min, min);
    }
    if let Some(most) = work.nll_max {
        if !(most > 0.0 && most <= 100.0) {
            return Err(Error::input("--nll-max", "above 0, at most 100 (no maximum)", most).into());
        }
        plan.paraphrase.nll_max = (most < 100.0).then_some(most);
    }
    plan.paraphrase.validate()?;
    plan.summary.validate()?;
    if let Some(critic) = &args.critic {
        plan.models.critic.clone_from(critic);
    }
    if let Some(encoder) = &args.encoder {
        plan.models.encoder.clone_from(encoder);
    }
    if plan.models.encoder.is_empty() {
        plan.models.encoder = Preset::Small.model(Role::Encoder).to_owned();
    }
    Ok(plan)
}

/// Replaces values by those of a flag, if it was given.
fn given<T: Clone>(values: &mut Vec<T>, flag: &[T]) {
    if !flag.is_empty() {
        *values = flag.to_vec();
    }
}

/// Writes candidates with a reworder and prints those that the critics accept.
///
/// # Errors
/// [`Error::Input`] for a model that is no reworder; as [`run`].
pub fn reword(session: &Session, args: &Reword) -> Result<()> {
    let place = locate(&session.store, &args.model)?;
    let mut format = prompts(&place, None)?;
    let Some(damage) = &mut format.damage else {
        let expected = "a reworder (`impossible train --task reword`)";
        let found = format!("{place}, a student of pairs: use it with `impossible paraphrase --student`");
        return Err(Error::input("--model", expected, found).into());
    };
    damage.content = args.content.unwrap_or(damage.content);
    given(&mut damage.function, &args.function);
    given(&mut damage.noise, &args.noise);
    given(&mut damage.phrase, &args.phrase);
    damage.validate().map_err(|error| match error {
        Error::Input { name, expected, found } => Error::Input { name: name.replace("damage.", "--"), expected, found },
        other => other,
    })?;
    if !(1..=100).contains(&args.candidates) {
        return Err(Error::input("--candidates", "1 to 100", args.candidates).into());
    }
    with(session, &Work::of_reworder(args), (&place, &format))
}

/// Rewrites the texts with a student and prints the results one by one.
///
/// # Errors
/// [`Error::Input`] for flags out of range, no text, or a task that the student was not trained on; errors of the
/// models; [`Error::Interrupted`] when the user asked to stop.
pub fn run(session: &Session, args: &Rewrite, task: Task) -> Result<()> {
    let place = locate(&session.store, &args.student)?;
    let format = prompts(&place, args.format.as_deref())?;
    with(session, &Work::of_student(args, task), (&place, &format))
}

fn with(session: &Session, work: &Work<'_>, (place, format): (&Place, &Format)) -> Result<()> {
    let texts = texts(work.writing)?;
    let compute = session.compute()?;
    let options = options(work, &compute)?;
    format.check(work.task)?;
    let plan = plan_of(work, place)?;
    let student = TextModel::load(&place.open()?, &compute)?;
    let mut critics = session.critics(&plan, &compute)?;
    let parts: Vec<Vec<&str>> = texts.iter().map(|t| sentence::split(&t.text)).collect();
    let sources: Vec<(u64, &str)> = (0..).zip(parts.iter().flatten().copied()).collect();
    let total = sources.len() as u64;
    // On a terminal a bar would erase the line to which sentences are being added.
    let quiet =
        session.quiet || sources.len() < TOGETHER || (at_once(session, work) && std::io::stdout().is_terminal());
    let mut bar = crate::progress::Bar::new("sentences", 0, total, quiet, session.stop()?);
    let mut monitor = Monitor::new(&mut bar, 0, total);
    let mut printer = Printer { session, work, texts: &texts, parts: &parts, text: 0, ready: Vec::new() };
    let (mut rest, mut together) = (&sources[..], 2);
    while !rest.is_empty() {
        let (group, later) = rest.split_at(together.min(rest.len()));
        let mut rewriter = Rewriter { student: &student, format, critics: &mut critics };
        for rewritten in wait(rewriter.rewrite(group, &options, &mut monitor))? {
            printer.take(chosen(rewritten, work))?;
        }
        monitor.count(group.len() as u64);
        (rest, together) = (later, (together * 2).min(TOGETHER));
    }
    bar.finish();
    printer.unchanged()?;
    Ok(())
}

/// Assembles texts from their sentences and prints them. A text is printed when it is complete, but if only the best
/// version is printed, sentences are printed as soon as they are ready.
struct Printer<'a> {
    session: &'a Session,
    work: &'a Work<'a>,
    texts: &'a [Text],
    parts: &'a [Vec<&'a str>],
    /// Index of the current text; `ready` holds its sentences so far.
    text: usize,
    ready: Vec<Sentence>,
}

impl Printer<'_> {
    /// Prints the next texts as they are, as long as they have no sentences.
    fn unchanged(&mut self) -> Result<()> {
        while self.parts.get(self.text).is_some_and(Vec::is_empty) {
            let text = &self.texts[self.text];
            let output = assemble(text, Vec::new(), self.work);
            self.session.say(&output, || text.text.clone())?;
            self.text += 1;
        }
        Ok(())
    }

    fn take(&mut self, sentence: Sentence) -> Result<()> {
        self.unchanged()?;
        let at_once = at_once(self.session, self.work);
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
                let output = assemble(&self.texts[self.text], ready, self.work);
                self.session.say(&output, || told(&output, self.work.writing.explain))?;
            }
            self.text += 1;
        }
        Ok(())
    }
}

/// Whether only the best version is printed, so that sentences can be printed one by one.
fn at_once(session: &Session, work: &Work<'_>) -> bool {
    !session.json && !work.writing.explain && work.num == 1
}

/// Why a text is unchanged.
fn why_none(sentences: &[Sentence]) -> &'static str {
    if sentences.iter().all(|s| s.too_long) {
        "too long for the student"
    } else {
        "no version passed the critics; --all shows them"
    }
}

/// The versions of a sentence that are printed, best first, without repeated texts.
fn chosen(rewritten: Rewritten, work: &Work<'_>) -> Sentence {
    let shown = |version: &&Version| version.kept() || work.writing.all;
    let given = rewritten.ranked(work.style).into_iter().filter(shown).take(work.num);
    let candidates = given.map(|v| {
        let s = &v.scored;
        Candidate {
            text: v.text.clone(),
            kept: s.kept(),
            refused_by: s.refused_by,
            forward: s.forward,
            backward: s.backward,
            cosine: s.cosine,
            nll: s.nll,
            rouge_l: s.rouge_l,
            length_ratio: s.length_ratio,
        }
    });
    Sentence { candidates: candidates.collect(), text: rewritten.text, too_long: rewritten.too_long }
}

/// Joins the versions of a text's sentences; there are no outputs if every sentence is unchanged.
fn assemble(text: &Text, sentences: Vec<Sentence>, work: &Work<'_>) -> Output {
    let Text { text, fields } = text;
    let most = sentences.iter().map(|s| s.candidates.len()).max().unwrap_or(0).min(work.num);
    let version = |s: &Sentence, i: usize| {
        let last = s.candidates.len().saturating_sub(1);
        s.candidates.get(i.min(last)).map_or_else(|| s.text.clone(), |c| c.text.clone())
    };
    let outputs: Vec<String> =
        (0..most).map(|i| sentences.iter().map(|s| version(s, i)).collect::<Vec<_>>().join(" ")).collect();
    let best = || Some(outputs.first().unwrap_or(text).clone());
    let (paraphrase, summary) = if work.task == Task::Paraphrase { (best(), None) } else { (None, best()) };
    Output { text: text.clone(), paraphrase, summary, outputs, sentences, fields: fields.clone() }
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
                    "    {} {}  entailment {} / {}  cosine {}{}  ROUGE-L {:.2}  length {:.2}",
                    if c.kept {
                        "kept".to_owned()
                    } else {
                        format!("refused by {}:", c.refused_by.map_or("", Refusal::name))
                    },
                    c.text,
                    score(c.forward),
                    score(c.backward),
                    score(c.cosine),
                    c.nll.map_or_else(String::new, |nll| format!("  nll {nll:.2}")),
                    c.rouge_l,
                    c.length_ratio
                )
            }));
        }
    }
    lines.join("\n")
}

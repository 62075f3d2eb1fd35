//! Trains the student on the pairs that are kept, and packs it.

use std::io::{Cursor, Write};

use burn::tensor::DType;
use impossible_core::critic::Panel;
use impossible_core::decode::Teacher;
use impossible_core::decode::siblings::Limits;
use impossible_core::model::LanguageModel;
use impossible_core::model::loader::Source;
use impossible_core::model::save::{Model, Precision, save};
use impossible_core::record::{Kept, Sample, Task};
use impossible_core::student::Style;
use impossible_core::student::examples::{balanced, examples};
use impossible_core::student::format;
use impossible_core::student::rewrite::{Options, judge, versions};
use impossible_core::train::Parameters;
use impossible_core::train::objective::Likelihood;
use impossible_core::train::trainer::{Settings, Trainer};
use impossible_core::{Error, Result};
use js_sys::{Array, Uint8Array};
use web_sys::{Blob, Url};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::desk::{Desk, Writing, event};
use super::distill::{Distilled, Shared};
use super::models::Models;
use protocol::{Look, Response, Training};

/// Sentences that are looked at before and after each epoch.
const LOOKS: usize = 4;

/// Versions of each.
const SAMPLES: u32 = 6;

/// Length that summaries are asked for.
const LENGTH: f32 = 0.6;

/// A training, begun or finished.
pub(super) struct Lesson {
    trainer: Trainer<Likelihood>,
    /// What it learns from: other pairs are another training.
    pairs: Vec<(String, String)>,
    unseen: Vec<String>,
    /// The epoch before which it was looked at last.
    looked: Option<u64>,
    /// What it writes on the way is judged by.
    panel: Panel,
    seed: u64,
}

/// The student as it is at this step.
fn student(models: &Models, lesson: &Lesson) -> Result<Teacher> {
    let live = lesson.trainer.parameters.live(false, DType::F32);
    let lm = LanguageModel::build(&models.folder.config, Source::Live(&live), &models.compute.device)?;
    Teacher::new(&models.folder.config, lm, models.folder.tokenizer()?.clone(), &models.compute)
}

fn begin(models: &Models, distilled: &Distilled, kept: &[Kept], epochs: u64) -> Result<Lesson> {
    let tokenizer = models.folder.tokenizer()?;
    let shape = models.student.lm.shape();
    let eos = *shape.eos.first().ok_or_else(|| Error::input("the student", "an end-of-text token", "none"))?;
    let made = balanced(examples(&models.format, kept, tokenizer, (eos, shape.start.is_some()), shape.positions)?);
    // A model of this size is trained whole.
    let settings = Settings {
        epochs,
        batch: 16,
        batch_tokens: 2048,
        learning_rate: 5e-4,
        evaluate_every: u64::MAX,
        lora: None,
        ..Settings::default()
    };
    let seed = distilled.plan.seed;
    let parameters = Parameters::read(&models.folder.tensors, None, seed, &models.compute.device)?;
    let objective = Likelihood::new(models.folder.config.clone())?;
    let trainer = Trainer::new(objective, parameters, settings, made.examples, seed)?;
    let panel = Panel::new(&distilled.thresholds.paraphrase, &distilled.thresholds.summary);
    Ok(Lesson { trainer, pairs: pairs(kept), unseen: distilled.unseen(kept, LOOKS), looked: None, panel, seed })
}

fn pairs(kept: &[Kept]) -> Vec<(String, String)> {
    kept.iter().map(|k| (k.text.clone(), k.target.clone())).collect()
}

/// The training of the pairs that are kept now: the one that was stopped, or a new one.
pub(super) fn lesson(models: &Models, shared: &Shared, before: Option<Lesson>, epochs: u64) -> Result<Lesson> {
    let slot = shared.borrow();
    let distilled = slot.as_ref().ok_or_else(|| Error::input("training", "pairs of a distillation", "none"))?;
    let kept = distilled.filter()?.kept;
    if kept.is_empty() {
        return Err(Error::input("training", "at least one kept pair", "none; loosen the thresholds"));
    }
    match before.filter(|lesson| !lesson.trainer.finished() && lesson.pairs == pairs(&kept)) {
        Some(lesson) => Ok(lesson),
        None => begin(models, distilled, &kept, epochs.clamp(1, 50)),
    }
}

/// Trains to the end.
pub(super) async fn train(desk: &Desk, models: &mut Models, lesson: &mut Lesson) -> Result<()> {
    let said = |lesson: &Lesson| Training {
        run: desk.run(),
        step: lesson.trainer.state.step,
        total: lesson.trainer.total(),
        epoch: lesson.trainer.state.epoch,
        seconds: desk.seconds(),
        ..Training::default()
    };
    while !lesson.trainer.finished() {
        let epoch = lesson.trainer.state.epoch;
        if lesson.looked != Some(epoch) {
            let looks = look(desk, models, lesson).await?;
            lesson.looked = Some(epoch);
            desk.say(Response::Training(Training { looks, ..said(lesson) }));
        }
        desk.listen().await;
        if desk.stopped() {
            return Err(Error::Interrupted);
        }
        let report = lesson.trainer.step().await?;
        let mut line = Training { loss: Some(report.loss as f32), ..said(lesson) };
        if lesson.trainer.state.epoch != epoch {
            line.validation = lesson.trainer.validate().await?;
        }
        desk.say(Response::Training(line));
    }
    models.trained = Some(student(models, lesson)?);
    match look(desk, models, lesson).await {
        // It is trained all the same.
        Err(Error::Interrupted) => {}
        looks => desk.say(Response::Training(Training { looks: looks?, ..said(lesson) })),
    }
    Ok(())
}

/// What the student makes of a few sentences that it has not learned from.
async fn look(desk: &Desk, models: &mut Models, lesson: &Lesson) -> Result<Vec<Look>> {
    let student = student(models, lesson)?;
    let sources: Vec<(u64, &str)> = (0..).zip(lesson.unseen.iter().map(String::as_str)).collect();
    let mut looks = Vec::new();
    for task in Task::ALL {
        let options = Options {
            task,
            length: LENGTH,
            samples: SAMPLES,
            sampling: Style::Balanced.sampling().0,
            beams: None,
            limits: Limits { batch: LOOKS * SAMPLES as usize, max_tokens: 60 },
            seed: lesson.seed,
        };
        let mut observer = Writing { desk: desk.clone(), rows: |_: &[Sample]| {} };
        let drawn = versions(&student, &models.format, &sources, &options, &mut event(), &mut observer).await?;
        let mut judged = judge(&lesson.panel, task, &sources, drawn, None, &mut models.critic).await?;
        judged.sort_by(|a, b| Style::Balanced.rank(a, b));
        for (i, (_, source)) in sources.iter().enumerate() {
            if let Some(best) = judged.iter().find(|v| v.source == i) {
                let (source, version) = ((*source).to_owned(), best.text.clone());
                looks.push(Look { task, source, version, kept: best.kept() });
            }
        }
    }
    Ok(looks)
}

/// The trained student as a Hub-layout folder in a zip, for download.
pub(super) async fn export(desk: &Desk, models: &Models, lesson: &Lesson) -> Result<()> {
    let folder = &models.folder;
    let weights = lesson.trainer.parameters.merged().await?;
    let tokenizer = folder.tokenizer()?;
    let text = tokenizer.to_json()?;
    let eos = models.student.lm.shape().eos.first().copied().unwrap_or_default();
    let token = tokenizer.token(eos).unwrap_or_default();
    let pad = folder.config.get("pad_token_id").and_then(serde_json::Value::as_u64);
    let pad = pad.and_then(|id| u32::try_from(id).ok()).and_then(|id| tokenizer.token(id));
    let task_format = models.format.to_bytes()?;
    let card = format!(
        "---\nlibrary_name: transformers\npipeline_tag: text2text-generation\ntags:\n- paraphrase\n- summarization\n- impossible-distillation\n---\n\n# A student of Impossible Distillation, trained in a browser\n\n{} steps over {} pairs that a language model wrote and a critic kept in this browser. A demonstration: where the site's own tiny models were used, they have only seen the newswire of 1987, and their critic errs.\n",
        lesson.trainer.state.step,
        lesson.pairs.len(),
    );
    let model = Model {
        config: &folder.config,
        tokenizer: text.as_bytes(),
        eos: Some((eos, &token)),
        pad: pad.as_deref(),
        format: Some((format::FILE, &task_format)),
        weights: &weights,
        precision: Precision::F32,
        shard: None,
        card: &card,
    };
    let failed = |e: String| Error::broken("the zip", e);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    save("the trained student", &model, &mut |name, bytes| {
        zip.start_file(format!("student/{name}"), options).map_err(|e| failed(e.to_string()))?;
        zip.write_all(bytes).map_err(|e| failed(e.to_string()))
    })?;
    let bytes = zip.finish().map_err(|e| failed(e.to_string()))?.into_inner();
    let parts = Array::of1(&Uint8Array::from(&bytes[..]));
    let blob = Blob::new_with_u8_array_sequence(&parts).map_err(|_| failed("there is no memory for it".into()))?;
    let url = Url::create_object_url_with_blob(&blob).map_err(|_| failed("the browser gives no address".into()))?;
    let name = "student.zip".to_owned();
    desk.say(Response::Exported { run: desk.run(), url, name, bytes: bytes.len() as u64 });
    Ok(())
}

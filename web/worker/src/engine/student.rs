//! Training the student on the kept pairs, and packing it for download.

use std::io::{Cursor, Write};

use impossible_worker::training::{LOOKS, Training};
use js_sys::{Array, Uint8Array};
use lm::decode::siblings::Limits;
use lm::model::save::{Layout, save};
use lm::train::Parameters;
use lm::train::course::{self, Course, Step};
use lm::train::objective::Likelihood;
use lm::train::trainer::Trainer;
use method::critic::Critics;
use method::student::Lesson;
use method::student::lesson::Frame;
use method::student::rewrite::{Options, Rewriter, sampling};
use record::{Error, Monitor, Result, Sample, Style, Task};
use web_sys::{Blob, Url};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::desk::{Attention, Desk};
use super::models::Models;
use protocol::{Look, Response, Training as Report};

/// Versions per sentence and task.
const SAMPLES: u32 = 6;

/// Requested length of summaries as a fraction of the source's.
const LENGTH: f32 = 0.6;

/// Reports every step to the page, and sample versions after each epoch.
struct Looking<'a> {
    desk: &'a Desk,
    critics: &'a mut Critics,
    frame: &'a Frame,
    unseen: &'a [String],
    looked: &'a mut Option<u64>,
    seed: u64,
}

impl Looking<'_> {
    fn report(&self, trainer: &Trainer<Likelihood>) -> Report {
        Report {
            run: self.desk.run(),
            step: trainer.state.step,
            total: trainer.total(),
            epoch: trainer.state.epoch,
            seconds: self.desk.seconds(),
            ..Report::default()
        }
    }

    /// Sends sample versions of sentences that are not in the training pairs, once per epoch.
    async fn look(&mut self, trainer: &Trainer<Likelihood>) -> Result<()> {
        let epoch = trainer.state.epoch;
        if *self.looked != Some(epoch) {
            let looks = self.looks(&trainer.parameters).await?;
            *self.looked = Some(epoch);
            self.desk.say(Response::Training(Report { looks, ..self.report(trainer) }));
        }
        Ok(())
    }

    async fn looks(&mut self, parameters: &Parameters) -> Result<Vec<Look>> {
        let student = self.frame.student(parameters)?;
        let sources: Vec<(u64, &str)> = (0..).zip(self.unseen.iter().map(String::as_str)).collect();
        let mut attention = Attention::new(self.desk, |_: &[Sample]| {});
        let mut monitor = Monitor::new(&mut attention, 0, 0);
        let mut looks = Vec::new();
        for task in Task::ALL {
            let options = Options {
                task,
                length: LENGTH,
                samples: SAMPLES,
                sampling: sampling(Style::Balanced).0,
                beams: None,
                limits: Limits { batch: LOOKS * SAMPLES as usize, max_tokens: 60 },
                seed: self.seed,
            };
            let mut rewriter = Rewriter { student: &student, format: &self.frame.format, critics: &mut *self.critics };
            for rewritten in rewriter.rewrite(&sources, &options, &mut monitor).await? {
                if let Some(best) = rewritten.ranked(Style::Balanced).first() {
                    let (version, kept) = (best.text.clone(), best.kept());
                    looks.push(Look { task, source: rewritten.text.clone(), version, kept });
                }
            }
        }
        Ok(looks)
    }
}

impl Course<Likelihood> for Looking<'_> {
    async fn stepped(&mut self, trainer: &Trainer<Likelihood>, step: &Step) -> Result<()> {
        let (loss, validation) = (Some(step.report.loss as f32), step.validation);
        self.desk.say(Response::Training(Report { loss, validation, ..self.report(trainer) }));
        if trainer.finished() { Ok(()) } else { self.look(trainer).await }
    }
}

/// Trains to the end, or until the user stops it.
pub(super) async fn train(desk: &Desk, models: &mut Models, training: &mut Training) -> Result<()> {
    models.critics.panel = training.panel.clone();
    let Training { lesson, unseen, looked, seed, .. } = training;
    let Lesson { trainer, frame, .. } = lesson;
    let critics = &mut models.critics;
    let mut looking = Looking { desk, critics, frame, unseen, looked, seed: *seed };
    looking.look(trainer).await?;
    let mut attention = Attention::new(desk, |_: &[Sample]| {});
    let (done, total) = (trainer.state.step, trainer.total());
    course::run(trainer, &mut looking, &mut Monitor::new(&mut attention, done, total)).await?;
    let last = looking.look(trainer).await;
    models.trained = Some((frame.student(&trainer.parameters)?, frame.format.clone()));
    match last {
        // Only the last sample versions were interrupted; the training is complete.
        Err(Error::Interrupted) => Ok(()),
        last => last,
    }
}

/// Packs the trained student as a model folder in a zip archive, for download.
pub(super) async fn export(desk: &Desk, training: &Training) -> Result<()> {
    let mut model = training.lesson.trained().await?;
    model.card = format!(
        "---\nlibrary_name: transformers\npipeline_tag: text2text-generation\ntags:\n- paraphrase\n- summarization\n- impossible-distillation\n---\n\n# A student of Impossible Distillation, trained in a browser\n\n{} steps over {} pairs that a language model generated and a critic accepted in this browser. This is a demonstration: the site's own tiny models were trained on newswire of 1987 only, and their critic makes errors.\n",
        training.lesson.trainer.state.step,
        training.pairs.len(),
    );
    let failed = |e: String| Error::broken("the zip", e);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    save("the trained student", &model, Layout::default(), &mut |name, bytes| {
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

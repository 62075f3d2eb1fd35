//! Rewriting a text, sentence by sentence.

use lm::decode::siblings::Limits;
use method::critic::Panel;
use method::student::rewrite::{Options, sampling};
use record::{DeviceSpec, Error, Monitor, Preset, Result, Sample};
use text::sentence;

use super::desk::{Attention, Desk};
use super::models::Models;
use protocol::{LONGEST_TEXT, Response, Rewrite};

/// Most tokens of a version.
const NEW_TOKENS: usize = 60;

pub(super) async fn run(desk: &Desk, models: &mut Models, text: &str, settings: &Rewrite) -> Result<()> {
    if text.len() > 4 * LONGEST_TEXT {
        return Err(Error::input("the text", format!("at most {LONGEST_TEXT} characters"), text.chars().count()));
    }
    let sentences = sentence::split(text);
    if sentences.is_empty() {
        return Err(Error::input("the text", "at least one sentence", "none"));
    }
    let plan = Preset::Tiny.plan(DeviceSpec::Flex);
    let (mut paraphrase, mut summary) = settings.style.thresholds(plan.paraphrase, plan.summary);
    (paraphrase.entailment_min, summary.entailment_min) = (settings.entailment, settings.entailment);
    paraphrase.validate()?;
    summary.validate()?;
    let samples = settings.samples.clamp(1, 64);
    let options = Options {
        task: settings.task,
        length: settings.length.clamp(0.1, 1.0),
        samples,
        sampling: sampling(settings.style).0,
        beams: None,
        limits: Limits { batch: samples as usize, max_tokens: NEW_TOKENS },
        seed: settings.seed,
    };
    let mut rewriter = models.rewriter(Panel::new(&paraphrase, &summary));
    let (run, of) = (desk.run(), sentences.len());
    let mut attention = Attention::new(desk, |rows: &[Sample]| {
        let Some(sentence) = rows.first().and_then(|row| usize::try_from(row.context).ok()) else { return };
        let versions = rows.iter().map(|row| row.text.clone()).collect();
        desk.say(Response::Written { run, sentence, versions });
    });
    let mut monitor = Monitor::new(&mut attention, 0, of as u64);
    for (sentence, source) in sentences.into_iter().enumerate() {
        desk.say(Response::Reading { run, sentence, of, source: source.to_owned() });
        for rewritten in rewriter.rewrite(&[(sentence as u64, source)], &options, &mut monitor).await? {
            let versions = rewritten.ranked(settings.style).into_iter().cloned().collect();
            let note = rewritten.too_long.then(|| "It is longer than this student reads.".to_owned());
            desk.say(Response::Judged { run, sentence, versions, note, speed: desk.speed() });
        }
        monitor.count(1);
        monitor.rest().await;
    }
    Ok(())
}

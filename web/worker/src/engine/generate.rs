//! Rewrites a text, sentence by sentence.

use impossible_core::critic::Panel;
use impossible_core::decode::siblings::Limits;
use impossible_core::event::Event;
use impossible_core::plan::Plan;
use impossible_core::student::Version;
use impossible_core::student::rewrite::{Options, judge, versions};
use impossible_core::text::sentence;
use impossible_core::{Error, Result};

use super::desk::{Desk, Writing, event, now};
use super::models::Models;
use protocol::{LONGEST_TEXT, Response, Rewrite};

/// Longest version, in tokens.
const NEW_TOKENS: usize = 60;

pub(super) async fn run(desk: &Desk, models: &mut Models, text: &str, settings: &Rewrite) -> Result<()> {
    if text.len() > 4 * LONGEST_TEXT {
        return Err(Error::input("the text", format!("at most {LONGEST_TEXT} characters"), text.chars().count()));
    }
    let sentences = sentence::split(text);
    if sentences.is_empty() {
        return Err(Error::input("the text", "at least one sentence", "none"));
    }
    let plan = Plan::tiny("flex");
    let (mut paraphrase, mut summary) = settings.style.thresholds(plan.paraphrase, plan.summary);
    (paraphrase.entailment_min, summary.entailment_min) = (settings.entailment, settings.entailment);
    paraphrase.validate()?;
    summary.validate()?;
    let panel = Panel::new(&paraphrase, &summary);
    let samples = settings.samples.clamp(1, 64);
    let options = Options {
        task: settings.task,
        length: settings.length.clamp(0.1, 1.0),
        samples,
        sampling: settings.style.sampling().0,
        beams: None,
        limits: Limits { batch: samples as usize, max_tokens: NEW_TOKENS },
        seed: settings.seed,
    };
    let (run, of) = (desk.run(), sentences.len());
    for (i, source) in sentences.iter().copied().enumerate() {
        desk.say(Response::Reading { run, sentence: i, of, source: source.to_owned() });
        let (student, format, critic) = models.writer();
        let prompt = format.prompt(options.task, source, options.length);
        if student.prompt(&prompt, NEW_TOKENS).is_err() {
            let note = Some("It is longer than this student reads.".to_owned());
            desk.say(Response::Judged { run, sentence: i, versions: Vec::new(), note, speed: desk.speed() });
            continue;
        }
        let sources = [(i as u64, source)];
        let start = now();
        let mut event: Event = event();
        let mut observer = Writing {
            desk: desk.clone(),
            rows: |rows: &[impossible_core::record::Sample]| {
                let versions = rows.iter().map(|row| row.text.clone()).collect();
                desk.say(Response::Written { run, sentence: i, versions });
            },
        };
        let drawn = versions(student, format, &sources, &options, &mut event, &mut observer).await?;
        desk.wrote(drawn.iter().map(|s| u64::from(s.tokens)).sum(), (now() - start) / 1000.0);
        let mut judged = judge(&panel, options.task, &sources, drawn, None, critic).await?;
        judged.sort_by(|a, b| settings.style.rank(a, b));
        let mut distinct: Vec<Version> = Vec::new();
        for version in judged {
            if distinct.iter().all(|v| v.text != version.text) {
                distinct.push(version);
            }
        }
        desk.say(Response::Judged { run, sentence: i, versions: distinct, note: None, speed: desk.speed() });
        desk.listen().await;
    }
    Ok(())
}

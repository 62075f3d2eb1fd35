//! Scoring a random sample of a run's pairs without the thresholds, to measure how many equivalent pairs these refuse.

use anyhow::Result;
use lm::device::Compute;
use lm::lanes::wait;
use method::critic::EntailmentModel;
use method::distill::pipeline::sentences;
use record::Monitor;
use record::presets::MINILM;
use record::random::{Purpose, Stream};
use serde_json::json;

use crate::args::Audit;
use crate::run::RunFolder;
use crate::session::Session;

/// Bounds of the table's cosine bands.
const BANDS: [f32; 8] = [-1.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.01];

#[derive(Default, Clone, Copy)]
struct Band {
    pairs: u64,
    /// Pairs entailed in both directions at the plan's threshold.
    both: u64,
    /// Pairs entailed in at least one direction.
    one: u64,
}

/// Random pairs of a run.
struct Sample {
    /// Number of pairs of the run.
    total: u64,
    drawn: Vec<(String, String)>,
}

/// Draws unordered pairs of distinct usable sentences of one context, uniformly with replacement; repeated pairs are
/// dropped.
fn sample(folder: &RunFolder, args: &Audit) -> Result<Sample> {
    let mut contexts = Vec::new();
    for shard in folder.shards()? {
        let shard = shard?;
        for context in &shard.contexts {
            contexts.push(sentences(&shard.samples, context.id)?);
        }
    }
    let total: u64 = contexts.iter().map(method::critic::SentenceSet::pair_count).sum();
    let mut stream = Stream::new(args.seed, Purpose::Audit, 0, 0);
    let mut picked: Vec<usize> =
        (0..args.sample).map(|_| stream.below(usize::try_from(total).unwrap_or(usize::MAX))).collect();
    picked.sort_unstable();
    picked.dedup();
    let mut drawn = Vec::new();
    let (mut from, mut next) = (0, picked.iter().peekable());
    for siblings in &contexts {
        let all: Vec<_> = siblings.pairs().collect();
        while let Some(&at) = next.next_if(|&&p| p < from + all.len()) {
            let pair = all[at - from];
            drawn.push((siblings.get(pair.x).text.clone(), siblings.get(pair.y).text.clone()));
        }
        from += all.len();
    }
    Ok(Sample { total, drawn })
}

/// Scores the sample and prints the table of cosine bands.
///
/// # Errors
/// Errors of reading the run and of the models; [`record::Error::Interrupted`] when the user asked to stop.
pub fn run(session: &Session, args: &Audit) -> Result<()> {
    let folder = session.run_folder(&args.run, &args.moved)?;
    let plan = folder.plan();
    let pairs = sample(&folder, args)?;
    let compute = Compute::open(plan.device)?;
    let mut critic = session.pair_model(&plan.models.critic, &compute)?;
    let name = if plan.models.encoder.is_empty() { MINILM.folder } else { &plan.models.encoder };
    let encoder = session.text_encoder(name, &compute)?;
    let mut bar = session.bar("pairs", 0, 0)?;
    let mut monitor = Monitor::new(&mut bar, 0, 0);
    let texts: Vec<(&str, &str)> = pairs.drawn.iter().map(|(x, y)| (x.as_str(), y.as_str())).collect();
    let swapped: Vec<_> = texts.iter().map(|&(x, y)| (y, x)).collect();
    let (forward, backward) =
        (wait(critic.entail(&texts, &mut monitor))?, wait(critic.entail(&swapped, &mut monitor))?);
    let xs: Vec<&str> = texts.iter().map(|p| p.0).collect();
    let ys: Vec<&str> = texts.iter().map(|p| p.1).collect();
    let (xs, ys) = (wait(encoder.embed(&xs, &mut monitor))?, wait(encoder.embed(&ys, &mut monitor))?);
    bar.finish();
    let (total, pairs) = (pairs.total, texts);

    let tau = plan.paraphrase.entailment_min;
    let mut bands = [Band::default(); BANDS.len() - 1];
    for i in 0..pairs.len() {
        let cosine: f32 = xs[i].iter().zip(&ys[i]).map(|(a, b)| a * b).sum();
        let band = BANDS.windows(2).position(|w| cosine >= w[0] && cosine < w[1]).unwrap_or(0);
        bands[band].pairs += 1;
        bands[band].both += u64::from(forward[i] >= tau && backward[i] >= tau);
        bands[band].one += u64::from(forward[i] >= tau || backward[i] >= tau);
    }
    let rows: Vec<_> = bands
        .iter()
        .zip(BANDS.windows(2))
        .map(|(b, w)| json!({"cosine_from": w[0], "cosine_to": w[1].min(1.0), "pairs": b.pairs, "entailed_both_ways": b.both, "entailed_one_way": b.one}))
        .collect();
    let value =
        json!({"pairs_of_the_run": total, "sample": pairs.len(), "floor": plan.paraphrase.cosine_min, "bands": rows});
    session.say(&value, || {
        let mut text = format!("{} of {total} pairs, scored without floors (entailment at {tau}):\n  cosine         pairs  both ways  one way at least\n", pairs.len());
        for (b, w) in bands.iter().zip(BANDS.windows(2)) {
            text += &format!("  {:5.2} to {:4.2}  {:6}  {:9}  {:16}\n", w[0], w[1].min(1.0), b.pairs, b.both, b.one);
        }
        let Some(floor) = plan.paraphrase.cosine_min else { return text };
        let lost: u64 = bands.iter().zip(BANDS.windows(2)).filter(|(_, w)| w[1] <= floor).map(|(b, _)| b.both).sum();
        text + &format!("Bands wholly below the floor of {floor}: {lost} pairs that the critic calls equivalent. Read some with `judge` before calling them lost.\n")
    })
}

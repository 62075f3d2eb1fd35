//! `impossible audit`: a random sample scored without the floors, to see what they cost and what they buy.

use anyhow::Result;
use impossible_core::critic::{EntailmentModel, SentenceEncoder, Siblings};
use impossible_core::random::Stream;
use impossible_core::record::Finish;
use serde_json::json;

use super::{Session, distill, wait};
use crate::args::Audit;
use crate::progress::stop_flag;
use crate::run::RunFolder;
use crate::{models, plans};

/// Bounds of the cosine bands of the table.
const BANDS: [f32; 8] = [-1.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.01];

#[derive(Default, Clone, Copy)]
struct Band {
    pairs: u64,
    /// Entailed both ways at the plan's threshold.
    both: u64,
    /// Entailed one way at least.
    one: u64,
}

pub(super) fn run(session: &Session, args: &Audit) -> Result<()> {
    let folder = RunFolder::open(&args.run)?;
    let plan = folder.plan();
    let compute = plans::device(plan)?.open()?;
    let mut critic = models::entailment(&session.store, &plan.models.critic, &compute)?;
    distill::watch(&mut critic, stop_flag()?);
    let name = if plan.models.encoder.is_empty() { "all-MiniLM-L6-v2" } else { &plan.models.encoder };
    let mut encoder = models::encoder(&session.store, name, &compute)?;

    // Every unordered pair of distinct usable sentences of a context is equally likely.
    let mut contexts = Vec::new();
    for shard in folder.shards()? {
        let shard = shard?;
        for context in &shard.contexts {
            let usable = shard.samples.iter().filter(|s| s.context == context.id && s.finish == Finish::Sentence);
            let siblings = Siblings::new(usable.map(|s| (s.row, s.text.as_str())))?;
            contexts.push((context.id, siblings));
        }
    }
    let total: u64 = contexts.iter().map(|(_, s)| s.pair_count()).sum();
    let mut stream = Stream::new(args.seed, u32::MAX, 0, 0);
    let mut picked: Vec<usize> =
        (0..args.sample).map(|_| stream.below(usize::try_from(total).unwrap_or(usize::MAX))).collect();
    picked.sort_unstable();
    picked.dedup();
    let mut pairs = Vec::new();
    let (mut from, mut next) = (0, picked.iter().peekable());
    for (_, siblings) in &contexts {
        let all: Vec<_> = siblings.pairs().collect();
        while let Some(&at) = next.next_if(|&&p| p < from + all.len()) {
            let pair = all[at - from];
            pairs.push((siblings.get(pair.x).text.as_str(), siblings.get(pair.y).text.as_str()));
        }
        from += all.len();
    }
    let forward = wait(critic.entail(&pairs))?;
    let swapped: Vec<_> = pairs.iter().map(|&(x, y)| (y, x)).collect();
    let backward = wait(critic.entail(&swapped))?;
    let xs: Vec<&str> = pairs.iter().map(|p| p.0).collect();
    let ys: Vec<&str> = pairs.iter().map(|p| p.1).collect();
    let (xs, ys) = (wait(encoder.embed(&xs))?, wait(encoder.embed(&ys))?);

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
        let floor = plan.paraphrase.cosine_min;
        let lost: u64 = bands.iter().zip(BANDS.windows(2)).filter(|(_, w)| w[1] <= floor).map(|(b, _)| b.both).sum();
        text + &format!("Bands wholly below the floor of {floor}: {lost} pairs that the critic calls equivalent. Read some with `judge` before calling them lost.\n")
    })
}

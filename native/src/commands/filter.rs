//! `impossible filter`: other thresholds on a finished run, without sampling again.

use std::collections::BTreeMap;

use anyhow::Result;
use method::critic::refilter::refilter;
use method::distill::pipeline::sentences;
use record::Error;
use record::plan::{Paraphrase, Summary};
use record::{Kept, Task};
use serde::Serialize;

use crate::args::Filter;
use crate::plans;
use crate::run::{RunFolder, dataset};
use crate::session::Session;

#[derive(Serialize)]
struct Done {
    out: std::path::PathBuf,
    paraphrase: u64,
    summary: u64,
    missing: u64,
}

pub(super) fn run(session: &Session, args: &Filter) -> Result<()> {
    let folder = RunFolder::open(&args.run)?;
    let mut plan = folder.plan().clone();
    if let Some(critics) = args.critics {
        plan.paraphrase = Paraphrase::preset(critics);
        plan.summary = Summary::preset(critics);
    }
    plans::apply_thresholds(&args.thresholds, &mut plan.paraphrase, &mut plan.summary);
    plan.validate()?;
    let mut kept: [Vec<Kept>; 2] = Default::default();
    let mut funnel = record::Funnel::default();
    let (mut missing, mut shards) = (0, 0);
    for shard in folder.shards()? {
        let shard = shard?;
        let mut siblings = BTreeMap::new();
        for context in &shard.contexts {
            siblings.insert(context.id, sentences(&shard.samples, context.id)?);
        }
        let new = refilter(&shard.scored, &shard.links, &siblings, &plan.paraphrase, &plan.summary)?;
        missing += new.missing;
        let mut counts = new.funnel;
        counts.contexts = shard.funnel.contexts.clone();
        counts.samples = shard.funnel.samples.clone();
        funnel.add(&counts);
        shards += 1;
        for scored in new.scored.into_iter().filter(record::Scored::kept) {
            let text = |row| shard.text(scored.context, row).unwrap_or_default().to_owned();
            let place = usize::from(scored.task == Task::Summary);
            kept[place].push(Kept { text: text(scored.x), target: text(scored.y), scored });
        }
    }
    if shards == 0 {
        return Err(Error::Missing {
            what: "a finished range of contexts".to_owned(),
            place: args.run.display().to_string(),
            hint: "Let distill finish one, or check that plan.toml was not changed by hand.".to_owned(),
        }
        .into());
    }
    let out = args.out.clone().unwrap_or_else(|| args.run.join("filtered"));
    dataset::write_pairs(&out, &plan, &kept, &funnel)?;
    let done = Done { out, paraphrase: kept[0].len() as u64, summary: kept[1].len() as u64, missing };
    session.say(&done, || {
        let mut text = format!(
            "{} paraphrase pairs and {} summary pairs in {}.",
            done.paraphrase,
            done.summary,
            done.out.display()
        );
        if missing > 0 {
            text += &format!(
                "\n{missing} more pairs would pass the critics that have scores, but were never read by the next one: \
                 the run refused them earlier. Run `distill` with these thresholds into a new folder to decide them."
            );
        }
        text
    })
}

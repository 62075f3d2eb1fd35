//! Applying other thresholds to a finished run, without any model.

use std::collections::BTreeMap;

use anyhow::Result;
use method::critic::refilter::refilter;
use method::distill::pipeline::sentences;
use record::plan::Plan;
use record::{Error, Funnel, Kept, Scored, Task};

use crate::run::RunFolder;

/// The result of applying other thresholds to a run.
#[derive(Debug, Default)]
pub struct Filtered {
    /// Kept pairs, in the order of [`Task::ALL`].
    pub kept: [Vec<Kept>; 2],
    /// Funnel under the new thresholds.
    pub funnel: Funnel,
    /// Number of pairs that cannot be decided because the first score that matters was never computed.
    pub missing: u64,
}

/// Applies the thresholds of `plan` to a run.
///
/// # Errors
/// [`Error::Missing`] for a run without a finished range; [`Error::Broken`] for a damaged shard.
pub fn filter(folder: &RunFolder, plan: &Plan) -> Result<Filtered> {
    let mut out = Filtered::default();
    let mut shards = 0;
    for shard in folder.shards()? {
        let shard = shard?;
        let mut siblings = BTreeMap::new();
        for context in &shard.contexts {
            siblings.insert(context.id, sentences(&shard.samples, context.id)?);
        }
        let new = refilter(&shard.scored, &shard.links, &siblings, &plan.paraphrase, &plan.summary)?;
        out.missing += new.missing;
        let (contexts, samples) = (shard.funnel.contexts.clone(), shard.funnel.samples.clone());
        out.funnel.add(&Funnel { contexts, samples, ..new.funnel });
        shards += 1;
        for scored in new.scored.into_iter().filter(Scored::kept) {
            let text = |row| shard.text(scored.context, row).unwrap_or_default().to_owned();
            let place = usize::from(scored.task == Task::Summary);
            out.kept[place].push(Kept { text: text(scored.x), target: text(scored.y), scored });
        }
    }
    if shards == 0 {
        return Err(Error::Missing {
            what: "a finished range of contexts".to_owned(),
            place: folder.dir().display().to_string(),
            hint: "Let distill finish one, or check that plan.toml was not changed by hand.".to_owned(),
        }
        .into());
    }
    Ok(out)
}

//! `impossible filter`: applying other thresholds to a finished run, without sampling again.

use anyhow::Result;
use record::plan::{Paraphrase, Summary};
use serde::Serialize;

use crate::args::Filter;
use crate::output::{Kind, Replace, Staged};
use crate::plans;
use crate::run::planfile::plan_text;
use crate::run::{RunFolder, dataset};
use crate::session::Session;
use crate::stages::filter::{Filtered, filter};

#[derive(Serialize)]
struct Done {
    #[serde(serialize_with = "crate::fs::lossy")]
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
    plan.validate().map_err(plans::by_flag)?;
    let out = args.out.clone().unwrap_or_else(|| args.run.join("filtered"));
    // The same thresholds give the same files.
    let same =
        std::fs::read(out.join(dataset::FILTER)).is_ok_and(|text| plan_text(&plan).is_ok_and(|t| t.as_bytes() == text));
    let replace = if same && !args.force { Replace::Unchanged } else { Replace::forced(args.force) };
    let staged = Staged::begin(&out, Kind::Pairs, replace)?;
    let Filtered { kept, funnel, missing } = filter(&folder, &plan)?;
    dataset::write_pairs(staged.folder(), &plan, &kept, &funnel)?;
    staged.commit()?;
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
                "\n{missing} more pairs cannot be decided: the run refused them before a critic whose score is now \
                 needed. Run `distill` with these thresholds into a new folder to decide them."
            );
        }
        text
    })
}

//! `impossible evaluate`: metrics of a dataset or of a system's outputs.

use anyhow::Result;
use lm::lanes::wait;
use method::evaluate::{Judge, Model, TokenEncoder};
use record::Monitor;

use crate::args::evaluate::EvaluateArgs;
use crate::evaluate::models::{bert, critic, or_missing, zero_shot};
use crate::evaluate::{self, Models, datasets};
use crate::output::{Kind, Replace, Staged};
use crate::session::Session;

pub(super) fn run(session: &Session, args: &EvaluateArgs) -> Result<()> {
    let staged =
        args.out.as_deref().map(|dir| Staged::begin(dir, Kind::Evaluation, Replace::forced(args.force))).transpose()?;
    let mut bar = session.bar("items", 0, 0)?;
    let mut monitor = Monitor::new(&mut bar, 0, 0);
    // Files are read first, so that their errors are reported before models are loaded.
    let loaded = if args.dataset.is_empty() { Some(evaluate::load(args)?) } else { None };
    let off = || "switched off".to_owned();
    let mut judge = if args.needs(Model::Judge)? { or_missing(critic(session, args))? } else { Err(off()) };
    let mut encoder = if args.needs(Model::Encoder)? { or_missing(bert(session, args))? } else { Err(off()) };
    let judge = judge.as_mut().map(|model| model as &mut dyn Judge).map_err(|why| why.clone());
    let encoder = encoder.as_mut().map(|model| model as &mut dyn TokenEncoder).map_err(|why| why.clone());
    let Some(mut loaded) = loaded else {
        let found = wait(datasets::measure(args, encoder, &mut monitor))?;
        bar.finish();
        if let Some(staged) = staged {
            found.write(staged.folder())?;
            staged.commit()?;
        }
        session.say(&found.json(), || if args.markdown { found.markdown() } else { found.text() })?;
        return Ok(evaluate::finish(found.problems)?);
    };
    if let Some(name) = &args.zero_shot
        && let Err(problem) = zero_shot(session, name, &mut loaded, &mut monitor)
    {
        loaded.problem(problem);
    }
    let found = wait(evaluate::score(args, loaded, Models { judge, encoder }, &mut monitor))?;
    bar.finish();
    if let Some(staged) = staged {
        found.write(staged.folder(), args.examples)?;
        staged.commit()?;
    }
    session.say(&found.json(), || if args.markdown { found.markdown() } else { found.text() })?;
    Ok(evaluate::finish(found.problems)?)
}

//! `impossible generate`: the first sentences a teacher writes after a context.

use std::io::Read;

use anyhow::Result;
use impossible_core::device::DeviceSpec;
use impossible_core::distill::pipeline;
use impossible_core::event::{Event, Stage};
use impossible_core::record::Context;

use super::{Session, wait};
use crate::args::Generate;
use crate::progress::{Progress, stop_flag};
use crate::{models, plans};

pub(super) fn run(session: &Session, args: &Generate) -> Result<()> {
    let spec = session.spec()?;
    let spec = if spec == DeviceSpec::Auto { session.compute()?.spec } else { spec };
    let plan = plans::plan(&args.plan, spec)?;
    let text = match &args.context {
        Some(text) => text.clone(),
        None => {
            let mut text = String::new();
            std::io::stdin().take(1 << 20).read_to_string(&mut text)?;
            text
        }
    };
    let stop = stop_flag()?;
    let teacher = models::teacher(&session.store, &plan.models.teacher, &plans::device(&plan)?.open()?)?;
    let context = Context { id: 0, text: text.trim_end().to_owned(), origin: String::new(), sentences: 0 };
    let mut event = Event { stage: Stage::Siblings, done: 0, total: 1, tokens: 0, pairs: 0, kept: 0 };
    let mut progress = Progress::new(1, 0, session.quiet, stop);
    let rows = wait(pipeline::siblings(&teacher, &plan, &[context], &mut event, &mut progress))?;
    progress.finish();
    for row in rows {
        let line = serde_json::json!({"row": row.row, "text": row.text, "tokens": row.tokens, "finish": row.finish});
        session.say(&line, || row.text.clone())?;
    }
    Ok(())
}

//! `impossible generate`: sampling siblings of one context.

use std::io::Read;

use anyhow::Result;
use lm::device::Compute;
use lm::lanes::wait;
use method::distill::pipeline::siblings;
use record::{Context, Error, Monitor};

use crate::args::Generate;
use crate::plans;
use crate::session::Session;

pub(super) fn run(session: &Session, args: &Generate) -> Result<()> {
    let plan = plans::plan(&args.plan, session.spec()?)?;
    let text = match &args.context {
        Some(text) => text.clone(),
        None => {
            const MOST: u64 = 1 << 20;
            let mut bytes = Vec::new();
            std::io::stdin().take(MOST + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > MOST {
                return Err(Error::input("the context on stdin", "at most 1 MB", "more").into());
            }
            String::from_utf8(bytes).map_err(|_| Error::input("the context on stdin", "UTF-8", "other bytes"))?
        }
    };
    let teacher = session.text_model(&plan.models.teacher, &Compute::open(plan.device)?)?;
    let context = Context { id: 0, text: text.trim_end().to_owned(), origin: String::new(), sentences: 0 };
    let mut bar = session.bar("contexts", 0, 1)?;
    let rows = wait(siblings(&teacher, &plan, &[context], &mut Monitor::new(&mut bar, 0, 1)))?;
    bar.finish();
    for row in rows {
        let line = serde_json::json!({"row": row.row, "text": row.text, "tokens": row.tokens, "finish": row.finish});
        session.say(&line, || row.text.clone())?;
    }
    Ok(())
}

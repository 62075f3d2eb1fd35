//! `impossible refine`: self-distillation (paper, section 3.3).

use anyhow::Result;

use crate::args::Refine;
use crate::session::Session;
use crate::stages::refine::{make_pairs, next_student};
use crate::stages::student::Aside;

pub(super) fn run(session: &Session, args: &Refine) -> Result<()> {
    let run = session.run_folder(&args.run, &args.moved)?;
    let pairs = make_pairs(session, &run, args)?;
    if args.pairs_only {
        return session.say(&pairs, || pairs.told());
    }
    let aside = if args.out.is_none() { Aside::OtherInputs } else { Aside::Nothing };
    let from_to = (args.student.as_deref(), args.out.as_deref());
    let done = next_student(session, &run, from_to, &pairs, (&args.train, aside))?;
    session.say(&done, || done.told())
}

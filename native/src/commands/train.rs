//! `impossible train`: training a student on a dataset.

use anyhow::Result;
use record::Task;

use crate::args::Train;
use crate::run::RunFolder;
use crate::session::Session;
use crate::stages::student::{Aside, Request, base, train};

pub(super) fn run(session: &Session, args: &Train) -> Result<()> {
    let run = RunFolder::open(&args.run)?;
    let request = Request {
        data: if args.data.is_empty() { vec![args.run.join("dataset")] } else { args.data.clone() },
        out: args.out.clone().unwrap_or_else(|| args.run.join("student/stage0")),
        aside: if args.out.is_none() { Aside::OtherInputs } else { Aside::Nothing },
        base: args.base.clone().unwrap_or_else(|| base(&run)),
        tasks: args.task.map_or(Task::ALL.to_vec(), |task| vec![task]),
        seed: args.seed.unwrap_or(run.plan().seed),
        flags: &args.train,
        run: &run,
    };
    let done = train(session, &request)?;
    session.say(&done, || done.told())
}

//! `impossible train`: training a student on a dataset, or a reworder on sentences.

use anyhow::Result;
use record::{Error, Task};

use crate::args::{Goal, Train};
use crate::models::student::Judges;
use crate::run::RunFolder;
use crate::session::Session;
use crate::stages::reworder;
use crate::stages::student::{Aside, Request, base, train};

pub(super) fn run(session: &Session, args: &Train) -> Result<()> {
    let run = args.run.as_deref().map(RunFolder::open).transpose()?;
    let tasks = match args.task {
        Some(Goal::Reword) => return reword(session, args, run.as_ref()),
        Some(Goal::Paraphrase) => vec![Task::Paraphrase],
        Some(Goal::Summary) => vec![Task::Summary],
        None => Task::ALL.to_vec(),
    };
    if !args.sentences.is_empty() {
        let expected = "--task reword beside it; students of pairs learn from --run or --data";
        return Err(Error::input("--sentences", expected, "another task, or none").into());
    }
    let Some(run) = run else { return Err(Error::input("--run", "the folder of a run", "nothing").into()) };
    let request = Request {
        data: if args.data.is_empty() { vec![run.dir().join("dataset")] } else { args.data.clone() },
        out: args.out.clone().unwrap_or_else(|| run.dir().join("student/stage0")),
        aside: if args.out.is_none() { Aside::OtherInputs } else { Aside::Nothing },
        base: args.base.clone().unwrap_or_else(|| base(&run)),
        tasks,
        seed: args.seed.unwrap_or(run.plan().seed),
        flags: &args.train,
        judges: Judges::of(run.plan()),
        run: &run,
    };
    let done = train(session, &request)?;
    session.say(&done, || done.told())
}

fn reword(session: &Session, args: &Train, run: Option<&RunFolder>) -> Result<()> {
    if !args.data.is_empty() {
        return Err(Error::input("--data", "--sentences: a reworder learns from sentences", "folders of pairs").into());
    }
    if run.is_none() && args.sentences.is_empty() {
        let expected = "the folder of a run, or --sentences with files of texts";
        return Err(Error::input("--run", expected, "neither").into());
    }
    let own = || record::Preset::Small.model(record::presets::Role::Teacher).to_owned();
    let request = reworder::Request {
        run,
        texts: (&args.sentences, args.field.as_deref()),
        out: args.out.clone().unwrap_or_else(|| reworder::folder(args.run.as_deref())),
        aside: if args.out.is_none() { Aside::OtherInputs } else { Aside::Nothing },
        base: args.base.clone().unwrap_or_else(|| run.map_or_else(own, base)),
        seed: args.seed.or(run.map(|run| run.plan().seed)).unwrap_or(7),
        flags: &args.train,
    };
    let done = reworder::train(session, &request)?;
    session.say(&done, || done.told())
}

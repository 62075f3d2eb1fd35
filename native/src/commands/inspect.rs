//! `impossible inspect`: printing a run's pairs.

use std::io::IsTerminal;

use anyhow::Result;
use record::{Error, Kept, Refusal};

use crate::args::Inspect;
use crate::run::RunFolder;
use crate::run::view::{Filter, Score, Style, render, sort};
use crate::session::Session;

fn range(text: &str) -> record::Result<(Score, f32, f32)> {
    let bad = || Error::input("--only", "SCORE=MIN..MAX", format!("\"{text}\""));
    let (name, bounds) = text.split_once('=').ok_or_else(bad)?;
    let (from, to) = bounds.split_once("..").ok_or_else(bad)?;
    let number = |t: &str, default: f32| if t.is_empty() { Ok(default) } else { t.parse().map_err(|_| bad()) };
    Ok((Score::parse(name)?, number(from, f32::MIN)?, number(to, f32::MAX)?))
}

fn refusal(name: &str) -> record::Result<Refusal> {
    let known: Vec<&str> = Refusal::ALL.iter().map(|refusal| refusal.name()).collect();
    Refusal::parse(name)
        .ok_or_else(|| Error::input("--refused-by", format!("all, {}", known.join(", ")), format!("\"{name}\"")))
}

pub(super) fn run(session: &Session, args: &Inspect) -> Result<()> {
    let folder = RunFolder::open(&args.run)?;
    let filter = Filter {
        task: args.task,
        kept: Some(args.refused_by.is_none()),
        refused_by: args.refused_by.as_deref().filter(|c| *c != "all").map(refusal).transpose()?,
        context: args.context,
        scores: args.only.iter().map(|t| range(t)).collect::<record::Result<_>>()?,
    };
    let mut pairs: Vec<Kept> = Vec::new();
    for shard in folder.shards()? {
        pairs.extend(shard?.pairs(|s| filter.admits(s)));
        if args.sort.is_none() && pairs.len() >= args.limit {
            break;
        }
    }
    if let Some(name) = &args.sort {
        sort(&mut pairs, Score::parse(name)?, !args.ascending);
    }
    let width = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok()).unwrap_or(100);
    let style = Style { width, colour: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() };
    for pair in pairs.iter().take(args.limit) {
        session.say(pair, || render(pair, style))?;
    }
    if pairs.is_empty() {
        eprintln!("No pair matches.");
    }
    Ok(())
}

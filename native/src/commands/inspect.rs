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

/// Columns of the output: those of the terminal, else of the variable `COLUMNS`, else 100.
fn width() -> usize {
    let terminal = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    let named = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    terminal.or(named).unwrap_or(100)
}

pub(super) fn run(session: &Session, args: &Inspect) -> Result<()> {
    let folder = RunFolder::open(&args.run)?;
    let by = args.sort.as_deref().map(Score::parse).transpose()?;
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
    if let Some(score) = by {
        if !pairs.is_empty() && pairs.iter().all(|pair| score.of(&pair.scored).is_none()) {
            let expected = "a score of these pairs";
            return Err(Error::input("--sort", expected, format!("{}, which none of them has", score.name())).into());
        }
        sort(&mut pairs, score, !args.ascending);
    }
    let plain = std::env::var_os("NO_COLOR").is_some() || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let style = Style { width: width(), colour: std::io::stdout().is_terminal() && !plain };
    for pair in pairs.iter().take(args.limit) {
        session.say(pair, || render(pair, style))?;
    }
    if pairs.is_empty() {
        note!("No pair matches.");
    }
    Ok(())
}

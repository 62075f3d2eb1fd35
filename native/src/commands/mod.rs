//! The commands. Those that only call a stage have no file of their own.

mod distill;
mod doctor;
mod evaluate;
mod export;
mod filter;
mod generate;
mod inspect;
mod judge;
mod merge;
mod pull;
mod refine;
mod train;
mod verify;

use std::io::Write;

use anyhow::Result;
use record::Task;

use crate::args::{self, Args, Command};
use crate::bench;
use crate::session::Session;
use crate::stages::{audit, critic, pretraining, rewriting};

/// Runs the command that the arguments name.
///
/// # Errors
/// Errors of the command; if the cause is a [`record::Error`], its kind gives the exit code.
pub fn run(args: Args) -> Result<()> {
    let session = Session::new(&args)?;
    match args.command {
        Command::Distill(a) => distill::run(&session, &a),
        Command::Generate(a) => generate::run(&session, &a),
        Command::Pretrain(a) => pretraining::run(&session, &a),
        Command::TrainCritic(a) => critic::run(&session, &a),
        Command::Train(a) => train::run(&session, &a),
        Command::Refine(a) => refine::run(&session, &a),
        Command::Paraphrase(a) => rewriting::run(&session, &a, Task::Paraphrase),
        Command::Summarize(a) => rewriting::run(&session, &a, Task::Summary),
        Command::Reword(a) => rewriting::reword(&session, &a),
        Command::Export(a) => export::run(&session, &a),
        Command::Filter(a) => filter::run(&session, &a),
        Command::Inspect(a) => inspect::run(&session, &a),
        Command::Audit(a) => audit::run(&session, &a),
        Command::Judge(a) => judge::run(&session, &a),
        Command::Evaluate(a) => evaluate::run(&session, &a),
        Command::Merge(a) => merge::run(&session, &a),
        Command::Verify(a) => verify::run(&session, &a),
        Command::Pull(a) => pull::run(&session, &a),
        Command::Doctor => doctor::run(&session),
        Command::Bench(a) => bench::run(&session, &a),
        Command::Completions { shell } => {
            // Generated to memory first, because the generator panics if it cannot write.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut args::command(), "impossible", &mut script);
            Ok(std::io::stdout().write_all(&script)?)
        }
    }
}

//! The commands, one file each.

mod audit;
mod bench;
mod distill;
mod doctor;
mod evaluate;
mod export;
mod filter;
mod generate;
mod inspect;
mod judge;
mod merge;
mod pretrain;
mod pull;
mod refine;
mod rewrite;
mod showcase;
mod train;
mod train_critic;
mod verify;

use std::io::Write;

use anyhow::Result;
use clap::CommandFactory;
use impossible_core::device::{Compute, DeviceSpec};
use impossible_core::record::Task;
use serde::Serialize;

use crate::args::{Args, Command, TaskName};
use crate::pull::Store;
use impossible_core::lanes::wait;

/// What every command may need.
struct Session {
    store: Store,
    device: String,
    json: bool,
    quiet: bool,
}

impl Session {
    fn spec(&self) -> impossible_core::Result<DeviceSpec> {
        self.device.parse()
    }

    /// Opens the device; `auto` becomes what it stands for.
    fn compute(&self) -> impossible_core::Result<Compute> {
        self.spec()?.open()
    }

    /// One JSON line, or text, on stdout.
    fn say<T: Serialize>(&self, value: &T, text: impl FnOnce() -> String) -> Result<()> {
        let mut out = std::io::stdout().lock();
        if self.json {
            serde_json::to_writer(&mut out, value)?;
            writeln!(out)?;
        } else {
            let text = text();
            out.write_all(text.as_bytes())?;
            if !text.ends_with('\n') && !text.is_empty() {
                writeln!(out)?;
            }
        }
        Ok(())
    }
}

/// Runs the command of the arguments.
///
/// # Errors
/// Whatever the command fails with; [`impossible_core::Error`] inside says which exit code it is.
pub fn run(args: Args) -> Result<()> {
    let store = Store::locate(args.models.as_deref())?;
    let session = Session { store, device: args.device, json: args.json, quiet: args.quiet };
    match args.command {
        Command::Distill(a) => distill::run(&session, &a),
        Command::Generate(a) => generate::run(&session, &a),
        Command::Pretrain(a) => pretrain::run(&session, &a),
        Command::TrainCritic(a) => train_critic::run(&session, &a),
        Command::Train(a) => train::run(&session, &a),
        Command::Refine(a) => refine::run(&session, &a),
        Command::Paraphrase(a) => rewrite::run(&session, &a, Task::Paraphrase),
        Command::Summarize(a) => rewrite::run(&session, &a, Task::Summary),
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
            clap_complete::generate(shell, &mut Args::command(), "impossible", &mut std::io::stdout());
            Ok(())
        }
    }
}

fn task(name: TaskName) -> Task {
    match name {
        TaskName::Paraphrase => Task::Paraphrase,
        TaskName::Summary => Task::Summary,
    }
}

//! Library of the `impossible` binary: arguments, commands, stages, run folders, model folders, downloads, reports and
//! progress.

pub mod args;
pub mod bench;
pub mod commands;
pub mod evaluate;
pub mod fs;
pub mod host;
pub mod html;
pub mod models;
pub mod plans;
pub mod progress;
pub mod pull;
pub mod report;
pub mod run;
pub mod session;
pub mod stages;
pub mod training;

use std::process::ExitCode;

use clap::Parser;
use record::Error;

/// Parses the arguments, runs the command and returns the exit code: 0 success, 1 failure that a retry may fix, 2 wrong
/// input, 3 damaged data, 130 interrupted.
#[must_use]
pub fn main() -> ExitCode {
    let args = args::Args::parse();
    // Tensor kernels run on rayon's threads; running the command there too saves waking a thread for every kernel.
    let _ = rayon::ThreadPoolBuilder::new().stack_size(16 << 20).build_global();
    match rayon::scope(|_| commands::run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed pipe, as with `| head`, is not a failure of the command.
            let broken_pipe = error.chain().any(|e| {
                e.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
            });
            if broken_pipe {
                return ExitCode::SUCCESS;
            }
            eprintln!("error: {error:#}");
            ExitCode::from(error.downcast_ref::<Error>().map_or(1, |e| e.kind().exit_code()))
        }
    }
}

//! Library of the `impossible` binary: arguments, commands, stages, run folders, model folders, downloads, reports and
//! progress.

/// Writes a line to stderr, and goes on if nobody reads it any more.
macro_rules! note {
    ($($part:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($part)*);
    }};
}

pub mod args;
pub mod bench;
pub mod commands;
pub mod evaluate;
pub mod fs;
pub mod host;
pub mod html;
mod language;
pub mod models;
pub mod output;
pub mod plans;
pub mod progress;
pub mod pull;
pub mod report;
pub mod run;
pub mod session;
pub mod stages;
pub mod training;

use std::process::ExitCode;

use args::Args;
use clap::FromArgMatches;
use record::Error;

/// Parses the arguments, runs the command and returns the exit code: 0 success, 1 failure that a retry may fix, 2 wrong
/// input, 3 damaged data, 130 interrupted.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::from_arg_matches(&args::command().get_matches()).unwrap_or_else(|error| error.exit());
    // Tensor kernels run on rayon's threads; running the command there too saves waking a thread for every kernel.
    let _ = rayon::ThreadPoolBuilder::new().stack_size(16 << 20).build_global();
    match rayon::scope(|_| commands::run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed pipe, as with `| head`, is not a failure of the command.
            if error.chain().any(closed_pipe) {
                return ExitCode::SUCCESS;
            }
            note!("error: {error:#}");
            ExitCode::from(error.downcast_ref::<Error>().map_or(1, |e| e.kind().exit_code()))
        }
    }
}

fn closed_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    let json = error.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
    io.or(json) == Some(std::io::ErrorKind::BrokenPipe)
}

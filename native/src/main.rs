//! The `impossible` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    impossible::main()
}

//! The `impossible` binary as this package's tests start it: cargo builds the binaries of a package for its own tests only.

use std::process::ExitCode;

fn main() -> ExitCode {
    impossible::main()
}

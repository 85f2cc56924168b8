//! `molt-coordinator`: the service, and what its operators run.

use std::process::ExitCode;

fn main() -> ExitCode {
    molt_coordinator::cli::main()
}

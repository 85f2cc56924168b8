//! What agents, build hosts and people run.

fn main() -> std::process::ExitCode {
    molt_agent::cli::main()
}

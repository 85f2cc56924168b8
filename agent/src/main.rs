//! What agents, build hosts and people run.

fn main() {}

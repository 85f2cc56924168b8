//! The service that partitions work, hands out locks and gates merges.

fn main() {}

//! Where the board's records are kept: one fenced writer, two backends.

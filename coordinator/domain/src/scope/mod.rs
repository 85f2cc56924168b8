//! What part of a repository a name stands for.

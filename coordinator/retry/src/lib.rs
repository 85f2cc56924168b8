//! Named retry policies.

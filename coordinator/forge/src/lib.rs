//! Where changes are proposed and landed.

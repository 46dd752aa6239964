//! domstate.
pub mod domain;

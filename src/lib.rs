//! domstate.
pub mod domain;
pub mod journal;

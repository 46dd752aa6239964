//! domstate.
pub mod cli;
pub mod commands;
pub mod domain;
pub mod journal;
pub mod observe;
pub mod operation;
pub mod output;
pub mod qemu;
pub mod store;
pub mod supervisor;
mod sys;

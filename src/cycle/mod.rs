//! One cycle: fetch, candidates, plan, gates, commit, push; and again on the new tip when someone else was first.
//!
//! - [`engine`]: runs operations, each on the newest tip
//! - [`context`]: what operations and gates work with
//! - [`decision`]: what an operation came to on a tip
//! - [`services`]: the systems around the repository
//! - [`state`]: what a cycle has learned so far
//! - [`memory`]: what an engine remembers between cycles
//! - [`tip`]: the commit that a branch points to
//! - [`tree`]: the files and image fields of a tip
//! - [`history`]: the commits of a branch, and what is held because of them
//! - [`candidates`]: the tags that registries have
//! - [`operations`]: what a cycle can do
//! - [`gates`]: what an update has to pass before it is written
//! - [`secrets`]: the SOPS files of a tip
//! - [`write`]: commits, pushes and pull requests
//! - [`deployed`]: whether everything that is deployed could still be pulled
//! - [`report`]: what a cycle did
//! - [`status`]: the state of each image
//! - [`explain`]: why an image is in its state, step by step
//! - [`error`]: what goes wrong

pub mod candidates;
pub mod context;
pub mod decision;
pub mod deployed;
pub mod engine;
pub mod error;
pub mod explain;
pub mod gates;
pub mod history;
pub mod memory;
pub mod operations;
pub mod report;
pub mod secrets;
pub mod services;
pub mod state;
pub mod status;
pub mod tip;
pub mod tree;
pub mod write;

//! One cycle: fetch, candidates, plan, gates, commit, push; and again on the new tip if another push came first.
//!
//! - [`engine`]: runs operations, each on the newest tip
//! - [`automatic_rollback`]: the cycle that takes back a commit
//! - `conclude`: the end of a cycle
//! - [`context`]: the context of operations and gates
//! - [`decision`]: the result of an operation on a tip
//! - [`schedules`]: the deployment windows of a tip, with their calendars
//! - [`services`]: the external systems that cycles use
//! - [`state`]: the knowledge of a cycle, which outlives a lost race
//! - [`evidence`]: the checks that stages require of what was deployed
//! - [`time_limit`]: work that is abandoned at a time
//! - [`memory`]: the memory of an engine between cycles
//! - [`metrics`]: the metrics of the clients that cycles use
//! - [`tip`]: the commit that a branch points to
//! - [`idle`]: policies and paths without effect
//! - [`tree`]: the files and image fields of a tip
//! - [`schedules`]: the windows of a tree, with their calendars
//! - [`history`]: the commits of a branch, and the holds that follow from them
//! - [`candidates`]: the tags in the registries
//! - [`operations`]: the operations that a cycle can run
//! - `stage_cycle`: the pull requests of stages, after a cycle
//! - [`stages`]: promotions from one stage to the next
//! - [`gates`]: the checks that an update has to pass before it is written
//! - [`origin`]: the proof of origin that policies require
//! - [`secrets`]: the SOPS files of a tip
//! - [`write`](mod): commits, pushes and pull requests
//! - [`deployed`]: checks that all deployed images can still be pulled
//! - [`deployed_checks`]: checks of what is deployed, which run beside cycles
//! - [`deployed_origin`]: the origin of an image that is deployed
//! - [`deployed_tree`]: the image fields of a commit, for checks between cycles
//! - [`drift`]: pods that run something else than the repository says
//! - [`queries`]: questions of commands that only read
//! - [`move_log`]: the latest moves of all fields, for a process that keeps running
//! - [`replay`]: the history of all fields, and what it lacks
//! - [`report`]: the result of a cycle
//! - [`status`]: the state of each image
//! - [`explain`]: the explanation of an image's state, step by step
//! - [`stage_gates`]: the conditions of its stages, with their evidence
//! - [`error`]: the errors of a cycle

pub mod automatic_rollback;
pub mod candidates;
mod conclude;
pub mod context;
pub mod decision;
pub mod deployed;
pub mod deployed_checks;
pub mod deployed_origin;
pub mod deployed_tree;
pub mod drift;
pub mod engine;
pub mod error;
pub mod evidence;
pub mod explain;
pub mod gates;
pub mod history;
pub mod idle;
pub mod memory;
pub mod metrics;
pub mod move_log;
pub mod operations;
pub mod origin;
pub mod queries;
pub mod replay;
pub mod report;
pub mod schedules;
pub mod secrets;
pub mod services;
mod stage_cycle;
pub mod stage_gates;
pub mod stages;
pub mod state;
pub mod status;
pub mod time_limit;
pub mod tip;
pub mod tree;
pub mod write;

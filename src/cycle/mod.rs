//! One pass: fetch, candidates, plan, gates, commit, push; and again on the new tip when someone else was first.
//!
//! - [`engine`]: the pass itself
//! - [`commits`]: a gated plan to commits
//! - [`tree`]: the image fields of a tip, each blob read once
//! - [`follow`]: from what the registries have to a plan whose images are proved
//! - [`survey`]: what the registries have
//! - `placing`: where tags stand in the history of the branch that their images are built from
//! - `lineages`: those histories, each fetched once
//! - [`proof`]: the images that would be written, asked for once more
//! - [`deployed`]: whether all that is deployed could still be pulled
//! - [`secrets`]: the SOPS files of a tip, judged
//! - [`report`]: what a pass did
//! - [`error`]: what goes wrong

pub mod commits;
pub mod deployed;
pub mod engine;
pub mod error;
pub mod follow;
mod lineages;
mod placing;
pub mod proof;
pub mod report;
pub mod secrets;
pub mod survey;
pub mod tree;

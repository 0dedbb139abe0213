//! One pass: fetch, candidates, plan, gates, commit, push; and again on the new tip when someone else was first.
//!
//! - [`engine`]: the pass itself
//! - [`task`]: what it is for
//! - [`intended`]: what a task comes to on a tip
//! - [`past`]: what happened on the branch, and what is held because of it
//! - [`read_back`]: the history that this is read from, no further back than it takes
//! - [`commits`]: a gated plan to commits
//! - `push`: the push, made sure of
//! - [`tree`]: the image fields of a tip; what did not change is not read again
//! - `folder`: its folders
//! - [`follow`]: from what the registries have to a plan whose images are proved
//! - `round`: what the registries have of all images
//! - `survey`: what a registry has of one image
//! - `kept`: what is kept of that from one pass to the next
//! - `unfinished`: how far a look is that takes longer than a pass
//! - `builds`: which tags are of one build, and which are commits though they are digits alone
//! - `placing`: where tags stand in the history of the branch that their images are built from
//! - `lineages`: those histories, each fetched once
//! - [`proof`]: the images that would be written, asked for once more
//! - [`deployed`]: whether all that is deployed could still be pulled
//! - `propose`: the branch for proposals, and the pull request
//! - [`pull_secrets`]: whether pods could pull what would be written
//! - [`rotation`]: new data keys for SOPS files
//! - [`secrets`]: the SOPS files of a tip, judged
//! - [`report`]: what a pass did
//! - [`status`]: how each image stands
//! - [`explain`]: why an image stands as it does, step by step
//! - [`error`]: what goes wrong

mod builds;
pub mod commits;
pub mod deployed;
pub mod engine;
pub mod error;
pub mod explain;
mod folder;
pub mod follow;
pub mod intended;
mod kept;
mod lineages;
pub mod past;
mod placing;
pub mod proof;
mod propose;
pub mod pull_secrets;
mod push;
pub mod read_back;
pub mod report;
pub mod rotation;
mod round;
pub mod secrets;
pub mod status;
mod survey;
pub mod task;
pub mod tree;
mod unfinished;

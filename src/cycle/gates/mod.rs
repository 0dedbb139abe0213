//! What an update has to pass before it is written.
//!
//! - [`gate`]: what a gate is
//! - [`list`]: all gates, in their order, and the way through them
//! - [`held`]: nothing that is held is written
//! - [`image`]: the image is in its registry, and whole
//! - [`age`]: the image is old enough for its policy
//! - [`taken_back`]: nothing is written that is older than what was taken back
//! - [`closed_proposals`]: nothing is written that was proposed and turned down
//! - [`encrypted`]: a field within a SOPS file can be edited
//! - [`secrets`]: the SOPS files that are deployed with the field decrypt
//! - [`pull_secrets`]: the pods that run the image could pull it
//! - [`suspended`]: automation is not suspended

pub mod age;
pub mod closed_proposals;
pub mod encrypted;
pub mod gate;
pub mod held;
pub mod image;
pub mod list;
pub mod pull_secrets;
pub mod secrets;
pub mod suspended;
pub mod taken_back;

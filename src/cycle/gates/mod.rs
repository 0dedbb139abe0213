//! The checks that an update has to pass before it is written.
//!
//! - [`gate`]: the trait of gates, and their verdicts
//! - [`list`]: the list of all gates, and the function that takes a plan through them
//! - [`held`]: keeps back what is held
//! - [`image`]: requires that the image is complete in its registry
//! - [`same_bytes`]: requires that a tag still is the image that was proven in the stage before
//! - [`age`]: requires that the image is old enough for its policy
//! - [`older`]: keeps back what is older than what the field holds
//! - [`taken_back`]: keeps back what may be older than something that was replaced
//! - [`closed_proposals`]: keeps back what was proposed and rejected
//! - [`encrypted`]: requires that a field in a SOPS file can be edited
//! - [`secrets`]: requires that the SOPS files that are deployed with the field decrypt
//! - [`pull_secrets`]: requires that the pull secrets of the image's pods fit
//! - [`signatures`]: requires the proof of origin that the policy of the image asks for
//! - [`strike`]: lets policies with a fallback choose another tag than a flawed one
//! - [`moved`]: requires that tags still point to the images that were verified
//! - [`window`]: requires that the deployment windows of the stage are still open
//! - [`suspended`]: keeps everything back while automation is suspended

pub mod age;
pub mod closed_proposals;
pub mod encrypted;
pub mod gate;
pub mod held;
pub mod image;
pub mod list;
pub mod moved;
pub mod older;
pub mod pull_secrets;
pub mod same_bytes;
pub mod secrets;
pub mod signatures;
pub mod strike;
pub mod suspended;
pub mod taken_back;
pub mod window;

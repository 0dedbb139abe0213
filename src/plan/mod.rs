//! Plans: the updates that follow from fields and candidates, and those of them that may be written.
//!
//! - [`approvals`]: approvals and acknowledgments, from orders about stages
//! - [`approved_promotion`]: records of approvals that were given at the forge
//! - [`audit`]: moves into a stage that lack what it requires
//! - [`automatic_rollback`]: whether a commit that the cluster could not apply may be taken back
//! - [`batch`]: the distribution of updates to commits
//! - [`broken_glass`]: stages whose conditions were skipped
//! - [`candidates`]: the tags of an image that a policy may choose
//! - [`commit_signature`]: the signature of a commit, for people
//! - [`decide`]: makes a plan from fields and candidates
//! - [`fallback`]: falls back to the next best tag if the best one is broken
//! - [`figures`]: how often and how fast versions are deployed, and taken back
//! - [`findings`]: the findings about an image: all of its tags, or the choices for its fields
//! - [`forced`]: records of updates that a person forced past a gate
//! - [`gate`]: makes a gated plan from a plan; commits are made from nothing else
//! - [`history_entry`]: the moves of fields with who made them and why
//! - [`hold`]: holds, from the history of fields and by name
//! - [`message`]: the subject and the trailers of a commit
//! - [`never_back`]: compares what an update would write with what its field holds
//! - [`order_record`]: the record of what put a version in its place in the order
//! - [`origin`]: the proven origin of an image
//! - [`proposal`]: the text of a pull request, and the holds of closed ones
//! - `reverted`: the commit that a message says it reverts
//! - [`rollback`]: plans for fields that return to earlier versions
//! - [`skip`]: the fields and tags that do not move, with the reasons
//! - [`stage_order`]: orders about stages, as trailers
//! - [`template`]: templates for commit messages
//! - [`together`]: values that are the tag of several images
//! - [`trailer`]: the trailers of a commit
//! - [`tree_config`]: the configuration of a tree
//! - [`undone`]: orders that were taken back by reverting their commits
//! - [`unmatched`]: policies that govern nothing
//! - `version_text`: versions in trailers

pub mod approvals;
pub mod approved_promotion;
pub mod audit;
pub mod automatic_rollback;
pub mod batch;
pub mod broken_glass;
pub mod candidates;
pub mod commit_signature;
pub mod decide;
pub mod fallback;
pub mod figures;
pub mod findings;
pub mod forced;
pub mod gate;
pub mod history_entry;
pub mod hold;
pub mod message;
pub mod never_back;
pub mod order_record;
pub mod origin;
pub mod proposal;
mod reverted;
pub mod rollback;
pub mod skip;
pub mod stage_order;
pub mod template;
pub mod together;
pub mod trailer;
pub mod tree_config;
pub mod undone;
pub mod unmatched;
mod version_text;

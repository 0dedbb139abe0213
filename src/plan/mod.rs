//! From fields and candidates to what shall change, and only what may.
//!
//! - [`batch`]: how updates are dealt out to commits
//! - [`candidates`]: the tags of an image that a policy may choose
//! - [`decide`]: fields and candidates to a plan
//! - [`fallback`]: the next best tag where the best is broken
//! - [`findings`]: what was found out of an image, or what follows from it
//! - [`gate`]: a plan to a gated plan, the only thing that a commit is made from
//! - [`hold`]: what is held, by the history of fields and by name
//! - [`message`]: the subject and the trailers of a commit
//! - [`proposal`]: what a pull request says, and what one that was closed holds
//! - [`rollback`]: fields that return to what they held before
//! - [`skip`]: what does not move, and why
//! - [`template`]: the words of a commit's message
//! - [`trailer`]: what the trailers of a commit say
//! - [`tree_config`]: what is configured for a tree

pub mod batch;
pub mod candidates;
pub mod decide;
pub mod fallback;
pub mod findings;
pub mod gate;
pub mod hold;
pub mod message;
pub mod proposal;
pub mod rollback;
pub mod skip;
pub mod template;
pub mod trailer;
pub mod tree_config;

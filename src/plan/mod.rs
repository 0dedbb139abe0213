//! From fields and candidates to what shall change, and only what may.
//!
//! - [`batch`]: how updates are dealt out to commits
//! - [`decide`]: fields and candidates to a plan
//! - [`gate`]: a plan to a gated plan, the only thing that a commit is made from
//! - [`intent`]: what the configuration asks of a tree
//! - [`message`]: the subject and the trailers of a commit
//! - [`skip`]: what does not move, and why
//! - [`template`]: the words of a commit's message

pub mod batch;
pub mod decide;
pub mod gate;
pub mod intent;
pub mod message;
pub mod skip;
pub mod template;

//! From fields and candidates to what shall change, and only what may.
//!
//! - [`decide`]: fields and candidates to a plan
//! - [`fallback`]: the next best tag where the best is broken
//! - [`gate`]: a plan to a gated plan, the only thing that a commit is made from
//! - [`hold`]: what is held, by the history of fields and by name
//! - [`intent`]: what the configuration asks of a tree
//! - [`message`]: the commit's message with its trailers
//! - [`skip`]: what does not move, and why
//! - [`trailer`]: what the trailers of a commit say

pub mod decide;
pub mod fallback;
pub mod gate;
pub mod hold;
pub mod intent;
pub mod message;
pub mod skip;
pub mod trailer;

//! The checks that stages require of what was deployed: asked about once per cycle, and only where something waits for
//! them.
//!
//! - [`question`]: what is asked, and what is found
//! - [`sources`]: the forge and the cluster, which know
//! - [`heard`]: the knowledge of a cycle
//! - `kept`: checks that have passed, for later cycles
//! - [`error`]: the reasons for which nothing is known

pub mod error;
pub mod heard;
mod kept;
pub mod question;
pub mod sources;

//! `tagalong demo`: the whole loop on one machine, with an embedded registry and a temporary repository.
//!
//! - [`registry`]: the embedded registry, which tests also use
//! - [`infrastructure`]: a small infrastructure repository
//! - [`sandbox`]: both, and an engine that works on them
//! - [`screen`]: where it is shown
//! - [`story`]: the steps of the demo
//! - [`stages_story`]: the steps of the demo about stages
//! - [`error`]: why it cannot continue

pub mod error;
pub mod infrastructure;
pub mod registry;
pub mod sandbox;
pub mod screen;
pub mod stages_story;
pub mod story;

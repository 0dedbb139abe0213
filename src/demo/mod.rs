//! `tagalong demo`: the whole loop on one machine, with an embedded registry and a temporary repository.
//!
//! - [`registry`]: the embedded registry, which tests use too
//! - [`infrastructure`]: a small infrastructure repository
//! - [`story`]: what is shown, in order

pub mod infrastructure;
pub mod registry;
pub mod story;

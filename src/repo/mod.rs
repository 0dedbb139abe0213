//! The repository side: git on a bare clone, without a work tree and without a git binary.
//!
//! Everything here blocks; callers on an async runtime say so to it.
//!
//! - [`config`]: what it has to be told
//! - [`error`]: what goes wrong
//! - [`deadline`]: timeouts for the network
//! - [`known_hosts`]: which host keys are trusted
//! - [`remote`]: the connection: credentials, host keys, the server's words
//! - [`folder`]: where a clone lives, and who holds it
//! - [`clone`]: the bare clone: fetch, write
//! - [`tree`]: and read
//! - [`push`]: a push that replaces what it expects to replace, or nothing
//! - `local`: the same for a repository on this machine

pub mod clone;
pub mod config;
pub mod deadline;
pub mod error;
pub mod folder;
pub mod known_hosts;
mod local;
pub mod push;
pub mod remote;
pub mod tree;

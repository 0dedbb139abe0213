//! The repository side: git on a bare clone, without a work tree and without a git binary.
//!
//! Everything here blocks; callers on an async runtime say so to it.
//!
//! - [`config`]: what it has to be told
//! - [`error`]: what goes wrong
//! - [`known_hosts`]: which host keys are trusted
//! - `credentials`: what a remote is shown
//! - `transport`: connections over ssh and http
//! - [`remote`]: one conversation with the remote
//! - [`fetch`]: bringing over what the remote's branch has
//! - [`history`]: which commits changed which files
//! - `walk`: in which order they are read
//! - [`checkpoint`]: what was made of the history that ends at a commit, kept between runs
//! - [`folder`]: where a clone lives, and who holds it
//! - [`clone`]: the bare clone: make, write
//! - [`tree`]: and read
//! - [`source`]: the repositories that images are built from: how they are reached, and their history
//! - `signing`: signatures of commits by SSH and OpenPGP keys
//! - [`proposal`]: what stands on the branch for proposals
//! - [`push`]: a push that replaces what it expects to replace, or nothing
//! - `local`: a repository on this machine, whose objects are read where they are

pub mod checkpoint;
pub mod clone;
pub mod config;
mod credentials;
pub mod error;
pub mod fetch;
pub mod folder;
pub mod history;
pub mod known_hosts;
mod local;
pub mod proposal;
pub mod push;
pub mod remote;
mod signing;
pub mod source;
mod transport;
pub mod tree;
mod walk;

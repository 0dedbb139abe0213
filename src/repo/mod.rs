//! git on a bare clone, without a work tree and without a git binary.
//!
//! All functions block; callers on an async runtime must allow for that.
//!
//! - [`config`]: the settings
//! - [`access`]: what an operation needs to be allowed to do
//! - [`error`]: what can go wrong
//! - `words`: messages of git servers
//! - `refusal`: tells from a refusal what is missing
//! - [`known_hosts`]: which host keys are trusted
//! - `credentials`: the credentials of a remote
//! - `transport`: connections over ssh and http
//! - [`remote`]: a conversation with the remote
//! - [`metrics`]: how long fetches and pushes take
//! - [`fetch`]: fetching the remote's branch
//! - [`history`]: which commits changed which files
//! - [`line`]: the first-parent line of the branch, with the files that each commit changed
//! - [`merging`]: what a merge would make, and what one has brought
//! - [`modified_files`]: the files that a commit changed in place
//! - `walk`: the order in which commits are read
//! - [`checkout`]: a checkout on this machine
//! - [`checkpoint`]: results about the history of a commit, kept between runs
//! - [`folder`]: the folder of a clone and its lock
//! - `loose`: finds incomplete objects
//! - [`watchdog`]: notices when git does not return from a call
//! - [`clone`]: creating and writing the bare clone
//! - [`tree`]: reading its trees and blobs
//! - [`source`]: access to the repositories that images are built from, and their history
//! - `signing`: signing commits with SSH and OpenPGP keys
//! - [`signers`]: whose commits count
//! - [`replaced`]: what a commit did to files, to compare with what it says
//! - [`proposal`]: what is on the branch for proposals
//! - [`push`]: a push that replaces what it expects to replace, or nothing
//! - `local`: repositories on this machine, whose objects are read in place
//! - `local_push`: a push to such a repository

pub mod access;
pub mod checkout;
pub mod checkpoint;
pub mod clone;
pub mod config;
mod credentials;
pub mod error;
pub mod fetch;
pub mod folder;
pub mod history;
pub mod known_hosts;
pub mod line;
mod local;
mod local_push;
mod loose;
pub mod merging;
pub mod metrics;
pub mod modified_files;
pub mod proposal;
pub mod push;
mod refusal;
pub mod remote;
pub mod replaced;
pub mod signers;
mod signing;
pub mod source;
mod transport;
pub mod tree;
mod walk;
pub mod watchdog;
mod words;

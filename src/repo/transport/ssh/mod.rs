//! git over ssh.
//!
//! - [`address`]: user, host, port and path of a URL, and the command to run
//! - [`host_keys`]: verifying the server's key
//! - [`pem`]: private keys in the old encrypted PEM format
//! - [`login`]: authentication by key, certificate or agent
//! - [`connection`]: making a connection
//! - [`kept`]: connections kept for the next operation
//! - [`stream`]: an exchange on a channel, as libgit2 reads and writes it

pub mod address;
pub mod connection;
pub mod host_keys;
pub mod kept;
pub mod login;
pub mod pem;
pub mod stream;

//! git over ssh.
//!
//! - [`address`]: user, host, port and path of a URL, and the command for the server
//! - [`host_keys`]: whether the server is the one it should be
//! - [`pem`]: private keys in the encrypted form of old OpenSSL
//! - [`login`]: showing who we are, by key, certificate or agent
//! - [`connection`]: making a connection
//! - [`kept`]: connections that are kept for the next operation
//! - [`stream`]: one exchange on a channel, as libgit2 reads and writes it

pub mod address;
pub mod connection;
pub mod host_keys;
pub mod kept;
pub mod login;
pub mod pem;
pub mod stream;

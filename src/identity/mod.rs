//! The identity under which registries, forges and git servers know this process, without a stored password.
//!
//! - [`renewed`]: a value that expires, renewed before it does

pub mod renewed;

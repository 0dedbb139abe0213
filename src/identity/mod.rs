//! The identity under which registries, forges and git servers know this process, without a stored password.
//!
//! - [`renewed`]: a value that expires, renewed before it does
//! - [`scope`]: what an access token for a git server or forge is needed for
//! - [`issuer`]: whoever issues access tokens for a git server and its forge
//! - [`token_source`]: where a token for a git server or forge comes from
//! - [`issuer_error`]: the errors of issuers
//! - [`github`]: access tokens of a GitHub App

pub mod github;
pub mod issuer;
pub mod issuer_error;
pub mod renewed;
pub mod scope;
pub mod token_source;

//! The identity under which registries, forges and git servers know this process, without a stored password.
//!
//! Clouds give each workload a token that proves who it is, and that is exchanged for credentials which expire after hours.
//! The variables, files and services are those of the clouds' own SDKs.
//!
//! - [`provider`]: the clouds
//! - [`environment`]: the environment variables
//! - [`azure`]: access tokens of Azure
//! - [`exchange`]: requests that exchange one proof of identity for another
//! - [`step`]: those requests, and what to do if one is refused
//! - [`renewed`]: a value that expires, renewed before it does
//! - [`token_file`]: files with tokens
//! - `xml`: the parts of AWS's XML responses that matter
//! - [`error`]: the errors

pub mod azure;
pub mod environment;
pub mod error;
pub mod exchange;
pub mod provider;
pub mod renewed;
pub mod step;
pub mod token_file;
mod xml;

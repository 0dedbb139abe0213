//! The identity under which registries, forges and git servers know this process, without a stored password.
//!
//! Clouds give each workload a token that proves who it is, and that is exchanged for credentials which expire after hours.
//! The variables, files and services are those of the clouds' own SDKs.
//!
//! - [`provider`]: the clouds
//! - [`environment`]: the environment variables
//! - [`hosts`]: the hosts of the clouds' own registries
//! - [`azure`]: access tokens of Azure
//! - [`azure_devops`]: access tokens for Azure DevOps
//! - [`github`]: access tokens of a GitHub App
//! - [`issuer`]: whoever issues access tokens for a git server and its forge
//! - [`issuer_error`]: the errors of issuers
//! - [`scope`]: what such an access token is needed for
//! - [`token_source`]: where a token for a git server or forge comes from
//! - [`aws`]: credentials of AWS
//! - [`sigv4`]: signatures of AWS
//! - [`ecr`]: passwords for the registries of AWS
//! - [`google`]: access tokens of Google Cloud
//! - `external_account`: the same by workload identity federation
//! - [`exchange`]: requests that exchange one proof of identity for another
//! - [`step`]: those requests, and what to do if one is refused
//! - [`renewed`]: a value that expires, renewed before it does
//! - [`token_file`]: files with tokens
//! - `xml`: the parts of AWS's XML responses that matter
//! - [`error`]: the errors

pub mod aws;
pub mod azure;
pub mod azure_devops;
pub mod ecr;
pub mod environment;
pub mod error;
pub mod exchange;
mod external_account;
pub mod github;
pub mod google;
pub mod hosts;
pub mod issuer;
pub mod issuer_error;
pub mod provider;
pub mod renewed;
pub mod scope;
pub mod sigv4;
pub mod step;
pub mod token_file;
pub mod token_source;
mod xml;

//! Where a token for a git server or forge comes from.

use std::fmt;
use std::path::PathBuf;

use super::issuer::Issuer;

/// Where a token for a git server or forge comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// A file, which is read each time.
    File(PathBuf),
    /// An issuer of access tokens.
    Issuer(Issuer),
}

impl TokenSource {
    /// Returns the issuer, if there is one.
    pub fn issuer(&self) -> Option<&Issuer> {
        match self {
            TokenSource::File(_) => None,
            TokenSource::Issuer(issuer) => Some(issuer),
        }
    }
}

impl fmt::Display for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenSource::File(file) => write!(f, "the token from {}", file.display()),
            TokenSource::Issuer(issuer) => write!(f, "the access token of {issuer}"),
        }
    }
}

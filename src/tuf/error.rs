//! The reasons why no trusted root was fetched.

use std::io;
use std::path::PathBuf;

use url::Url;

use crate::fault::{Explain, Fault};
use crate::sigstore::trusted_root::RootError;

/// The reason why no trusted root was fetched.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum TufError {
    /// The root to begin with is not one.
    #[error("the root metadata to begin with is invalid")]
    Root { source: Box<sigstore_tuf::Error> },
    /// The repository did not answer properly.
    #[error("cannot fetch the trusted root from {mirror}")]
    Unreachable { mirror: String, source: Box<sigstore_tuf::Error> },
    /// What it has is not trusted.
    #[error("refusing what {mirror} has")]
    Refused { mirror: String, source: Box<sigstore_tuf::Error> },
    /// What it has is signed, and still not a trusted root.
    #[error("refusing what {mirror} has")]
    Unusable { mirror: String, source: RootError },
    /// There are no certificate authorities for TLS.
    #[error("cannot use TLS")]
    Tls { source: reqwest::Error },
    /// The folder with what was verified before cannot be made.
    #[error("cannot create {}", path.display())]
    Folder { path: PathBuf, source: io::Error },
}

impl TufError {
    /// Tells what could not be fetched from what is not trusted.
    pub(super) fn of(mirror: &Url, source: sigstore_tuf::Error) -> TufError {
        let (mirror, source) = (mirror.to_string(), Box::new(source));
        match *source {
            sigstore_tuf::Error::Transport { .. } => TufError::Unreachable { mirror, source },
            _ => TufError::Refused { mirror, source },
        }
    }
}

impl Explain for TufError {
    fn fault(&self) -> Fault {
        match self {
            TufError::Root { .. } => Fault::BadInput,
            TufError::Unreachable { .. } => Fault::Transient,
            TufError::Refused { .. } | TufError::Unusable { .. } => Fault::Blocked,
            TufError::Tls { .. } | TufError::Folder { .. } => Fault::Local,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            TufError::Root { .. } => {
                "--root takes the root metadata of the instance, such as 1.root.json of its TUF repository".to_owned()
            }
            TufError::Unreachable { .. } => {
                "--mirror names another address of the same repository; the file stays as it was".to_owned()
            }
            TufError::Refused { source, .. } if matches!(**source, sigstore_tuf::Error::Expired { .. }) => {
                "the mirror may be out of date, or the clock of this machine wrong; the file stays as it was".to_owned()
            }
            TufError::Refused { .. } => {
                "the mirror may be out of date or belong to another instance, whose root --root names; the file stays as it was"
                    .to_owned()
            }
            TufError::Unusable { .. } | TufError::Tls { .. } | TufError::Folder { .. } => return None,
        })
    }
}

//! What goes wrong with a delivery. URLs of webhooks are secrets; only their hosts are named.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::fault::{Explain, Fault};

/// What goes wrong with a delivery.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The file with the URL or token cannot be read.
    #[error("cannot read {}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What should be a URL is none.
    #[error("what should be the URL of the channel is none")]
    NoUrl,
    /// A certificate authority cannot be used.
    #[error("{}: {reason}", file.display())]
    Authorities {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// The template failed on this event.
    #[error("the template fails: {0}")]
    Template(String),
    /// The service could not be reached.
    #[error("cannot reach {host}: {reason}")]
    Unreachable {
        /// Its host.
        host: String,
        /// Why.
        reason: String,
    },
    /// The service did not take it.
    #[error("{host} answered with status {status}")]
    Refused {
        /// Its host.
        host: String,
        /// The status.
        status: u16,
        /// How long it wants to be left alone.
        wait: Option<Duration>,
    },
}

impl NotifyError {
    /// Whether another try may help.
    pub fn is_transient(&self) -> bool {
        match self {
            NotifyError::Unreachable { .. } => true,
            NotifyError::Refused { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
            _ => false,
        }
    }
}

impl Explain for NotifyError {
    fn fault(&self) -> Fault {
        match self {
            NotifyError::Unreachable { .. } => Fault::Transient,
            NotifyError::Refused { status: 401 | 403 | 404 | 410, .. } => Fault::Denied,
            NotifyError::Refused { .. } => Fault::Transient,
            _ => Fault::BadInput,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            NotifyError::Unreadable { .. } | NotifyError::NoUrl => {
                "check the file that the channel names under `notify`".to_owned()
            }
            NotifyError::Authorities { .. } => "give a file of PEM certificates".to_owned(),
            NotifyError::Template(_) => "docs/configuration.md lists what a template can name".to_owned(),
            NotifyError::Unreachable { reason, .. }
                if reason.contains("certificate") || reason.contains("UnknownIssuer") =>
            {
                "name the certificate authority in the channel's caFile".to_owned()
            }
            NotifyError::Unreachable { .. } => "check the network, and that the service runs".to_owned(),
            NotifyError::Refused { status: 401 | 403 | 404 | 410, .. } => {
                "check the channel's URL or token, and what it may do".to_owned()
            }
            NotifyError::Refused { status: 429, .. } => "raise the channel's `pause`".to_owned(),
            NotifyError::Refused { .. } => "look at the service's own log".to_owned(),
        })
    }
}

//! The errors of a delivery. URLs of webhooks are secrets; only their hosts are named.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::fault::{Explain, Fault, documentation};
use crate::http::ConnectionFailure;
use crate::http::complaint::Complaint;
use crate::http::redirect::RedirectError;
use crate::identity::issuer_error::IssuerError;

/// A failed delivery.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages name the fields")]
pub enum NotifyError {
    /// The file with the URL or token cannot be read.
    #[error("cannot read {}", file.display())]
    Unreadable { file: PathBuf, source: io::Error },
    /// The file is empty.
    #[error("{} is empty", file.display())]
    Empty { file: PathBuf },
    /// The URL is invalid. It is not repeated.
    #[error("the URL of the channel is not a valid http or https URL")]
    InvalidUrl,
    /// No access token was issued for us.
    #[error(transparent)]
    Identity(#[from] IssuerError),
    /// The certificate authorities cannot be used.
    #[error("cannot use the certificates in {}: {reason}", file.display())]
    Authorities { file: PathBuf, reason: String },
    /// The template failed on this event.
    #[error("the template failed: {0}")]
    Template(String),
    /// The service could not be reached.
    #[error("cannot reach {host}: {reason}")]
    Unreachable { host: String, reason: String, failure: ConnectionFailure },
    /// A token or content type cannot be sent as a header. It is not repeated.
    #[error("cannot notify {host}: its token or content type contains a line break or another control character")]
    InvalidHeader { host: String },
    /// The service redirected the request, which is not sent elsewhere.
    #[error("cannot notify {host}: {problem}")]
    Redirected { host: String, problem: RedirectError },
    /// The service rejected the request.
    #[error("{host} responded with status {status}{}", Complaint::appended(complaint.message.as_ref()))]
    Refused { host: String, status: u16, wait: Option<Duration>, complaint: Complaint },
}

impl NotifyError {
    /// Returns whether another attempt may help.
    pub fn is_transient(&self) -> bool {
        match self {
            NotifyError::Unreachable { .. } => true,
            NotifyError::Identity(error) => error.fault() == Fault::Transient,
            NotifyError::Refused { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
            _ => false,
        }
    }
}

impl Explain for NotifyError {
    fn fault(&self) -> Fault {
        match self {
            NotifyError::Unreachable { .. } => Fault::Transient,
            NotifyError::Identity(error) => error.fault(),
            NotifyError::Refused { status: 401 | 403 | 404 | 410, .. } => Fault::Denied,
            NotifyError::Refused { .. } | NotifyError::Redirected { .. } => Fault::Transient,
            _ => Fault::BadInput,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            NotifyError::Identity(error) => return error.help(),
            NotifyError::Redirected { problem, .. } => {
                format!("if the service is at {} now, configure that URL for this channel under `notify`", problem.to)
            }
            NotifyError::Unreadable { .. }
            | NotifyError::Empty { .. }
            | NotifyError::InvalidUrl
            | NotifyError::InvalidHeader { .. } => {
                "check the file or variable of this channel under `notify`".to_owned()
            }
            NotifyError::Authorities { .. } => "use a file of PEM certificates".to_owned(),
            NotifyError::Template(_) => {
                format!("{} lists the variables of templates", documentation("configuration.md#notify"))
            }
            NotifyError::Unreachable { failure: ConnectionFailure::Certificate, .. } => {
                "set the channel's caFile to the service's certificate authority".to_owned()
            }
            NotifyError::Unreachable { .. } => "check the network, and that the service is running".to_owned(),
            NotifyError::Refused { complaint: Complaint { lacks: Some(lacks), .. }, .. } => {
                format!("give the channel's token {lacks}")
            }
            NotifyError::Refused { status: 401 | 403 | 404 | 410, .. } => {
                "check the channel's URL or token, and its permissions".to_owned()
            }
            NotifyError::Refused { status: 429, .. } => "raise the channel's `pause`".to_owned(),
            NotifyError::Refused { .. } => "check the service's own log".to_owned(),
        })
    }
}

//! The errors of a forge.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::fault::{Explain, Fault};
use crate::http::complaint::Complaint;
use crate::http::redirect::RedirectError;
use crate::identity::issuer_error::IssuerError;
use crate::identity::token_source::TokenSource;

/// A failed request to a forge.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages name the fields")]
pub enum ForgeError {
    /// The file with the token cannot be read.
    #[error("cannot read the token in {}", file.display())]
    TokenFile { file: PathBuf, source: io::Error },
    /// The token was rejected, or lacks a permission.
    #[error("{host} rejected {token} ({status}) for {what}{}", Complaint::appended(complaint.message.as_ref()))]
    Denied { host: String, token: TokenSource, status: u16, what: String, complaint: Box<Complaint> },
    /// The user of the token may not push to the repository.
    #[error("the user of {token} may not push to {repository} on {host}")]
    Reader { host: String, repository: String, token: TokenSource },
    /// The repository, or something in it, does not exist, or the token may not see it.
    #[error("{host} found nothing for {what}: it does not have that in {repository}, or does not show it to {token}{}", Complaint::appended(complaint.message.as_ref()))]
    NotFound { host: String, repository: String, token: TokenSource, what: String, complaint: Box<Complaint> },
    /// No access token was issued for us.
    #[error(transparent)]
    Identity(#[from] IssuerError),
    /// The connection failed.
    #[error("cannot reach the forge {host}: {reason}")]
    Unreachable { host: String, reason: String },
    /// The forge did not respond in time.
    #[error("the forge {host} did not respond within {} s", after.as_secs())]
    TimedOut { host: String, after: Duration },
    /// The forge has a problem, or asks for a later retry.
    #[error("{host} responded with {status} to {what}{}{}", Complaint::appended(message.as_ref()), wait.map(|wait| format!("; it asks to wait {} s", wait.as_secs())).unwrap_or_default())]
    Unavailable { host: String, status: u16, what: String, message: Option<String>, wait: Option<Duration> },
    /// The forge refused the request for another reason.
    #[error("{host} refused {what} ({status}): {message}")]
    Refused { host: String, what: String, status: u16, message: String },
    /// The forge redirected the request in a way that is not followed.
    #[error("cannot send {what} to {host}: {problem}")]
    Redirected { host: String, what: String, problem: RedirectError },
    /// The response does not match the API's schema.
    #[error("{host} gave an unexpected response to {what}: {reason}")]
    InvalidResponse { host: String, what: String, reason: String },
}

impl Explain for ForgeError {
    fn fault(&self) -> Fault {
        match self {
            ForgeError::Identity(error) => error.fault(),
            ForgeError::TokenFile { .. } => Fault::BadInput,
            ForgeError::Denied { .. } | ForgeError::Reader { .. } | ForgeError::NotFound { .. } => Fault::Denied,
            ForgeError::Unreachable { .. }
            | ForgeError::TimedOut { .. }
            | ForgeError::Unavailable { .. }
            | ForgeError::Redirected { .. }
            | ForgeError::InvalidResponse { .. } => Fault::Transient,
            ForgeError::Refused { .. } => Fault::Refused,
        }
    }

    fn help(&self) -> Option<String> {
        if let ForgeError::Identity(error) = self {
            return error.help();
        }
        Some(match (self, self.lacks()) {
            (ForgeError::NotFound { .. }, Some(lacks)) => {
                format!("check the path of git.url and the URL of the forge; the token needs {lacks}")
            }
            (ForgeError::Denied { token: TokenSource::Issuer(issuer), .. }, Some(lacks)) => {
                format!("give {issuer} {lacks}")
            }
            (_, Some(lacks)) => {
                format!("give the token in git.pullRequest.tokenFile (or git.forge.tokenFile) {lacks}")
            }
            (error, None) => error.usual_help(),
        })
    }
}

impl ForgeError {
    /// Returns what the token lacks, if the forge tells.
    fn lacks(&self) -> Option<&String> {
        match self {
            ForgeError::Denied { complaint, .. } | ForgeError::NotFound { complaint, .. } => complaint.lacks.as_ref(),
            _ => None,
        }
    }

    fn usual_help(&self) -> String {
        match self {
            ForgeError::TokenFile { .. } => {
                "check git.pullRequest.tokenFile (or git.forge.tokenFile) and its permissions".to_owned()
            }
            ForgeError::Reader { .. } => {
                "give the user write access to the repository (GitLab: at least the role Developer)".to_owned()
            }
            ForgeError::Denied { token: TokenSource::Issuer(_), .. } => {
                "check that the forge is the one that knows the identity under `git`".to_owned()
            }
            ForgeError::Denied { .. } => {
                "check git.pullRequest.tokenFile (or git.forge.tokenFile); the token must be allowed to read the \
                 repository and to write its pull requests, issues and labels; for stages, also to read commit \
                 statuses and check runs"
                    .to_owned()
            }
            ForgeError::NotFound { .. } => {
                "check the path of git.url, the URL of the forge, and the permissions of the token".to_owned()
            }
            ForgeError::Unreachable { .. } | ForgeError::TimedOut { .. } => {
                "check git.pullRequest.url (or git.forge.url), the network, and that the forge is running".to_owned()
            }
            ForgeError::Identity(_) | ForgeError::Unavailable { .. } => "the next cycle retries".to_owned(),
            ForgeError::Refused { .. } => "check the pull requests of the repository".to_owned(),
            ForgeError::Redirected { problem, .. } => {
                format!("if that is where the forge's API is now, set git.pullRequest.url to it ({}/…)", problem.to)
            }
            ForgeError::InvalidResponse { .. } => {
                "check git.pullRequest.url and git.pullRequest.forge, and that the product's API is available there"
                    .to_owned()
            }
        }
    }
}

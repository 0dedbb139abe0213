//! What goes wrong at the forge.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::fault::{Explain, Fault};

/// What goes wrong at the forge.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// The file with the token cannot be read.
    #[error("cannot read the token in {}", file.display())]
    TokenFile {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The token was refused, or may not do this.
    #[error("{host} refused the token from {} ({status}) for {what}", file.display())]
    Denied {
        /// The host.
        host: String,
        /// The file of the token.
        file: PathBuf,
        /// The HTTP status.
        status: u16,
        /// What was asked for.
        what: String,
    },
    /// There is no such repository, as far as this token may see.
    #[error("{host} knows no {repository}, or does not show it to the token from {}", file.display())]
    NotFound {
        /// The host.
        host: String,
        /// The repository.
        repository: String,
        /// The file of the token.
        file: PathBuf,
    },
    /// No connection, or a broken one.
    #[error("cannot reach the forge {host}: {reason}")]
    Unreachable {
        /// The host.
        host: String,
        /// Why.
        reason: String,
    },
    /// No answer in time.
    #[error("the forge {host} did not answer within {} s", after.as_secs())]
    TimedOut {
        /// The host.
        host: String,
        /// How long was waited.
        after: Duration,
    },
    /// It is in trouble, or wants to be asked later.
    #[error("{host} answered {status} to {what}{}", wait.map(|wait| format!("; it asks to wait {} s", wait.as_secs())).unwrap_or_default())]
    Unavailable {
        /// The host.
        host: String,
        /// The HTTP status.
        status: u16,
        /// What was asked for.
        what: String,
        /// How long it asks to wait.
        wait: Option<Duration>,
    },
    /// It said no.
    #[error("{host} refused {what} ({status}): {words}")]
    Refused {
        /// The host.
        host: String,
        /// What was asked for.
        what: String,
        /// The HTTP status.
        status: u16,
        /// Its words.
        words: String,
    },
    /// The answer is not what its API promises.
    #[error("{host} gave an answer to {what} that its API does not promise: {reason}")]
    InvalidResponse {
        /// The host.
        host: String,
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Explain for ForgeError {
    fn fault(&self) -> Fault {
        match self {
            ForgeError::TokenFile { .. } => Fault::BadInput,
            ForgeError::Denied { .. } | ForgeError::NotFound { .. } => Fault::Denied,
            ForgeError::Unreachable { .. }
            | ForgeError::TimedOut { .. }
            | ForgeError::Unavailable { .. }
            | ForgeError::InvalidResponse { .. } => Fault::Transient,
            ForgeError::Refused { .. } => Fault::Refused,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            ForgeError::TokenFile { .. } => "check git.pullRequest.tokenFile and who may read it".to_owned(),
            ForgeError::Denied { .. } => {
                "check git.pullRequest.tokenFile; the token needs to read the repository and to write pull requests, \
                 issues and labels of it"
                    .to_owned()
            }
            ForgeError::NotFound { .. } => {
                "check the path of git.url, git.pullRequest.url, and what the token may see".to_owned()
            }
            ForgeError::Unreachable { .. } | ForgeError::TimedOut { .. } => {
                "check git.pullRequest.url, the network and that the forge runs".to_owned()
            }
            ForgeError::Unavailable { .. } => "the next cycle asks again".to_owned(),
            ForgeError::Refused { .. } => "look at the pull requests of the repository".to_owned(),
            ForgeError::InvalidResponse { .. } => {
                "check git.pullRequest.url and git.pullRequest.forge: that product's API has to be there".to_owned()
            }
        })
    }
}

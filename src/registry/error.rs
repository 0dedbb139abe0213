//! What goes wrong on the registry side.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::fault::{Explain, Fault};
use crate::image::Repository;

/// What goes wrong on the registry side.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RegistryError {
    /// The repository is not there.
    #[error("{0}: the registry has no such repository")]
    NoRepository(Repository),
    /// The tag or digest is not there.
    #[error("{image}: the registry has no such image")]
    NoImage {
        /// The whole reference.
        image: String,
    },
    /// The image is there, but not all of it.
    #[error("{image} is not whole: {}", flaws.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Incomplete {
        /// The whole reference.
        image: String,
        /// What is missing or wrong.
        flaws: Vec<Flaw>,
    },
    /// No credentials are configured for a host that wants some.
    #[error("{host} wants credentials and none are configured")]
    NoCredentials {
        /// The host.
        host: String,
    },
    /// The credentials were refused.
    #[error("{host} refused the credentials from {from} for {what}")]
    Denied {
        /// The host.
        host: String,
        /// The file.
        from: String,
        /// What was asked for.
        what: String,
    },
    /// Too many requests.
    #[error("{host} limits the rate of requests{}", wait.map(|w| format!("; it asks to wait {} s", w.as_secs_f64().ceil())).unwrap_or_default())]
    RateLimited {
        /// The host.
        host: String,
        /// How long the registry asks to wait.
        wait: Option<Duration>,
    },
    /// No connection, or a broken one.
    #[error("cannot reach {host}: {reason}")]
    Unreachable {
        /// The host.
        host: String,
        /// Why.
        reason: String,
    },
    /// No answer in time.
    #[error("{host} did not answer within {} s", after.as_secs())]
    TimedOut {
        /// The host.
        host: String,
        /// How long was waited.
        after: Duration,
    },
    /// The server is in trouble.
    #[error("{host} answered {status} to {what}")]
    ServerError {
        /// The host.
        host: String,
        /// The HTTP status.
        status: u16,
        /// What was asked for.
        what: String,
    },
    /// Whatever answers there, it does not speak the distribution API.
    #[error("{host} is no registry: {reason}")]
    NotARegistry {
        /// The host.
        host: String,
        /// What gave it away.
        reason: String,
    },
    /// The answer cannot be right.
    #[error("{host} gave a broken answer to {what}: {reason}")]
    InvalidResponse {
        /// The host.
        host: String,
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file with credentials cannot be used.
    #[error("cannot use the credentials in {}: {reason}", file.display())]
    CredentialsFile {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file with the certificate authority cannot be used.
    #[error("cannot use the certificates in {}: {reason}", file.display())]
    CaFile {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
}

/// What is wrong with a part of an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flaw {
    /// Which part: `a layer of linux/amd64`.
    pub what: String,
    /// Its digest.
    pub digest: String,
    /// What is wrong: `is missing`.
    pub problem: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.what, self.digest, self.problem)
    }
}

impl RegistryError {
    /// Whether asking again may help.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            RegistryError::RateLimited { .. }
                | RegistryError::Unreachable { .. }
                | RegistryError::TimedOut { .. }
                | RegistryError::ServerError { .. }
        )
    }

    /// Whether it took as long as a request may take: asking again would hold up others for as long again.
    pub(super) fn used_full_timeout(&self) -> bool {
        matches!(self, RegistryError::TimedOut { .. })
    }

    /// Whether it is this very image that is at fault, not the registry as a whole.
    pub fn concerns_image(&self) -> bool {
        self.is_not_found() || matches!(self, RegistryError::Incomplete { .. } | RegistryError::InvalidResponse { .. })
    }

    /// Whether the registry said with authority that the image is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, RegistryError::NoRepository(_) | RegistryError::NoImage { .. })
    }
}

impl Explain for RegistryError {
    fn fault(&self) -> Fault {
        match self {
            RegistryError::NoRepository(_) | RegistryError::NoImage { .. } | RegistryError::Incomplete { .. } => {
                Fault::Blocked
            }
            RegistryError::NoCredentials { .. } | RegistryError::Denied { .. } => Fault::Denied,
            RegistryError::CredentialsFile { .. } | RegistryError::CaFile { .. } => Fault::BadInput,
            RegistryError::RateLimited { .. }
            | RegistryError::Unreachable { .. }
            | RegistryError::TimedOut { .. }
            | RegistryError::ServerError { .. }
            | RegistryError::NotARegistry { .. }
            | RegistryError::InvalidResponse { .. } => Fault::Transient,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            RegistryError::NoRepository(_) => "check the name, and that a first image was pushed".to_owned(),
            RegistryError::NoImage { .. } => {
                "check the tag; with --wait-image, `set` waits for a push to finish".to_owned()
            }
            RegistryError::Incomplete { .. } => {
                "push the image again; a cleanup of the registry may have taken what it still needs".to_owned()
            }
            RegistryError::NoCredentials { host } => {
                format!(
                    "give a Docker config file with an entry for {host}: registries[].credentialsFile, or REGISTRY_AUTH_FILE"
                )
            }
            RegistryError::Denied { host, .. } => format!("check the entry for {host}: it needs the right to pull"),
            RegistryError::RateLimited { .. } => "poll less often, or sign in for a higher limit".to_owned(),
            RegistryError::Unreachable { reason, host }
                if reason.contains("certificate") || reason.contains("UnknownIssuer") =>
            {
                format!("name the certificate authority of {host} in registries[].caFile")
            }
            RegistryError::Unreachable { reason, host }
                if reason.contains("InvalidContentType") || reason.contains("corrupt message") =>
            {
                format!("if {host} speaks plain http, say so: registries[].plainHttp: true")
            }
            RegistryError::Unreachable { .. } => {
                "check the name of the host, the network and that the registry runs".to_owned()
            }
            RegistryError::TimedOut { .. } | RegistryError::ServerError { .. } => {
                "look at the registry's own log".to_owned()
            }
            RegistryError::NotARegistry { .. } => "check the host and port; the API lives under /v2/".to_owned(),
            RegistryError::InvalidResponse { .. } => "look at the registry's own log and storage".to_owned(),
            RegistryError::CredentialsFile { .. } => {
                "give a Docker config file, as `docker login` writes it".to_owned()
            }
            RegistryError::CaFile { .. } => "give a file of PEM certificates".to_owned(),
        })
    }
}

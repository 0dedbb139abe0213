//! Settings of webhooks.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A sender of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The format of its events.
    pub kind: Kind,
    /// The file with the shared secret; read again for each event.
    pub secret_file: PathBuf,
    /// The host under which its images are deployed, if its events name another one or none.
    pub registry: Option<String>,
}

/// The format of a sender's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Notifications of the distribution registry (its documentation, "Notifications").
    Distribution,
    /// Gitea's and Forgejo's event `package`.
    Gitea,
    /// Harbor's `PUSH_ARTIFACT`, in its own format or as a CloudEvent.
    Harbor,
    /// Docker Hub's webhook.
    DockerHub,
    /// GitHub's events `registry_package` and `package`.
    Ghcr,
    /// Quay's "push to repository".
    Quay,
    /// GitLab's pipeline events, and the notifications of its registry.
    Gitlab,
    /// `{"images": ["ghcr.io/acme/app:1a2b3c4"]}`, for anything that can send a request.
    Generic,
}

impl Kind {
    /// All formats.
    pub const ALL: [Kind; 8] = [
        Kind::Distribution,
        Kind::Gitea,
        Kind::Harbor,
        Kind::DockerHub,
        Kind::Ghcr,
        Kind::Quay,
        Kind::Gitlab,
        Kind::Generic,
    ];

    /// Returns its name in the configuration and in the path.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Distribution => "distribution",
            Kind::Gitea => "gitea",
            Kind::Harbor => "harbor",
            Kind::DockerHub => "dockerhub",
            Kind::Ghcr => "ghcr",
            Kind::Quay => "quay",
            Kind::Gitlab => "gitlab",
            Kind::Generic => "generic",
        }
    }

    /// Whether its sender supports neither signatures nor headers, so that the secret has to be in the URL.
    pub fn supports_urls_only(self) -> bool {
        matches!(self, Kind::DockerHub | Kind::Quay)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error for an unknown kind of webhook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid value `{0}`; expected one of {known}", known = Kind::ALL.map(Kind::as_str).join(", "))]
pub struct KindError(String);

impl FromStr for Kind {
    type Err = KindError;

    fn from_str(text: &str) -> Result<Kind, KindError> {
        let known = Kind::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| KindError(text.to_owned()))
    }
}

//! What webhooks have to be told.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A sender of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// What it sends.
    pub kind: Kind,
    /// The file with the secret that it shares with us; read again for each event.
    pub secret_file: PathBuf,
    /// The host under which its images are deployed, where its events name another one or none.
    pub registry: Option<String>,
}

/// What a sender sends.
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
    /// `{"images": ["ghcr.io/acme/app:1a2b3c4"]}`, for whatever can send a request.
    Generic,
}

impl Kind {
    /// All of them.
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

    /// Its name in the configuration and in the path.
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

    /// Whether its sender can add neither a signature nor a header, so that the secret may stand in the URL.
    pub fn knows_urls_only(self) -> bool {
        matches!(self, Kind::DockerHub | Kind::Quay)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no kind of webhook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not known; there are {known}", known = Kind::ALL.map(Kind::as_str).join(", "))]
pub struct KindError(String);

impl FromStr for Kind {
    type Err = KindError;

    fn from_str(text: &str) -> Result<Kind, KindError> {
        let known = Kind::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| KindError(text.to_owned()))
    }
}

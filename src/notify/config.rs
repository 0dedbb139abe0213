//! What the channels have to be told.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;

use super::event::Kind;
use super::webhook::Body;

/// One channel.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Its name, for logs and metrics.
    pub name: String,
    /// The kinds of events that go to it.
    pub kinds: BTreeSet<Kind>,
    /// At least so long from one message to the next; what happens meanwhile goes into one.
    pub pause: Duration,
    /// PEM file with certificate authorities that are trusted besides those of the system.
    pub ca_file: Option<PathBuf>,
    /// Who is told, and how.
    pub service: Service,
}

/// Who is told, and how.
#[derive(Debug, Clone)]
pub enum Service {
    /// A Slack webhook, or what understands the same (Mattermost, Rocket.Chat).
    Slack {
        /// Its URL.
        url: SecretSource,
    },
    /// A Discord webhook.
    Discord {
        /// Its URL.
        url: SecretSource,
    },
    /// A workflow of Microsoft Teams that takes webhooks.
    Teams {
        /// Its URL.
        url: SecretSource,
    },
    /// A room of Matrix.
    Matrix {
        /// The homeserver: `https://matrix.example.com`.
        server: url::Url,
        /// The room's id.
        room: String,
        /// The access token of a user in it.
        token: SecretSource,
    },
    /// Anything that takes a POST.
    Webhook {
        /// Its URL.
        url: SecretSource,
        /// What is sent.
        body: Body,
        /// A bearer token.
        token: Option<SecretSource>,
        /// The key of an HMAC-SHA256 over the body.
        secret: Option<SecretSource>,
    },
    /// The status of commits at Gitea or Forgejo.
    Gitea(Forge),
    /// The status of commits at GitHub.
    GitHub(Forge),
}

/// A repository at a forge.
#[derive(Debug, Clone)]
pub struct Forge {
    /// Where its API is.
    pub api: url::Url,
    /// `owner/name`.
    pub repository: String,
    /// A token that may set the status of commits.
    pub token: SecretSource,
    /// Whose status it is.
    pub context: String,
}

/// Where a URL or a token is. A file is read anew each time.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// In a file.
    File(PathBuf),
    /// Here; it came from a variable of the environment.
    Value(Secret<String>),
}

//! The settings of the channels.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::identity::issuer::Issuer;

use super::event::Kind;
use super::secret_source::SecretSource;
use super::webhook::Body;

/// One channel.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Its name, for logs and metrics.
    pub name: String,
    /// The kinds of events that it receives.
    pub kinds: BTreeSet<Kind>,
    /// The shortest time between messages; events in the meantime are combined into one.
    pub pause: Duration,
    /// A PEM file with certificate authorities to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// The service that is notified.
    pub service: Service,
}

impl Channel {
    /// Makes commit statuses link to the same page as other messages about the commit.
    pub fn link_like_events(&mut self) {
        if let Service::Gitea(forge) = &mut self.service {
            forge.pages = None;
        }
    }
}

/// A service that is notified.
#[derive(Debug, Clone)]
pub enum Service {
    /// A Slack webhook, or a compatible one (Mattermost, Rocket.Chat).
    Slack {
        /// Its URL.
        url: SecretSource,
    },
    /// A Discord webhook.
    Discord {
        /// Its URL.
        url: SecretSource,
    },
    /// A Microsoft Teams workflow that accepts webhooks.
    Teams {
        /// Its URL.
        url: SecretSource,
    },
    /// A Matrix room.
    Matrix {
        /// The homeserver: `https://matrix.example.com`.
        server: url::Url,
        /// The room's ID.
        room: String,
        /// The access token of a user in the room.
        token: SecretSource,
    },
    /// Any service that accepts a POST.
    Webhook {
        /// Its URL.
        url: SecretSource,
        /// The body of the request.
        body: Body,
        /// A bearer token.
        token: Option<SecretSource>,
        /// The key of an HMAC-SHA256 over the body.
        secret: Option<SecretSource>,
    },
    /// Commit statuses on Gitea or Forgejo.
    Gitea(Forge),
    /// Commit statuses on GitHub.
    GitHub(Forge),
}

/// Where a token for commit statuses comes from.
#[derive(Debug, Clone)]
pub enum StatusToken {
    /// It is stored.
    Stored(SecretSource),
    /// It is issued.
    Issued(Issuer),
}

/// A repository on a forge.
#[derive(Debug, Clone)]
pub struct Forge {
    /// The base URL of its API.
    pub api: url::Url,
    /// The base URL of its pages, if commit statuses link to these instead of what events link to: the repository may have
    /// another address for git than for people.
    pub pages: Option<url::Url>,
    /// `owner/name`.
    pub repository: String,
    /// A token that may set commit statuses.
    pub token: StatusToken,
    /// The context of the status.
    pub context: String,
}

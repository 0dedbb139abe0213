//! The settings of the agent.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::link::CommitLink;
use super::webhook::config::Webhook;

/// Settings of the agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The time from the end of one cycle to the start of the next, with 10 % jitter.
    pub interval: Duration,
    /// The address on which health, metrics and status are served; `None` serves nothing.
    pub listen: Option<SocketAddr>,
    /// The accepted senders of webhooks.
    pub webhooks: Vec<Webhook>,
    /// Whether cycles only report, and change nothing.
    pub suspend: bool,
    /// The time after which a cycle is aborted.
    pub deadline: Duration,
    /// The time that the running cycle has to finish once the agent is stopping.
    pub grace: Duration,
    /// The shortest time between two verifications of all deployed images; `None` verifies nothing.
    pub verify_deployed: Option<Duration>,
    /// The address of commits, if it cannot be derived from the repository's URL.
    pub commit_link: Option<CommitLink>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            interval: Duration::from_secs(60),
            listen: Some((Ipv4Addr::UNSPECIFIED, 8080).into()),
            webhooks: Vec::new(),
            suspend: false,
            deadline: Duration::from_secs(600),
            // Kubernetes kills after 30 s.
            grace: Duration::from_secs(25),
            verify_deployed: None,
            commit_link: None,
        }
    }
}

//! What the agent has to be told.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::link::CommitLink;
use super::webhook::config::Webhook;

/// Settings of the agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// From the end of one cycle to the start of the next, give or take a tenth.
    pub interval: Duration,
    /// Where health, metrics and status are served; `None` serves nothing.
    pub listen: Option<SocketAddr>,
    /// Who may tell of pushes.
    pub webhooks: Vec<Webhook>,
    /// Whether cycles only look.
    pub suspend: bool,
    /// How long a cycle may take before it is given up.
    pub deadline: Duration,
    /// How long the cycle under way may go on once the agent is told to stop.
    pub grace: Duration,
    /// Where a commit can be looked at, if it cannot be told by the repository's URL.
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
            commit_link: None,
        }
    }
}

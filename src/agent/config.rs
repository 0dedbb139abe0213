//! What the agent has to be told.

use std::time::Duration;

/// Settings of the agent.
#[derive(Debug, Clone)]
pub struct Config {
    /// From the end of one cycle to the start of the next, give or take a tenth.
    pub interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config { interval: Duration::from_secs(60) }
    }
}

//! What the registry client has to be told.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of the registry client.
#[derive(Debug, Clone)]
pub struct Config {
    /// Hosts that need something said about them; any other host is spoken to over TLS with the system's roots.
    pub hosts: Vec<HostConfig>,
    /// The Docker config file for hosts without one of their own; `None` means anonymous.
    pub credentials_file: Option<PathBuf>,
    /// How long one request may take, connection and body together.
    pub timeout: Duration,
    /// How many requests may be under way to one host.
    pub concurrency: usize,
    /// Where what was learned is kept; `None` keeps it in memory.
    pub cache_dir: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            hosts: Vec::new(),
            credentials_file: None,
            timeout: Duration::from_secs(30),
            concurrency: 8,
            cache_dir: None,
        }
    }
}

/// Settings of one registry host.
#[derive(Debug, Clone, Default)]
pub struct HostConfig {
    /// The host with its port, as image names write it.
    pub host: String,
    /// The Docker config file (`.dockerconfigjson`) with this host's credentials.
    pub credentials_file: Option<PathBuf>,
    /// Speak HTTP without TLS. Only ever set by hand.
    pub plain_http: bool,
    /// PEM file with the certificate authority that signed this host's certificate.
    pub ca_file: Option<PathBuf>,
    /// How many requests a second it may be sent on average; without it what is usual.
    pub requests_per_second: Option<u32>,
}

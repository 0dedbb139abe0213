//! What the registry client has to be told.

use std::path::{Path, PathBuf};
use std::str::FromStr;
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

impl Config {
    /// What is said about a host.
    pub fn of_host(&self, host: &str) -> Option<&HostConfig> {
        self.hosts.iter().find(|own| own.host == host)
    }

    /// The Docker config file with the credentials for a host.
    pub fn credentials_file_of(&self, host: &str) -> Option<&Path> {
        let own = self.of_host(host).and_then(|own| own.credentials_file.as_deref());
        own.or(self.credentials_file.as_deref())
    }
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
    /// A mirror or pull-through cache of it.
    pub mirror: Option<Mirror>,
    /// Whether the mirror may say what tags mean and what is there, too.
    pub mirror_tags: bool,
    /// How long one request may take; without it as long as for all.
    pub timeout: Option<Duration>,
    /// How many requests a second it may be sent on average; without it what is usual.
    pub requests_per_second: Option<u32>,
    /// The product behind it, whose own API tells when tags were pushed.
    pub api: Option<Api>,
}

/// A product with an API of its own besides that of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// Gitea, and Forgejo.
    Gitea,
    /// Harbor.
    Harbor,
    /// Docker Hub.
    DockerHub,
}

/// A mirror of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Its host with its port.
    pub host: String,
    /// Whether it speaks HTTP without TLS.
    pub plain_http: bool,
    /// What stands in front of repositories there: empty, or ends in `/`.
    pub prefix: String,
}

/// A text that is no mirror. It is not repeated, as it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a mirror: {0}")]
pub struct MirrorError(&'static str);

impl FromStr for Mirror {
    type Err = MirrorError;

    /// Reads `http://host:port` or `https://host/prefix`.
    fn from_str(text: &str) -> Result<Mirror, MirrorError> {
        let url = url::Url::parse(text).map_err(|_| MirrorError("write a URL such as http://10.0.20.10:5000"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(MirrorError("its scheme is neither http nor https"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(MirrorError("only host, port and path may stand here; credentials belong in credentialsFile"));
        }
        let path = url.path().trim_matches('/').trim_start_matches("v2").trim_matches('/');
        Ok(Mirror {
            host: url[url::Position::BeforeHost..url::Position::AfterPort].to_owned(),
            plain_http: url.scheme() == "http",
            prefix: if path.is_empty() { String::new() } else { format!("{path}/") },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_read() {
        let mirror = |text: &str| text.parse::<Mirror>().expect(text);
        let plain = Mirror { host: "10.0.20.10:5000".to_owned(), plain_http: true, prefix: String::new() };
        assert_eq!(mirror("http://10.0.20.10:5000"), plain);
        assert_eq!(mirror("http://10.0.20.10:5000/v2/"), plain);
        assert_eq!(mirror("https://harbor.example.com/hub").prefix, "hub/");
        for text in ["10.0.20.10:5000", "ftp://x", "https://user:hunter2@x", "http://"] {
            let error = text.parse::<Mirror>().expect_err(text).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}

//! The settings of the registry client.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::http::proxy::Proxy;
use crate::http::redirect::RedirectHost;
use crate::identity::environment::Environment;
use crate::identity::provider::Provider;

use super::realms::TokenServer;

/// The settings of the registry client.
#[derive(Debug, Clone)]
pub struct Config {
    /// Hosts with settings of their own; all others are used over TLS with the system's certificate authorities.
    pub hosts: Vec<HostConfig>,
    /// The Docker config file for hosts without their own; `None` means anonymous access.
    pub credentials_file: Option<PathBuf>,
    /// The timeout of a request, including connection and body.
    pub timeout: Duration,
    /// The most concurrent requests to one host.
    pub concurrency: usize,
    /// The folder of the cache; `None` keeps it in memory.
    pub cache_dir: Option<PathBuf>,
    /// The variables with which clouds tell this process who it is.
    pub environment: Environment,
}

impl Config {
    /// The settings of a host.
    pub fn of_host(&self, host: &str) -> Option<&HostConfig> {
        self.hosts.iter().find(|own| own.host == host)
    }

    /// The cloud that vouches for this process at a host.
    pub fn provider_of(&self, host: &str) -> IdentityProvider {
        self.of_host(host).map(|own| own.provider).unwrap_or_default()
    }

    /// The timeout of a request to a host.
    pub fn timeout_of(&self, host: &str) -> Duration {
        self.of_host(host).and_then(|own| own.timeout).unwrap_or(self.timeout)
    }

    /// The Docker config file with the credentials for a host; `None` also if its credentials come from a cloud.
    pub fn credentials_file_of(&self, host: &str) -> Option<&Path> {
        if matches!(self.provider_of(host), IdentityProvider::Of(_)) {
            return None;
        }
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
            environment: Environment::default(),
        }
    }
}

/// The settings of one registry host.
#[derive(Debug, Clone, Default)]
pub struct HostConfig {
    /// The host with its port, as in image names.
    pub host: String,
    /// The Docker config file (`.dockerconfigjson`) with this host's credentials.
    pub credentials_file: Option<PathBuf>,
    /// The cloud that vouches for this process there.
    pub provider: IdentityProvider,
    /// Whether to use HTTP without TLS. Only ever set by the user.
    pub plain_http: bool,
    /// A PEM file with the certificate authority that signed the host's certificate.
    pub ca_file: Option<PathBuf>,
    /// The client certificate, which is shown to this host only.
    pub client_certificate: Option<CertificateFiles>,
    /// The proxy.
    pub proxy: Proxy,
    /// A file with the credentials for the proxy: `user:password`.
    pub proxy_credentials_file: Option<PathBuf>,
    /// A mirror or pull-through cache of the host.
    pub mirror: Option<Mirror>,
    /// Whether the mirror is also trusted with digests of tags and with what exists.
    pub mirror_tags: bool,
    /// The timeout of a request, if it differs from the general one.
    pub timeout: Option<Duration>,
    /// The average number of requests per second, if it differs from the default.
    pub requests_per_second: Option<u32>,
    /// The product behind it, whose own API reports push times.
    pub api: Option<Api>,
    /// The token server at another origin that may receive the credentials.
    pub realm: Option<TokenServer>,
    /// Hosts that the registry may redirect to even if their addresses are private.
    pub redirects: Vec<RedirectHost>,
}

/// The cloud that vouches for this process at a registry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IdentityProvider {
    /// The one whose registry has the host, if the environment offers its identity and there is no other credential.
    #[default]
    Detected,
    /// None.
    Never,
    /// This one, instead of any other credential.
    Of(Provider),
}

/// The files of a client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// A PEM file with the certificate, followed by its chain.
    pub cert_file: PathBuf,
    /// A PEM file with its private key.
    pub key_file: PathBuf,
}

/// A product with its own API in addition to the distribution API.
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
    /// Whether it uses HTTP without TLS.
    pub plain_http: bool,
    /// The prefix of repositories there: empty, or ends in `/`.
    pub prefix: String,
}

/// An invalid mirror. It is not repeated, because it may contain a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a mirror: {0}")]
pub struct MirrorError(&'static str);

impl FromStr for Mirror {
    type Err = MirrorError;

    /// Parses `http://host:port` or `https://host/prefix`.
    fn from_str(text: &str) -> Result<Mirror, MirrorError> {
        let url = url::Url::parse(text).map_err(|_| MirrorError("expected a URL such as http://10.0.20.10:5000"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(MirrorError("its scheme is neither http nor https"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(MirrorError(
                "only a host, port and path are allowed here; credentials belong in credentialsFile",
            ));
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

//! HTTP to one host: TLS, redirects, timeouts and limits on bodies.

use std::path::Path;
use std::time::Duration;

use reqwest::Url;

use crate::http::client::{Authorities, Client, Request, Response, SendError};
use crate::http::excerpt::excerpt;
use crate::http::redirect::RedirectHost;
use crate::http::{self, ConnectionFailure};

use super::error::RegistryError;

/// The HTTP client for one host. Clones share connections.
#[derive(Debug, Clone)]
pub struct Transport {
    name: String,
    client: Client,
    timeout: Duration,
}

impl Transport {
    /// Creates the client. Does not connect yet.
    pub fn new(
        name: &str,
        ca_file: Option<&Path>,
        is_plain: bool,
        timeout: Duration,
        redirects: &[RedirectHost],
    ) -> Result<Transport, RegistryError> {
        let failed = |error: reqwest::Error| connection_failed(name, &error);
        let client = |authorities| Client::new(timeout, authorities, redirects.to_vec());
        let client = match ca_file {
            Some(file) => client(Authorities::Only(certificates(file)?)).map_err(failed)?,
            None => match client(Authorities::System) {
                // A machine without any certificate authorities can still speak plain HTTP.
                Err(_) if is_plain => client(Authorities::Only(Vec::new())).map_err(failed)?,
                built => built.map_err(failed)?,
            },
        };
        Ok(Transport { name: name.to_owned(), client, timeout })
    }

    /// Sends a request and reads the response; with a limit of 0, no body is returned. Errors name `what` was
    /// requested.
    pub async fn fetch(&self, request: &Request, limit: usize, what: &str) -> Result<Response, RegistryError> {
        self.client.send(request, limit).await.map_err(|error| self.failed(error, what))
    }

    /// The same for a URL that the server at another one named: it may lead no further than a redirect of that server.
    pub async fn fetch_as_redirected(
        &self,
        from: &Url,
        request: &Request,
        limit: usize,
        what: &str,
    ) -> Result<Response, RegistryError> {
        self.client.send_as_redirected(from, request, limit).await.map_err(|error| self.failed(error, what))
    }

    /// The registry's own error for a failed request.
    pub fn failed(&self, error: SendError, what: &str) -> RegistryError {
        let (host, what) = (self.name.clone(), excerpt(what));
        match error {
            SendError::Redirect(problem) => RegistryError::Redirected { host, what, problem },
            SendError::Connection(error) if error.is_timeout() => RegistryError::TimedOut { host, after: self.timeout },
            SendError::Connection(error) => connection_failed(&host, &error),
            SendError::TooLarge(limit) => RegistryError::TooLarge { host, what, limit },
            SendError::Header(_) => RegistryError::InvalidResponse { host, what, reason: error.to_string() },
        }
    }
}

/// The error for a host that cannot be reached.
pub fn unreachable(host: &str, reason: String) -> RegistryError {
    RegistryError::Unreachable { host: host.to_owned(), reason, failure: ConnectionFailure::Other }
}

fn connection_failed(host: &str, error: &reqwest::Error) -> RegistryError {
    let failure = ConnectionFailure::of(error);
    let reason = excerpt(&http::connection_failure(error));
    RegistryError::Unreachable { host: host.to_owned(), reason, failure }
}

/// Reads at least one certificate from a PEM file.
fn certificates(file: &Path) -> Result<Vec<reqwest::Certificate>, RegistryError> {
    let fail = |reason: String| RegistryError::CaFile { file: file.to_owned(), reason };
    let pem = std::fs::read(file).map_err(|error| fail(error.to_string()))?;
    http::parse_certificates(&pem).map_err(fail)
}

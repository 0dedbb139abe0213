//! HTTP to one host: TLS, redirects, timeouts and limits on bodies.

use std::path::Path;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode, Url};

use crate::http::{self, ConnectionFailure};

use super::error::RegistryError;

/// A response, including its body.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, which is no larger than the request's limit.
    pub body: Vec<u8>,
    /// The final URL, after redirects.
    pub url: Url,
}

/// The HTTP client for one host. Clones share connections.
#[derive(Debug, Clone)]
pub struct Transport {
    name: String,
    http: reqwest::Client,
    timeout: Duration,
}

impl Transport {
    /// Creates the client. Does not connect yet.
    pub fn new(
        name: &str,
        ca_file: Option<&Path>,
        is_plain: bool,
        timeout: Duration,
    ) -> Result<Transport, RegistryError> {
        let failed = |error: reqwest::Error| connection_failed(name, &error);
        let http = match ca_file {
            Some(file) => http::builder(timeout).tls_certs_only(certificates(file)?).build().map_err(failed)?,
            None => match http::builder(timeout).build() {
                // A machine without any certificate authorities can still speak plain HTTP.
                Err(_) if is_plain => http::builder(timeout).tls_certs_only([]).build().map_err(failed)?,
                built => built.map_err(failed)?,
            },
        };
        Ok(Transport { name: name.to_owned(), http, timeout })
    }

    /// The client that builds requests.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Sends a request and reads the response; with a limit of 0, no body is read. Errors name `what` was requested.
    pub async fn fetch(&self, request: RequestBuilder, limit: usize, what: &str) -> Result<Response, RegistryError> {
        let mut response = request.send().await.map_err(|error| self.failed(&error))?;
        let (status, headers, url) = (response.status(), response.headers().clone(), response.url().clone());
        let mut body = Vec::new();
        while limit > 0
            && let Some(chunk) = response.chunk().await.map_err(|error| self.failed(&error))?
        {
            if body.len() + chunk.len() > limit {
                let reason = format!("its body is larger than {limit} bytes");
                return Err(RegistryError::InvalidResponse { host: self.name.clone(), what: what.to_owned(), reason });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, headers, body, url })
    }

    fn failed(&self, error: &reqwest::Error) -> RegistryError {
        if error.is_timeout() {
            return RegistryError::TimedOut { host: self.name.clone(), after: self.timeout };
        }
        connection_failed(&self.name, error)
    }
}

/// The error for a host that cannot be reached.
pub fn unreachable(host: &str, reason: String) -> RegistryError {
    RegistryError::Unreachable { host: host.to_owned(), reason, failure: ConnectionFailure::Other }
}

fn connection_failed(host: &str, error: &reqwest::Error) -> RegistryError {
    let (reason, failure) = (http::root_cause(error), ConnectionFailure::of(error));
    RegistryError::Unreachable { host: host.to_owned(), reason, failure }
}

/// Reads at least one certificate from a PEM file.
fn certificates(file: &Path) -> Result<Vec<reqwest::Certificate>, RegistryError> {
    let fail = |reason: String| RegistryError::CaFile { file: file.to_owned(), reason };
    let pem = std::fs::read(file).map_err(|error| fail(error.to_string()))?;
    http::parse_certificates(&pem).map_err(fail)
}

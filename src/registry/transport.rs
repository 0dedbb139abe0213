//! HTTP to one host: TLS, redirects, timeouts and limits on bodies.

use std::time::Duration;

use reqwest::Url;

use crate::http::ConnectionFailure;
use crate::http::client::{Request, Response, SendError};
use crate::http::client_certificate::CertificateFacts;
use crate::http::excerpt::excerpt;
use crate::http::peer_failure::{CertificateObjection, ProxyFailure};

use super::connection::{Connection, Current, Settings};
use super::connection_error::ConnectionError;
use super::error::RegistryError;
use super::metrics::RegistryMetrics;

/// The time for the connection that finds out whether a closed one was a refusal.
const REFUSAL: Duration = Duration::from_secs(5);

/// HTTP to one host. Clones share connections.
#[derive(Debug, Clone)]
pub struct Transport {
    connection: Connection,
}

/// How a host is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Means {
    /// What the client certificate says, if there is one.
    pub certificate: Option<CertificateFacts>,
    /// The proxy, without credentials.
    pub proxy: Option<String>,
}

impl Transport {
    /// Creates the client. Does not connect yet.
    ///
    /// # Errors
    /// A file that connections depend on cannot be used.
    pub fn new(settings: Settings, metrics: RegistryMetrics) -> Result<Transport, RegistryError> {
        Ok(Transport { connection: Connection::new(settings, metrics)? })
    }

    /// Returns how the host is reached.
    pub fn means(&self) -> Means {
        let Settings { proxy, base, .. } = self.connection.settings();
        Means { certificate: self.connection.last().certificate.clone(), proxy: proxy.used_for(base) }
    }

    /// Sends a request and reads the response; with a limit of 0, no body is returned. Errors name `what` was
    /// requested.
    pub async fn fetch(&self, request: &Request, limit: usize, what: &str) -> Result<Response, RegistryError> {
        let current = self.connection.current().await;
        match current.client.send(request, limit).await {
            Err(SendError::Connection(error)) => Err(self.not_connected(self.explained(&current, error).await)),
            sent => sent.map_err(|error| self.failed(error, what)),
        }
    }

    /// The same for a URL that the server at another one named: it may lead no further than a redirect of that server.
    pub async fn fetch_as_redirected(
        &self,
        from: &Url,
        request: &Request,
        limit: usize,
        what: &str,
    ) -> Result<Response, RegistryError> {
        let current = self.connection.current().await;
        current.client.send_as_redirected(from, request, limit).await.map_err(|error| self.failed(error, what))
    }

    /// The registry's own error for a failed request.
    pub fn failed(&self, error: SendError, what: &str) -> RegistryError {
        let (host, what) = (self.connection.settings().name.clone(), excerpt(what));
        match error {
            SendError::Redirect(problem) => RegistryError::Redirected { host, what, problem },
            SendError::Connection(error) => self.not_connected(error),
            SendError::TooLarge(limit) => RegistryError::TooLarge { host, what, limit },
            SendError::Header(_) => RegistryError::InvalidResponse { host, what, reason: error.to_string() },
        }
    }

    /// Returns the refusal of the client certificate, if a closed connection may mean that, and otherwise the error itself.
    async fn explained(&self, current: &Current, error: reqwest::Error) -> reqwest::Error {
        let Settings { base, timeout, .. } = self.connection.settings();
        let is_own = base.scheme() == "https" && error.url().is_some_and(|url| url.origin() == base.origin());
        let is_closed = error.is_request() && !error.is_connect() && !error.is_timeout();
        if !is_own || !is_closed || CertificateObjection::of(&error, true).is_some() {
            return error;
        }
        let refusal = current.connections.refusal(REFUSAL.min(*timeout), base.clone()).await;
        refusal.filter(|refusal| CertificateObjection::of(refusal, true).is_some()).unwrap_or(error)
    }

    fn not_connected(&self, error: reqwest::Error) -> RegistryError {
        let Settings { name, base, timeout, proxy, .. } = self.connection.settings();
        let url = error.url().unwrap_or(base);
        if let (Some(used), Some(failure)) = (proxy.used_for(url), ProxyFailure::of(&error)) {
            return self.proxy_failed(used, failure).into();
        }
        if error.is_timeout() {
            return RegistryError::TimedOut { host: name.clone(), after: *timeout };
        }
        let has_certificate = url.origin() == base.origin() && self.connection.last().certificate.is_some();
        match CertificateObjection::of(&error, has_certificate) {
            Some(objection) => self.certificate_refused(url, objection).into(),
            None => RegistryError::not_connected(name, &error),
        }
    }

    /// The error for a client certificate that the server of a URL refused or lacks.
    pub fn certificate_refused(&self, url: &Url, objection: CertificateObjection) -> ConnectionError {
        let Settings { name, base, files, .. } = self.connection.settings();
        if url.origin() != base.origin() {
            let server = excerpt(&url.origin().ascii_serialization());
            return ConnectionError::CertificateRequiredElsewhere { host: name.clone(), server };
        }
        match (&files.certificate, &self.connection.last().certificate) {
            (Some(files), Some(facts)) => ConnectionError::refused(name, files, objection, facts.not_after),
            _ => ConnectionError::CertificateRequired { host: name.clone() },
        }
    }

    /// The error for a proxy that rejected a request over plain HTTP.
    pub fn proxy_requires_credentials(&self, url: &Url) -> ConnectionError {
        let proxy = self.connection.settings().proxy.used_for(url).unwrap_or_else(|| "in between".to_owned());
        self.proxy_failed(proxy, ProxyFailure::Credentials)
    }

    fn proxy_failed(&self, proxy: String, failure: ProxyFailure) -> ConnectionError {
        let Settings { name, files, .. } = self.connection.settings();
        let failure = match failure {
            ProxyFailure::Unreachable(reason) => ProxyFailure::Unreachable(excerpt(&reason)),
            failure => failure,
        };
        let credentials_file = files.proxy_credentials.clone();
        ConnectionError::Proxy { host: name.clone(), proxy, credentials_file, failure }
    }
}

/// The error for a host that cannot be reached.
pub fn unreachable(host: &str, reason: String) -> RegistryError {
    RegistryError::Unreachable { host: host.to_owned(), reason, failure: ConnectionFailure::Other }
}

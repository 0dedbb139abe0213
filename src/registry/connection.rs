//! The HTTP client of one host. It is made again when the content of one of its files changes, so a connection with an old
//! certificate is not used for new requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::Url;

use crate::fault::Explain;
use crate::http::client::{Authorities, Client, Connections};
use crate::http::client_certificate::{CertificateFacts, Validity};
use crate::http::proxy::Proxy;
use crate::http::redirect::RedirectHost;

use super::connection_error::ConnectionError;
use super::connection_files::{ConnectionFiles, Contents};
use super::error::RegistryError;
use super::metrics::RegistryMetrics;

/// How long files are considered unchanged once they have been read.
const UNCHANGED: Duration = Duration::from_secs(1);
/// The pause between two warnings about the same certificate.
const WARNING: Duration = Duration::from_secs(24 * 3600);

/// The settings of the client of a host.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name of the host.
    pub name: String,
    /// Its URL.
    pub base: Url,
    /// The timeout of a request.
    pub timeout: Duration,
    /// The files that connections depend on.
    pub files: ConnectionFiles,
    /// The proxy.
    pub proxy: Proxy,
    /// Hosts that redirects may lead to even if their addresses are private.
    pub redirects: Vec<RedirectHost>,
}

/// The client of a host. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Connection {
    settings: Arc<Settings>,
    metrics: RegistryMetrics,
    state: Arc<Mutex<State>>,
}

/// A client, and what its certificate says.
#[derive(Debug)]
pub struct Current {
    /// The client.
    pub client: Client,
    /// How it connects.
    pub connections: Connections,
    /// What the client certificate says, if there is one.
    pub certificate: Option<CertificateFacts>,
    digest: [u8; 32],
}

#[derive(Debug)]
struct State {
    current: Arc<Current>,
    read_at: Instant,
    /// The last contents that could not be used, which have been reported.
    rejected: Option<[u8; 32]>,
    warned_at: Option<Instant>,
}

impl Connection {
    /// Reads the files, and creates the client. Does not connect yet.
    ///
    /// # Errors
    /// A file cannot be used, or somebody else would be shown the client certificate.
    pub fn new(settings: Settings, metrics: RegistryMetrics) -> Result<Connection, RegistryError> {
        settings.check()?;
        let current = Arc::new(settings.client(&settings.files.read())?);
        let state = State { current, read_at: Instant::now(), rejected: None, warned_at: None };
        let connection = Connection { settings: Arc::new(settings), metrics, state: Arc::new(Mutex::new(state)) };
        connection.note_certificate(&mut connection.state.lock());
        Ok(connection)
    }

    /// The settings of the client.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the client as it was last made.
    pub fn last(&self) -> Arc<Current> {
        Arc::clone(&self.state.lock().current)
    }

    /// Returns the client for a new request. Files that were read a moment ago count as unchanged.
    pub async fn current(&self) -> Arc<Current> {
        {
            let mut state = self.state.lock();
            if self.settings.files.is_empty() || state.read_at.elapsed() < UNCHANGED {
                return Arc::clone(&state.current);
            }
            // Other requests go on with the client that there is.
            state.read_at = Instant::now();
        }
        let connection = self.clone();
        let read = tokio::task::spawn_blocking(move || connection.renew()).await;
        read.unwrap_or_else(|_| self.last())
    }

    /// Reads the files, and makes a new client if they have changed and can be used.
    fn renew(&self) -> Arc<Current> {
        let contents = self.settings.files.read();
        let digest = contents.digest();
        let is_new = {
            let state = self.state.lock();
            state.current.digest != digest && state.rejected != Some(digest)
        };
        // Certificate authorities of the system take a while to read, so nobody waits for the lock meanwhile.
        let made = is_new.then(|| self.settings.client(&contents));
        let mut state = self.state.lock();
        match made {
            Some(Ok(current)) => {
                tracing::info!(host = %self.settings.name, "the files of a registry have changed and are in use");
                state.current = Arc::new(current);
                (state.rejected, state.warned_at) = (None, None);
            }
            // If one file is written after the other, they fit again in a moment.
            Some(Err(error)) => {
                state.rejected = Some(digest);
                tracing::warn!(
                    host = %self.settings.name,
                    error = %error,
                    help = error.help(),
                    "the files of a registry have changed but cannot be used; the previous ones stay in use"
                );
            }
            None => {}
        }
        self.note_certificate(&mut state);
        Arc::clone(&state.current)
    }

    /// Measures the validity of the client certificate, and warns once a day if it is running out.
    fn note_certificate(&self, state: &mut State) {
        let Some(facts) = &state.current.certificate else { return };
        self.metrics.note_certificate(&self.settings.name, facts);
        let problem = match facts.validity(crate::clock::now()) {
            Validity::Valid => return,
            Validity::ExpiresSoon => "the client certificate for a registry expires soon and has not been renewed",
            Validity::Expired => "the client certificate for a registry has expired",
            Validity::NotYet => "the client certificate for a registry is not valid yet",
        };
        if state.warned_at.is_some_and(|at| at.elapsed() < WARNING) {
            return;
        }
        state.warned_at = Some(Instant::now());
        let file = self.settings.files.certificate.as_ref().map(|files| files.cert_file.display().to_string());
        tracing::warn!(host = %self.settings.name, file, until = %facts.not_after, "{problem}");
    }
}

impl Settings {
    /// Checks that nobody but the host is shown the client certificate.
    fn check(&self) -> Result<(), ConnectionError> {
        if self.files.certificate.is_none() {
            return Ok(());
        }
        let host = self.name.clone();
        if self.base.scheme() != "https" {
            return Err(ConnectionError::PlainHttp { host });
        }
        // The HTTP client has one configuration of TLS, for the proxy as well.
        match self.proxy.used_for(&self.base) {
            Some(proxy) if proxy.starts_with("https:") => Err(ConnectionError::ProxyTls { host, proxy }),
            _ => Ok(()),
        }
    }

    fn client(&self, contents: &Contents) -> Result<Current, RegistryError> {
        let (connections, certificate) = contents.connections(&self.files, &self.base.origin(), &self.proxy)?;
        let client = |connections| Client::with_connections(self.timeout, connections, self.redirects.clone());
        let failed = |error: reqwest::Error| RegistryError::not_connected(&self.name, &error);
        let client = match client(connections.clone()) {
            // A machine without any certificate authorities can still speak plain HTTP.
            Err(_) if self.base.scheme() == "http" => {
                let none = Authorities::Only(Vec::new());
                client(Connections { authorities: none, ..connections.clone() }).map_err(failed)?
            }
            built => built.map_err(failed)?,
        };
        Ok(Current { client, connections, certificate, digest: contents.digest() })
    }
}

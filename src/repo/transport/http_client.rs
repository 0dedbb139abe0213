//! The HTTP client shared by the requests to a server, with its kept connections.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::http;
use crate::http::resolver::Resolver;
use crate::repo::config::Config;
use crate::repo::credentials::read_bytes;
use crate::repo::error::{Outage, RepoError, Words};

use super::operation::Operation;

/// An idle connection is closed after this time.
const LONGEST_IDLE: Duration = Duration::from_secs(5 * 60);

/// The number of clients that are kept.
const MOST: usize = 16;

/// What a client was made for. Another operation may only use it if all of this is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Purpose {
    authority: String,
    scheme: String,
    authorities: Option<[u8; 32]>,
}

/// A client, and whether its connections may have died unnoticed.
#[derive(Clone)]
pub struct Client {
    /// The client.
    pub http: reqwest::Client,
    /// What it has found out about names.
    pub resolver: Resolver,
    /// Whether an earlier operation has used it.
    pub is_used: bool,
    purpose: Purpose,
}

static KEPT: Mutex<Vec<Arc<Client>>> = Mutex::new(Vec::new());

/// Returns the client for an operation: a kept one, unless `fresh`.
pub fn of(operation: &Operation, fresh: bool) -> Result<Arc<Client>, RepoError> {
    let config = &operation.config;
    let pem = match &config.https.ca_file {
        Some(file) if config.url.scheme() == "https" => Some(read_bytes(file)?),
        _ => None,
    };
    let purpose = Purpose {
        authority: config.url.authority().to_owned(),
        scheme: config.url.scheme().to_owned(),
        authorities: pem.as_ref().map(|pem| Sha256::digest(pem.expose()).into()),
    };
    let mut kept = KEPT.lock();
    if fresh {
        kept.retain(|client| client.purpose != purpose);
    }
    if let Some(client) = kept.iter().find(|client| client.purpose == purpose) {
        return Ok(Arc::clone(client));
    }
    let resolver = Resolver::default();
    let http = {
        let _entered = operation.runtime.enter();
        build(config, pem.as_ref().map(|pem| pem.expose().as_slice()), &resolver)?
    };
    let client = Arc::new(Client { http, resolver, is_used: false, purpose });
    if kept.len() >= MOST {
        kept.remove(0);
    }
    kept.push(Arc::new(Client { is_used: true, ..Client::clone(&client) }));
    Ok(client)
}

/// Drops the client of an operation and its connections.
pub fn forget(operation: &Operation) {
    let authority = operation.config.url.authority();
    KEPT.lock().retain(|client| client.purpose.authority != authority);
}

fn build(config: &Config, pem: Option<&[u8]>, resolver: &Resolver) -> Result<reqwest::Client, RepoError> {
    http::use_ring();
    let builder = || {
        reqwest::Client::builder()
            // Some servers recognize git by this name.
            .user_agent(concat!("git/2.0 (tagalong ", env!("CARGO_PKG_VERSION"), ")"))
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(resolver.clone())
            .connect_timeout(config.timeout)
            .pool_idle_timeout(LONGEST_IDLE)
            .http1_only()
    };
    let unusable = |words: String| match &config.https.ca_file {
        Some(file) => RepoError::Authorities { file: file.clone(), source: Words(words) },
        None => RepoError::Unreachable { url: config.url.clone(), source: Outage::NoConnection(words) },
    };
    let failed = |error: reqwest::Error| unusable(http::root_cause(&error));
    match pem {
        Some(pem) => {
            let authorities = http::parse_certificates(pem).map_err(unusable)?;
            // On a machine without certificate authorities, those of the file are the only ones.
            match builder().tls_certs_merge(authorities.clone()).build() {
                Err(_) => builder().tls_certs_only(authorities).build().map_err(failed),
                built => built.map_err(failed),
            }
        }
        // Without TLS, the system's certificate authorities are not needed, and reading them takes time.
        None if config.url.scheme() == "http" => builder().tls_certs_only([]).build().map_err(failed),
        None => builder().build().map_err(failed),
    }
}

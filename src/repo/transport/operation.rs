//! An operation on a remote, with its credentials, its time limits and its error.
//!
//! libgit2 only passes a URL to its transports, and errors lose their type in C. But it calls them on its caller's thread, so
//! the current operation is stored in a thread-local, and errors are stored in the operation.

use std::cell::RefCell;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Runtime;

use crate::repo::access::Access;
use crate::repo::config::Config;
use crate::repo::credentials::Offer;
use crate::repo::error::{Outage, RepoError};
use crate::repo::refusal;
use crate::secret::SafeUrl;

use super::runtime;

/// A whole operation may take this many times as long as one response.
const WHOLE: u32 = 20;

/// An operation on a remote.
pub struct Operation {
    /// The settings of the remote.
    pub config: Config,
    /// The credentials, read from their files or issued when the operation started.
    offer: Mutex<Arc<Offer>>,
    /// Whether they were replaced because the server refused them.
    is_renewed: AtomicBool,
    /// The runtime of the connections.
    pub runtime: &'static Runtime,
    deadline: Instant,
    failure: Mutex<Option<RepoError>>,
    /// Where the references of the repository were found.
    pub base: Mutex<Option<Base>>,
    /// What the service that was last opened needs to be allowed to do.
    pub access: Mutex<Access>,
}

/// Where the references of a repository were found.
#[derive(Clone)]
pub struct Base {
    /// The URL of the repository.
    pub url: url::Url,
    /// Whether no redirect has left the configured origin, so that it gets the credentials.
    pub carries_secrets: bool,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Operation>>> = const { RefCell::new(None) };
}

/// The current operation of this thread, until this value is dropped.
pub struct Running {
    operation: Arc<Operation>,
    before: Option<Arc<Operation>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        CURRENT.set(self.before.take());
    }
}

impl Running {
    /// Returns the error for a refusal by the server, if its message tells what is missing.
    pub fn refused(&self, message: &str) -> Option<RepoError> {
        self.operation.refused(message)
    }

    /// Takes the error that a transport has stored.
    pub fn take_failure(&self) -> Option<RepoError> {
        self.operation.failure.lock().take()
    }
}

impl Operation {
    /// Starts an operation on this thread. Credentials are read from their files now, so that a rotated one is used, or an
    /// access token is issued.
    pub fn begin(config: &Config) -> Result<Running, RepoError> {
        let runtime = runtime::get().map_err(|source| RepoError::Setup { source })?;
        let deadline = Instant::now() + config.timeout * WHOLE;
        let operation = Arc::new(Operation {
            config: config.clone(),
            offer: Mutex::new(Arc::new(offer(config, runtime, deadline)?)),
            is_renewed: AtomicBool::new(false),
            runtime,
            deadline,
            failure: Mutex::default(),
            base: Mutex::default(),
            access: Mutex::default(),
        });
        let before = CURRENT.replace(Some(Arc::clone(&operation)));
        Ok(Running { operation, before })
    }

    /// Returns the current operation of this thread.
    pub fn current() -> Option<Arc<Operation>> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Returns the URL of the repository.
    pub fn url(&self) -> &SafeUrl {
        &self.config.url
    }

    /// Returns the current credentials.
    pub fn offer(&self) -> Arc<Offer> {
        Arc::clone(&self.offer.lock())
    }

    /// Replaces an access token that the server has refused, once in an operation. Returns whether there is a new one.
    pub fn renew(&self) -> Result<bool, RepoError> {
        let refused = self.offer();
        let Offer::Issued(issued) = &*refused else { return Ok(false) };
        let is_worth_it = self.wait(issued.refused())?;
        if !is_worth_it || self.is_renewed.swap(true, Ordering::Relaxed) {
            return Ok(false);
        }
        tracing::debug!(url = %self.config.url, "the git server refused an access token; it is replaced");
        *self.offer.lock() = Arc::new(offer(&self.config, self.runtime, self.deadline)?);
        Ok(true)
    }

    /// Waits for a response, within the limits of one response and of the operation.
    pub fn wait<F: Future>(&self, future: F) -> Result<F::Output, RepoError> {
        self.wait_for(self.config.timeout, future)
    }

    /// Waits within another limit, and that of the operation.
    pub fn wait_for<F: Future>(&self, limit: Duration, future: F) -> Result<F::Output, RepoError> {
        let until = (Instant::now() + limit).min(self.deadline);
        runtime::wait(self.runtime, until, future).ok_or_else(|| {
            self.broken(if Instant::now() >= self.deadline {
                Outage::TooLong { limit: self.config.timeout * WHOLE }
            } else {
                Outage::Silent { limit }
            })
        })
    }

    /// Returns the error for a connection that cannot be made or broke.
    pub fn broken(&self, source: Outage) -> RepoError {
        RepoError::Unreachable { url: self.config.url.clone(), source }
    }

    /// Returns the error for a refusal by the server, if its message tells what is missing.
    pub fn refused(&self, message: &str) -> Option<RepoError> {
        refusal::error(self.url(), *self.access.lock(), message)
    }

    /// Stores the error that ends the operation. The first one counts, because others follow from it.
    pub fn fail(&self, error: RepoError) {
        self.failure.lock().get_or_insert(error);
    }

    /// Returns whether the operation has failed.
    pub fn has_failed(&self) -> bool {
        self.failure.lock().is_some()
    }
}

/// Reads the credentials of a remote, or gets an access token for its identity.
fn offer(config: &Config, runtime: &Runtime, deadline: Instant) -> Result<Offer, RepoError> {
    match &config.https.identity {
        Some(identity) if matches!(config.url.scheme(), "http" | "https") => {
            let silent = || RepoError::Unreachable {
                url: config.url.clone(),
                source: Outage::TooLong { limit: config.timeout * WHOLE },
            };
            // Each request of the issuer has the time limit of one response.
            runtime::wait(runtime, deadline, Offer::issued(config, identity)).ok_or_else(silent)?
        }
        _ => Offer::read(config),
    }
}

//! One operation on a remote: what it connects with, how long it may take, what went wrong.
//!
//! libgit2 hands its transports a URL and nothing else, and loses the type of an error on its way through C. But it calls
//! them on the thread of its caller; so the operation is put there, and the error is left in it.

use std::cell::RefCell;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::repo::config::Config;
use crate::repo::credentials::Offer;
use crate::repo::error::{Outage, RepoError};
use crate::secret::SafeUrl;

use super::runtime;

/// As many times the limit for one answer may a whole operation take.
const WHOLE: u32 = 20;

/// One operation on a remote.
pub struct Operation {
    /// How the remote is reached.
    pub config: Config,
    /// The credentials, read from their files when the operation began.
    pub offer: Offer,
    /// Where connections live.
    pub runtime: &'static Runtime,
    deadline: Instant,
    failure: Mutex<Option<RepoError>>,
    /// Where the server has redirected this operation to.
    pub base: Mutex<Option<url::Url>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Operation>>> = const { RefCell::new(None) };
}

/// An operation that runs on this thread until this value is dropped.
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
    /// Takes the reason why the operation failed, if a transport knows it.
    pub fn take_failure(&self) -> Option<RepoError> {
        self.operation.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Operation {
    /// Begins an operation on this thread. Credentials are read from their files now, so that a rotated one is used.
    pub fn begin(config: &Config) -> Result<Running, RepoError> {
        let runtime = runtime::get().map_err(|source| RepoError::Setup { source })?;
        let operation = Arc::new(Operation {
            config: config.clone(),
            offer: Offer::read(config)?,
            runtime,
            deadline: Instant::now() + config.timeout * WHOLE,
            failure: Mutex::default(),
            base: Mutex::default(),
        });
        let before = CURRENT.replace(Some(Arc::clone(&operation)));
        Ok(Running { operation, before })
    }

    /// The operation that runs on this thread.
    pub fn current() -> Option<Arc<Operation>> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// The repository.
    pub fn url(&self) -> &SafeUrl {
        &self.config.url
    }

    /// Waits for something of the connection, as long as the server may be silent and the operation may last.
    pub fn wait<F: Future>(&self, future: F) -> Result<F::Output, RepoError> {
        self.wait_for(self.config.timeout, future)
    }

    /// The same with another limit.
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

    /// The error of a connection that cannot be made or broke.
    pub fn broken(&self, source: Outage) -> RepoError {
        RepoError::Unreachable { url: self.config.url.clone(), source }
    }

    /// Leaves the reason why the operation cannot go on; the first one counts, for others follow from it.
    pub fn fail(&self, error: RepoError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// Whether it cannot go on.
    pub fn has_failed(&self) -> bool {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

//! Our own transports for libgit2: ssh with `russh`, http and https with `reqwest`.
//!
//! libgit2 handles git's protocol, these transports the connections. So credentials, host keys, certificate authorities,
//! proxies and deadlines belong to a remote rather than to the process, and errors keep their types.
//!
//! - [`operation`]: an operation on a remote, with its credentials, its time limits and its error
//! - [`runtime`]: the runtime of the connections, and how a blocking caller waits for them
//! - [`http`]: requests to a server, and which of its redirects are followed
//! - [`http_client`]: the HTTP client shared by the requests to a server
//! - [`http_stream`]: an exchange over http, as libgit2 reads and writes it
//! - [`ssh`]: connections over ssh

use std::io;
use std::sync::{Arc, OnceLock};

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};
use git2::{Error, ErrorClass, ErrorCode};

use super::access::Access;
use super::config::Config;
use super::error::RepoError;

use operation::{Operation, Running};

pub mod http;
pub mod http_client;
pub mod http_stream;
pub mod operation;
pub mod runtime;
pub mod ssh;

/// Starts an operation on this thread.
pub fn begin(config: &Config) -> Result<Running, RepoError> {
    prepare()?;
    Operation::begin(config)
}

/// Configures libgit2, once per process. Every operation does this before it connects.
fn prepare() -> Result<(), RepoError> {
    static PREPARED: OnceLock<Result<(), String>> = OnceLock::new();
    let prepared = PREPARED.get_or_init(|| {
        // Objects are hashed when they arrive, and zlib's checksum protects them on disk. Hashing an object each time it
        // is read takes longer than reading it, and git does not do that either.
        git2::opts::strict_hash_verification(false);
        register().map_err(|error| error.message().to_owned())
    });
    prepared.clone().map_err(|words| RepoError::Setup { source: io::Error::other(words) })
}

#[allow(unsafe_code)]
fn register() -> Result<(), Error> {
    for scheme in ["ssh", "http", "https"] {
        // SAFETY: libgit2 has no lock for its list of transports, and reads the list when a remote connects. Every
        // operation that connects waits for the `OnceLock` in `prepare`, so no read happens before the last write.
        unsafe { git2::transport::register(scheme, |remote| Transport::smart(remote, is_http(), Connector))? };
    }
    Ok(())
}

/// Returns whether this thread's operation uses http, where requests are independent of each other.
fn is_http() -> bool {
    Operation::current().is_some_and(|operation| operation.url().scheme() != "ssh")
}

/// Connects for this thread's operation, called by libgit2. The URL that libgit2 passes is ignored: git's configuration may
/// have rewritten it, and the credentials belong to the configured one.
struct Connector;

impl SmartSubtransport for Connector {
    fn action(&self, _: &str, service: Service) -> Result<Box<dyn SmartSubtransportStream>, Error> {
        let Some(operation) = Operation::current() else {
            return Err(Error::from_str("no operation runs on this thread"));
        };
        *operation.access.lock() = match service {
            Service::UploadPackLs | Service::UploadPack => Access::Read,
            Service::ReceivePackLs | Service::ReceivePack => Access::Write,
        };
        let opened = match operation.url().scheme() {
            "ssh" => ssh::stream::open(&operation, service),
            _ => http_stream::open(&operation, service),
        };
        opened.map_err(|error| given_up(&operation, error))
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// Stores the error for the caller and returns one for libgit2.
fn given_up(operation: &Arc<Operation>, error: RepoError) -> Error {
    // libgit2 does not accept NULs.
    let words = error.to_string().replace('\0', "");
    operation.fail(error);
    Error::new(ErrorCode::User, ErrorClass::Callback, words)
}

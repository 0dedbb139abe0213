//! Transports of our own for libgit2: ssh on `russh`, http and https on `reqwest`.
//!
//! libgit2 speaks git's protocol; the connection that it speaks it over is ours. So credentials, host keys, certificate
//! authorities, proxies and deadlines belong to one remote and not to the process, and errors keep their type.
//!
//! - [`operation`]: one operation on a remote: what it connects with, how long it may take, what went wrong
//! - [`runtime`]: where connections live, and how a blocking caller waits for them
//! - [`http`]: requests to one server, and where its redirects may lead
//! - [`http_client`]: the client that requests to a server share
//! - [`http_stream`]: one exchange over http, as libgit2 reads and writes it
//! - [`ssh`]: connections over ssh and what is kept of them

use std::io;
use std::sync::{Arc, OnceLock};

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};
use git2::{Error, ErrorClass, ErrorCode};

use super::config::Config;
use super::error::RepoError;

use operation::{Operation, Running};

pub mod http;
pub mod http_client;
pub mod http_stream;
pub mod operation;
pub mod runtime;
pub mod ssh;

/// Begins an operation on this thread.
pub fn begin(config: &Config) -> Result<Running, RepoError> {
    prepare()?;
    Operation::begin(config)
}

/// Sets libgit2 up, once for the process. Every operation passes through here before it connects.
fn prepare() -> Result<(), RepoError> {
    static PREPARED: OnceLock<Result<(), String>> = OnceLock::new();
    let prepared = PREPARED.get_or_init(|| {
        // Objects are hashed when they arrive, and zlib has a checksum for what the disk does to them. Hashing each one
        // again whenever it is read, which git does not do either, takes longer than reading it.
        git2::opts::strict_hash_verification(false);
        register().map_err(|error| error.message().to_owned())
    });
    prepared.clone().map_err(|words| RepoError::Setup { source: io::Error::other(words) })
}

#[allow(unsafe_code)]
fn register() -> Result<(), Error> {
    for scheme in ["ssh", "http", "https"] {
        // SAFETY: libgit2 keeps the list of transports without a lock, and reads it when a remote connects. Every
        // operation that connects waits for the `OnceLock` above, so this write happens before every read and is the last.
        unsafe { git2::transport::register(scheme, |remote| Transport::smart(remote, is_http(), Connector))? };
    }
    Ok(())
}

/// Whether the operation that runs on this thread speaks http, where every request stands alone.
fn is_http() -> bool {
    Operation::current().is_some_and(|operation| operation.url().scheme() != "ssh")
}

/// Connects for the operation that runs on this thread; libgit2 calls it there. The URL that libgit2 gives is ignored:
/// its configuration may rewrite it, and credentials belong to the one that was configured.
struct Connector;

impl SmartSubtransport for Connector {
    fn action(&self, _: &str, service: Service) -> Result<Box<dyn SmartSubtransportStream>, Error> {
        let Some(operation) = Operation::current() else {
            return Err(Error::from_str("no operation runs on this thread"));
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

/// Notes the error for the caller, and gives libgit2 one of its own.
fn given_up(operation: &Arc<Operation>, error: RepoError) -> Error {
    // libgit2 takes no NUL.
    let words = error.to_string().replace('\0', "");
    operation.fail(error);
    Error::new(ErrorCode::User, ErrorClass::Callback, words)
}

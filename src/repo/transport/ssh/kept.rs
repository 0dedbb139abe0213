//! Connections that are kept for the next operation, so that a handshake is made once and not for each of them.
//!
//! An operation has a connection to itself, and gives it back when all went well. It is used again only with the same
//! credentials and the same host keys on file.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::repo::error::RepoError;

use super::address::Address;
use super::connection::Connection;
use super::host_keys::HostKeys;
use crate::repo::transport::operation::Operation;

/// After this time a connection is made again, so that a server that has withdrawn a key is heard.
const LONGEST_LIFE: Duration = Duration::from_secs(15 * 60);

/// As many connections are kept at most, for all servers together.
const MOST: usize = 16;

/// What a connection was made with; another operation may use it only if all of it is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purpose {
    user: String,
    host: String,
    port: u16,
    keys: HostKeys,
    /// The file of the key, if there is one: several keys of one server do not put each other out.
    file: Option<PathBuf>,
    offer: [u8; 32],
}

static KEPT: Mutex<Vec<(Purpose, Connection)>> = Mutex::new(Vec::new());

impl Purpose {
    /// What an operation would make a connection with.
    pub fn of(operation: &Operation, address: &Address) -> Result<Purpose, RepoError> {
        Ok(Purpose {
            user: address.user.clone(),
            host: address.host.clone(),
            port: address.port,
            keys: HostKeys::read(&operation.config)?,
            file: operation.config.ssh.key_file.clone(),
            offer: operation.offer.digest(),
        })
    }

    /// The host keys on file.
    pub fn keys(&self) -> &HostKeys {
        &self.keys
    }

    /// Whether a connection is to the same server by the same key file, whatever that held.
    fn is_to_same(&self, other: &Purpose) -> bool {
        (&self.user, &self.host, self.port, &self.file) == (&other.user, &other.host, other.port, &other.file)
    }
}

/// Takes a connection that was kept. Those that have ended or are too old go, and so do those whose key file or
/// known_hosts has changed.
pub fn take(purpose: &Purpose) -> Option<Connection> {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.retain(|(other, connection)| {
        let is_usable = !connection.is_closed() && connection.since.elapsed() < LONGEST_LIFE;
        is_usable && (other == purpose || !other.is_to_same(purpose))
    });
    let place = kept.iter().position(|(other, _)| other == purpose)?;
    Some(kept.swap_remove(place).1)
}

/// Keeps a connection for the next operation with the same purpose.
pub fn put(purpose: Purpose, connection: Connection) {
    let is_young = connection.since.elapsed() < LONGEST_LIFE;
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if is_young && !connection.is_closed() && kept.len() < MOST {
        kept.push((purpose, connection));
    }
}

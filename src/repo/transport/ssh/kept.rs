//! Connections kept for the next operation, so that not every operation needs a handshake.
//!
//! An operation has a connection to itself and returns it if nothing went wrong. It is only reused with the same credentials
//! and the same known host keys.

use std::path::PathBuf;
use std::time::Duration;

use parking_lot::Mutex;

use crate::repo::error::RepoError;

use super::address::Address;
use super::connection::Connection;
use super::host_keys::HostKeys;
use crate::repo::transport::operation::Operation;

/// Connections are replaced after this time, so that a key that was revoked on the server stops working.
const LONGEST_LIFE: Duration = Duration::from_secs(15 * 60);

/// The number of connections that are kept, to all servers.
const MOST: usize = 16;

/// What a connection was made for. Another operation may only use it if all of this is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purpose {
    user: String,
    host: String,
    port: u16,
    keys: HostKeys,
    /// The key file. Connections with different key files do not replace each other.
    file: Option<PathBuf>,
    offer: [u8; 32],
}

static KEPT: Mutex<Vec<(Purpose, Connection)>> = Mutex::new(Vec::new());

impl Purpose {
    /// Returns what an operation needs a connection for.
    pub fn of(operation: &Operation, address: &Address) -> Result<Purpose, RepoError> {
        Ok(Purpose {
            user: address.user.clone(),
            host: address.host.clone(),
            port: address.port,
            keys: HostKeys::read(&operation.config)?,
            file: operation.config.ssh.key_file.clone(),
            offer: operation.offer().digest(),
        })
    }

    /// Returns the known host keys.
    pub fn keys(&self) -> &HostKeys {
        &self.keys
    }

    /// Returns whether both are for the same server and key file, whatever the file contained.
    fn is_to_same(&self, other: &Purpose) -> bool {
        (&self.user, &self.host, self.port, &self.file) == (&other.user, &other.host, other.port, &other.file)
    }
}

/// Takes a kept connection. Connections that have ended or are too old are dropped, and so are those whose key file or
/// known_hosts has changed.
pub fn take(purpose: &Purpose) -> Option<Connection> {
    let mut kept = KEPT.lock();
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
    let mut kept = KEPT.lock();
    if is_young && !connection.is_closed() && kept.len() < MOST {
        kept.push((purpose, connection));
    }
}

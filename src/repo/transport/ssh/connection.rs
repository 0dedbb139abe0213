//! Making a connection: the socket, the key exchange, the authentication.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use russh::client::{self, Handle, Msg};
use russh::{Channel, Preferred, SshId};
use tokio::net::TcpStream;

use crate::repo::error::{Outage, RepoError};

use super::address::Address;
use super::host_keys::{Gatekeeper, HostKeys, Left};
use super::login::Identity;
use crate::repo::transport::operation::Operation;

/// An idle connection is closed after this time.
pub const LONGEST_IDLE: Duration = Duration::from_secs(5 * 60);

/// An authenticated connection.
pub struct Connection {
    handle: Handle<Gatekeeper>,
    /// When it was made.
    pub since: Instant,
}

impl Connection {
    /// Connects, verifies the server's key, and authenticates.
    pub fn open(operation: &Operation, address: &Address, keys: HostKeys) -> Result<Connection, RepoError> {
        let socket = operation.wait(dial(address, operation.config.timeout))?;
        let socket = socket.map_err(|words| operation.broken(Outage::NoConnection(words)))?;
        let identity = Identity::of(&operation.offer())?;
        let left = Arc::new(Mutex::new(Left::default()));
        let config = Arc::new(configuration(&keys, operation.config.timeout));
        let gatekeeper = Gatekeeper { keys, left: Arc::clone(&left) };
        let take_left = || std::mem::take(&mut *left.lock());
        let shaken = operation.wait(client::connect_stream(config, socket, gatekeeper))?;
        let mut handle = shaken.map_err(|error| {
            let Left { refusal, goodbye } = take_left();
            refusal.unwrap_or_else(|| operation.broken(Outage::Cut(goodbye.unwrap_or_else(|| error.to_string()))))
        })?;
        let is_in = operation.wait(identity.log_in(&mut handle, &address.user))?;
        match is_in {
            Ok(true) => Ok(Connection { handle, since: Instant::now() }),
            Ok(false) if !handle.is_closed() => Err(operation.offer().refused(&operation.config, &address.user, "")),
            // Servers disconnect after too many keys; otherwise the connection broke.
            Ok(false) => Err(match take_left().goodbye {
                Some(words) if words.contains("authentication") => {
                    operation.offer().refused(&operation.config, &address.user, &words)
                }
                goodbye => operation.broken(Outage::Cut(goodbye.unwrap_or_else(|| "while logging in".to_owned()))),
            }),
            Err(error) => Err(operation.broken(Outage::Cut(error.to_string()))),
        }
    }

    /// Returns whether the connection is known to have ended.
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Opens a channel within a limit.
    pub fn channel(&self, operation: &Operation, limit: Duration) -> Result<Channel<Msg>, RepoError> {
        let opened = operation.wait_for(limit, self.handle.channel_open_session())?;
        opened.map_err(|error| operation.broken(Outage::Cut(error.to_string())))
    }
}

fn configuration(keys: &HostKeys, timeout: Duration) -> client::Config {
    client::Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-tagalong_", env!("CARGO_PKG_VERSION")))),
        // Operations have their own, shorter limits.
        inactivity_timeout: Some(LONGEST_IDLE.max(timeout * 2)),
        nodelay: true,
        preferred: Preferred {
            key: keys.algorithms().into(),
            host_key_certificates: keys.certificate_algorithms(),
            ..Preferred::default()
        },
        ..client::Config::default()
    }
}

/// Connects to one of the host's addresses; each gets its share of the time.
async fn dial(address: &Address, timeout: Duration) -> Result<TcpStream, String> {
    let found = tokio::net::lookup_host((address.host.as_str(), address.port)).await;
    let found: Vec<SocketAddr> = found.map_err(|error| error.to_string())?.collect();
    let share = timeout / found.len().max(1) as u32;
    let mut reason = "the host has no address".to_owned();
    for address in found {
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => {
                socket.set_nodelay(true).map_err(|error| error.to_string())?;
                return Ok(socket);
            }
            Ok(Err(error)) => reason = error.to_string(),
            Err(_) => reason = format!("no answer from {address} within {share:?}"),
        }
    }
    Err(reason)
}

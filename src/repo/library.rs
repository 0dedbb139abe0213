//! What libgit2 keeps for the whole process: timeouts, certificate authorities, and how far it trusts the disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use super::config::Config;
use super::credentials::read_bytes;
use super::error::{RepoError, Words};

/// Sets the library up for a connection. Every connection passes through here first.
pub(super) fn prepare(config: &Config) -> Result<(), RepoError> {
    static GLOBALS: Once = Once::new();
    let mut set = Ok(());
    GLOBALS.call_once(|| {
        // What a server sends is hashed when it arrives, and zlib has a checksum for what the disk does to it. To hash
        // every object again at each reading, which git does not do either, would take longer than the reading.
        git2::opts::strict_hash_verification(false);
        // There is one timeout for all repositories of a process, so the first configuration says it.
        set = set_timeouts(config.timeout);
    });
    set.map_err(RepoError::git("setting timeouts"))?;
    match &config.https.ca_file {
        Some(file) if config.url.scheme() == "https" => trust(file),
        _ => Ok(()),
    }
}

/// How long to wait for a connection, and for each read or write on it.
#[allow(unsafe_code)]
fn set_timeouts(timeout: Duration) -> Result<(), git2::Error> {
    let milliseconds = timeout.as_millis().try_into().unwrap_or(i32::MAX);
    // SAFETY: libgit2 keeps the two values in plain globals and reads them when it connects. Whoever connects has come
    // through the `Once` above, so this write happens before every read and is the last.
    unsafe {
        git2::opts::set_server_connect_timeout_in_milliseconds(milliseconds)?;
        git2::opts::set_server_timeout_in_milliseconds(milliseconds)
    }
}

/// Adds the authorities of a file to those that are trusted. A file that has changed is taken up at the next connection;
/// what it held before stays trusted until the process ends.
fn trust(file: &Path) -> Result<(), RepoError> {
    static TRUSTED: Mutex<BTreeMap<PathBuf, Vec<u8>>> = Mutex::new(BTreeMap::new());
    let bytes = read_bytes(file)?;
    let mut trusted = TRUSTED.lock().unwrap_or_else(PoisonError::into_inner);
    if trusted.get(file) != Some(bytes.expose()) {
        add_authorities(file).map_err(|error| RepoError::Authorities {
            file: file.to_owned(),
            source: Words(error.message().to_owned()),
        })?;
        trusted.insert(file.to_owned(), bytes.expose().clone());
    }
    Ok(())
}

#[allow(unsafe_code)]
fn add_authorities(file: &Path) -> Result<(), git2::Error> {
    // SAFETY: libgit2 sets up TLS under a lock of its own and hands the file on to OpenSSL, which adds the certificates
    // to its store under the store's lock (X509_STORE_add_cert); the mutex of the caller keeps two of us apart.
    unsafe { git2::opts::set_ssl_cert_file(file) }
}

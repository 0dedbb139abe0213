//! Fetches the trusted root.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use sigstore_tuf::{FileStore, Updater, UpdaterConfig};
use url::Url;

use crate::http::client::{Authorities, Client};
use crate::sigstore::provider;
use crate::sigstore::trusted_root::{RootError, TrustedRoot};

use super::error::TufError;
use super::mirror::Mirror;

/// The name of the trusted root in a repository.
const TARGET: &str = "trusted_root.json";
/// The time limit for each file.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest trusted root, in bytes. The public one has 7 KiB.
const MOST: u64 = 1 << 20;

/// A trusted root that was verified.
#[derive(Debug)]
pub struct Fetched {
    /// Its text.
    pub json: String,
    /// The version of the root metadata that vouches for it.
    pub root_version: u64,
    /// When the repository has to have confirmed it again.
    pub expires: Option<Timestamp>,
}

/// Fetches the trusted root from a repository, beginning with root metadata that is trusted. What was verified is kept in
/// `folder`, so that a repository that goes back to older metadata is noticed.
///
/// # Errors
/// The repository cannot be reached, or has something that is not signed as it must be, that has expired, or that is older
/// than what it had before.
pub async fn trusted_root(mirror: &Url, root: &[u8], folder: &Path, now: Timestamp) -> Result<Fetched, TufError> {
    provider::install();
    let client = Client::new(TIMEOUT, Authorities::System, Vec::new()).map_err(|source| TufError::Tls { source })?;
    let folder = folder_of(folder, mirror);
    std::fs::create_dir_all(&folder).map_err(|source| TufError::Folder { path: folder.clone(), source })?;
    let updater = Updater::new(Mirror::new(client, mirror.clone()), root)
        .map_err(|source| TufError::Root { source: Box::new(source) })?;
    let mut limits = UpdaterConfig::default();
    limits.target_max_length = MOST;
    let mut updater = updater.with_config(limits).with_store(FileStore::new(folder));
    let refused = |source| TufError::of(mirror, source);
    updater.refresh(now).await.map_err(refused)?;
    let bytes = updater.get_target(TARGET, now).await.map_err(refused)?;
    let unusable = |source| TufError::Unusable { mirror: mirror.to_string(), source };
    let json = String::from_utf8(bytes).map_err(|error| unusable(RootError::Unreadable(error.to_string())))?;
    TrustedRoot::parse(&json).map_err(unusable)?;
    let trusted = updater.trusted();
    let expires = trusted.timestamp().map(|timestamp| timestamp.expires);
    Ok(Fetched { json, root_version: trusted.root().version, expires })
}

/// Returns the folder for what was verified of a repository.
fn folder_of(folder: &Path, mirror: &Url) -> PathBuf {
    let hash = Sha256::digest(mirror.as_str());
    let name: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    folder.join("tuf").join(name)
}

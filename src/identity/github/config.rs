//! The settings of a GitHub App.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

/// The settings of a GitHub App.
#[derive(Debug, Clone)]
pub struct AppConfig {
    /// The ID of the app, or its client ID.
    pub id: String,
    /// The ID of its installation; looked up for each repository if it is not given.
    pub installation: Option<u32>,
    /// The owner of the repositories that the installation is for; `None` for all.
    pub owner: Option<String>,
    /// The file with the private key; read again each time a token is used.
    pub private_key_file: PathBuf,
    /// The base URL of GitHub's API. Nothing is sent to any other origin.
    pub api: Url,
    /// A PEM file with certificate authorities to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// The timeout of a request.
    pub timeout: Duration,
}

impl AppConfig {
    /// Host and port of the API.
    pub fn host(&self) -> &str {
        &self.api[url::Position::BeforeHost..url::Position::AfterPort]
    }

    /// The installation for a repository, as far as it is configured.
    pub(super) fn installation_for(&self, repository: &str) -> Option<u64> {
        let owner = repository.split('/').next().unwrap_or_default();
        let is_for = self.owner.as_ref().is_none_or(|known| known.eq_ignore_ascii_case(owner));
        self.installation.filter(|_| is_for).map(u64::from)
    }
}

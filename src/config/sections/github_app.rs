//! The sections `githubApp`: of `git`, of `sources` and of commit statuses.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::config::reader::Section;
use crate::forge::config::{ApiBase, Kind, UnknownForge};
use crate::identity::github::app::App;
use crate::identity::github::config::AppConfig;
use crate::identity::issuer::Issuer;
use crate::repo::config::Https;
use crate::secret::SafeUrl;

/// The section, as far as it can be read without knowing the repository.
#[derive(Debug, Clone)]
pub struct GitHubApp {
    id: String,
    installation: Option<u32>,
    private_key_file: PathBuf,
    url: Option<ApiBase>,
}

/// Reads the section.
pub fn read(mut section: Section<'_>) -> Option<GitHubApp> {
    let url = section.parsed("url");
    let app = keys(&mut section);
    section.finish();
    app.map(|app| GitHubApp { url, ..app })
}

/// Reads the section where the URL of the API is known from elsewhere.
pub fn read_without_url(mut section: Section<'_>) -> Option<GitHubApp> {
    let app = keys(&mut section);
    section.finish();
    app
}

fn keys(section: &mut Section<'_>) -> Option<GitHubApp> {
    let id = section.text_or_number("appId", app_id);
    let installation = section.number("installationId");
    let private_key_file = section.path("privateKeyFile");
    if section.lacks("appId") || section.lacks("privateKeyFile") {
        section.error("`appId` and `privateKeyFile` are required");
    }
    Some(GitHubApp { id: id?, installation, private_key_file: private_key_file?, url: None })
}

/// Parses the ID of an app: digits, or a client ID such as `Iv23liABCDEFGHIJKLMN`.
fn app_id(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.') {
        return Ok(text.to_owned());
    }
    Err(format!("expected the ID of a GitHub App, or its client ID, found `{text}`"))
}

impl GitHubApp {
    /// Completes the section for a repository, or for the common prefix of several.
    pub fn settle(self, repository: &SafeUrl, https: &Https, timeout: Duration) -> Result<Issuer, UnknownForge> {
        let base = self
            .url
            .clone()
            .map_or_else(|| ApiBase::of(Kind::GitHub, repository), |url| Ok(url.completed(Kind::GitHub)))?;
        let owner = repository.page().and_then(|page| page.path_segments()?.next().map(str::to_owned));
        let api = base.join("").map_err(|_| UnknownForge::Path)?;
        Ok(self.issuer(api, owner.filter(|owner| !owner.is_empty()), https.ca_file.clone(), timeout))
    }

    /// Completes the section for an API.
    pub fn issuer(self, api: Url, owner: Option<String>, ca_file: Option<PathBuf>, timeout: Duration) -> Issuer {
        let GitHubApp { id, installation, private_key_file, url: _ } = self;
        Issuer::GitHubApp(App::new(AppConfig { id, installation, owner, private_key_file, api, ca_file, timeout }))
    }
}

//! The section `git.forge`, and how a forge is reached.

use std::path::PathBuf;

use crate::config::reader::Section;
use crate::forge::config::{ApiBase, Config, Kind, UnknownForge};
use crate::repo;

/// The products, by name.
pub const PRODUCTS: [(&str, Kind); 6] = [
    ("gitea", Kind::Gitea),
    ("github", Kind::GitHub),
    ("gitlab", Kind::GitLab),
    ("bitbucket", Kind::Bitbucket),
    ("bitbucket-datacenter", Kind::BitbucketDataCenter),
    ("azure-devops", Kind::AzureDevOps),
];

/// How a forge is reached, as far as it can be read without knowing the repository.
#[derive(Debug)]
pub struct ForgeAccess {
    /// The product; by default, it is recognized by its host.
    pub kind: Option<Kind>,
    /// The base URL of its API.
    pub url: Option<ApiBase>,
    /// The file with a token.
    pub token_file: PathBuf,
}

/// Reads the section.
pub fn read(mut section: Section<'_>) -> Option<ForgeAccess> {
    let (kind, url, token_file) = (section.choice("kind", &PRODUCTS), section.parsed("url"), section.path("tokenFile"));
    if section.lacks("tokenFile") {
        section.error("`tokenFile` is required: a file with an access token for the forge");
    }
    section.finish();
    Some(ForgeAccess { kind, url, token_file: token_file? })
}

impl ForgeAccess {
    /// Completes the section for a repository.
    pub fn settle(self, repo: &repo::config::Config) -> Result<Config, UnknownForge> {
        let kind = self.kind.map_or_else(|| Kind::of(&repo.url), Ok)?;
        Ok(Config {
            kind,
            api: self.url.map_or_else(|| ApiBase::of(kind, &repo.url), |url| Ok(url.completed(kind)))?,
            repository: kind.repository(&repo.url)?,
            head: repo.push_branch.as_ref().map(ToString::to_string).unwrap_or_default(),
            base: repo.branch.to_string(),
            token_file: self.token_file,
            labels: Vec::new(),
            timeout: repo.timeout,
        })
    }
}

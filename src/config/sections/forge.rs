//! The section `git.forge`, and how a forge is reached.

use std::path::PathBuf;

use crate::config::reader::Section;
use crate::forge::config::{ApiBase, Config, Kind, UnknownForge};
use crate::identity::issuer::Issuer;
use crate::identity::token_source::TokenSource;
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
    /// The file with a token; without one, the identity of `git` is used.
    pub token_file: Option<PathBuf>,
}

/// Reads the section. With an identity of `git`, no token is required.
pub fn read(mut section: Section<'_>, has_identity: bool) -> Option<ForgeAccess> {
    let (kind, url) = (section.choice("kind", &PRODUCTS), section.parsed("url"));
    let token_file = token_file(&mut section, has_identity);
    section.finish();
    Some(ForgeAccess { kind, url, token_file: token_file? })
}

/// Reads the key `tokenFile`: `None` if it is wrong or missing, `Some(None)` if the identity of `git` is used instead.
pub fn token_file(section: &mut Section<'_>, has_identity: bool) -> Option<Option<PathBuf>> {
    let token_file = section.path("tokenFile");
    if section.lacks("tokenFile") {
        if has_identity {
            return Some(None);
        }
        section.error("`tokenFile` is required: a file with an access token for the forge");
    }
    token_file.map(Some)
}

/// Returns whether a product knows the identity of an issuer.
fn is_known(issuer: &Issuer, kind: Kind) -> bool {
    match issuer {
        Issuer::GitHubApp(_) => kind == Kind::GitHub,
        Issuer::AzureDevOps(_) => kind == Kind::AzureDevOps,
    }
}

impl ForgeAccess {
    /// Completes the section for a repository.
    pub fn settle(self, repo: &repo::config::Config, issuer: Option<&Issuer>) -> Result<Config, UnknownForge> {
        let kind = self.kind.map_or_else(|| Kind::of(&repo.url), Ok)?;
        let api = self.url.map_or_else(|| ApiBase::of(kind, &repo.url), |url| Ok(url.completed(kind)))?;
        let token = match (self.token_file, issuer) {
            (Some(file), _) => TokenSource::File(file),
            (None, Some(Issuer::AzureDevOps(_))) if kind == Kind::AzureDevOps && !api.takes_azure_tokens() => {
                return Err(UnknownForge::NotAzure);
            }
            (None, Some(issuer)) if is_known(issuer, kind) => TokenSource::Issuer(issuer.clone()),
            (None, _) => return Err(UnknownForge::NoToken),
        };
        Ok(Config {
            kind,
            api,
            repository: kind.repository(&repo.url)?,
            head: repo.push_branch.as_ref().map(ToString::to_string).unwrap_or_default(),
            base: repo.branch.to_string(),
            token,
            labels: Vec::new(),
            timeout: repo.timeout,
        })
    }
}

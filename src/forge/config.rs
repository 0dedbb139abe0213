//! The settings of a forge.

use std::str::FromStr;
use std::time::Duration;

use url::Url;

use crate::identity::token_source::TokenSource;
use crate::secret::SafeUrl;

use super::address;

/// The settings of a forge.
#[derive(Debug, Clone)]
pub struct Config {
    /// The product.
    pub kind: Kind,
    /// The base URL of its API.
    pub api: ApiBase,
    /// The repository on the forge: owner and name, or all groups and the name.
    pub repository: String,
    /// The branch that pull requests are from.
    pub head: String,
    /// The branch that they are to be merged into.
    pub base: String,
    /// Where the token comes from; asked for each request.
    pub token: TokenSource,
    /// The labels of new pull requests.
    pub labels: Vec<String>,
    /// The timeout of a request.
    pub timeout: Duration,
}

/// A forge product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Gitea, and Forgejo.
    Gitea,
    /// GitHub.
    GitHub,
    /// GitLab.
    GitLab,
    /// Bitbucket Cloud.
    Bitbucket,
    /// Bitbucket Data Center, and Bitbucket Server.
    BitbucketDataCenter,
    /// Azure DevOps Services and Azure DevOps Server.
    AzureDevOps,
}

/// The forge cannot be determined from the repository's URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnknownForge {
    /// The host is unknown.
    #[error("the forge cannot be determined from the host of git.url")]
    Kind,
    /// The repository is local.
    #[error("git.url is a local path, not a repository on a forge")]
    Local,
    /// There is no token for the forge.
    #[error("tokenFile is required: the identity under `git` is not known to this kind of forge")]
    NoToken,
    /// The path does not name a repository of a forge.
    #[error("the path of git.url does not name a repository in the way that the forge requires")]
    Path,
    /// The URL of the repository is not encrypted.
    #[error("git.url is plain http, so the token would be sent in clear text")]
    ClearText,
    /// The API is not that of Azure DevOps Services, whose tokens nobody else may see.
    #[error("`provider: azure` is for the API of Azure DevOps Services (dev.azure.com, *.visualstudio.com) only")]
    NotAzure,
    /// Labels are configured for a product that has none.
    #[error("Bitbucket has no labels for pull requests")]
    Labels,
}

/// The base URL of a forge's API: without credentials, and safe to send a token to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiBase(Url);

/// An invalid base URL. It is not repeated, because it may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ApiBaseError(&'static str);

impl FromStr for ApiBase {
    type Err = ApiBaseError;

    fn from_str(text: &str) -> Result<ApiBase, ApiBaseError> {
        let url =
            Url::parse(text).map_err(|_| ApiBaseError("expected a URL such as https://git.example.com/api/v1"))?;
        if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
            return Err(ApiBaseError("expected a URL such as https://git.example.com/api/v1"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(ApiBaseError("only a host, port and path are allowed here; the token belongs in tokenFile"));
        }
        let is_local = text.parse::<SafeUrl>().is_ok_and(|url| url.is_loopback());
        if url.scheme() == "http" && !is_local {
            return Err(ApiBaseError("the token would be sent in clear text; use https"));
        }
        Ok(ApiBase(url))
    }
}

impl ApiBase {
    /// The documented base URL of a product's API, for one of its repositories.
    pub fn of(kind: Kind, repository: &SafeUrl) -> Result<ApiBase, UnknownForge> {
        let page = repository.page().ok_or(UnknownForge::Local)?;
        let host = &page[url::Position::BeforeScheme..url::Position::AfterPort];
        let repository_path = match (kind, page.host_str()) {
            (Kind::GitHub, Some("github.com")) => "https://api.github.com".to_owned(),
            (Kind::Bitbucket, Some("bitbucket.org")) => "https://api.bitbucket.org".to_owned(),
            (Kind::BitbucketDataCenter, _) => {
                let context = address::data_center(&page).ok_or(UnknownForge::Path)?;
                format!("{host}{context}/rest")
            }
            (Kind::AzureDevOps, _) => {
                let place = address::azure_devops(&page).ok_or(UnknownForge::Path)?;
                format!("{host}{}", place.collection)
            }
            _ => host.to_owned(),
        };
        if page.scheme() == "http" && !repository.is_loopback() {
            return Err(UnknownForge::ClearText);
        }
        let base = Url::parse(&repository_path).map_err(|_| UnknownForge::Path)?;
        Ok(ApiBase(base).completed(kind))
    }

    /// Adds the product's default path if there is only a host.
    pub fn completed(self, kind: Kind) -> ApiBase {
        let ApiBase(mut url) = self;
        if url.path() == "/" {
            let path = match (kind, url.host_str()) {
                (Kind::Gitea, _) => "/api/v1",
                (Kind::GitHub, Some("api.github.com")) => "",
                (Kind::GitHub, _) => "/api/v3",
                (Kind::GitLab, _) => "/api/v4",
                (Kind::Bitbucket, _) => "/2.0",
                (Kind::BitbucketDataCenter, _) => "/rest",
                (Kind::AzureDevOps, _) => "",
            };
            url.set_path(path);
        }
        if kind == Kind::BitbucketDataCenter {
            // The API of build statuses is a sibling of the main one.
            let path = url.path().trim_end_matches('/');
            let path = path.strip_suffix("/api/1.0").or(path.strip_suffix("/api/latest")).unwrap_or(path).to_owned();
            url.set_path(&path);
        }
        ApiBase(url)
    }

    /// The base URL of the pages that belong to the API of Azure DevOps or of Bitbucket Data Center.
    pub fn pages(&self) -> &str {
        let base = self.0.as_str().trim_end_matches('/');
        base.strip_suffix("/rest").unwrap_or(base)
    }

    /// The target below the base URL that a URL leads to, which the forge gave.
    pub fn below(&self, url: &str) -> Option<String> {
        let rest = url.strip_prefix(self.0.as_str().trim_end_matches('/'))?;
        rest.starts_with('/').then(|| rest.to_owned())
    }

    /// Returns whether access tokens for Azure DevOps may be sent to it.
    pub fn takes_azure_tokens(&self) -> bool {
        self.0.as_str().parse::<SafeUrl>().is_ok_and(|url| Kind::takes_azure_tokens(&url))
    }

    /// Host and port.
    pub fn host(&self) -> &str {
        &self.0[url::Position::BeforeHost..url::Position::AfterPort]
    }

    /// The URL of `target`, which starts with a slash, below the base URL.
    ///
    /// # Errors
    /// It is not a valid URL.
    pub fn join(&self, target: &str) -> Result<Url, url::ParseError> {
        Url::parse(&format!("{}{target}", self.0.as_str().trim_end_matches('/')))
    }
}

impl Kind {
    /// Returns whether pull requests have labels.
    pub fn has_labels(self) -> bool {
        !matches!(self, Kind::Bitbucket | Kind::BitbucketDataCenter)
    }

    /// The product behind a well-known host.
    pub fn of(repository: &SafeUrl) -> Result<Kind, UnknownForge> {
        let page = repository.page().ok_or(UnknownForge::Local)?;
        match page.host_str() {
            Some("github.com") => Ok(Kind::GitHub),
            Some("gitlab.com") => Ok(Kind::GitLab),
            Some("codeberg.org") => Ok(Kind::Gitea),
            Some("bitbucket.org") => Ok(Kind::Bitbucket),
            Some("dev.azure.com") => Ok(Kind::AzureDevOps),
            Some(host) if host.ends_with(".visualstudio.com") => Ok(Kind::AzureDevOps),
            _ => Err(UnknownForge::Kind),
        }
    }

    /// Returns whether access tokens for Azure DevOps may be sent to a server: Azure DevOps Services, or one on this machine.
    pub fn takes_azure_tokens(url: &SafeUrl) -> bool {
        url.is_loopback() || Kind::of(url) == Ok(Kind::AzureDevOps)
    }

    /// The product's name of a repository: GitLab nests groups, the others have an owner (for Azure DevOps, a project) and
    /// a name, possibly below another path.
    pub fn repository(self, repository: &SafeUrl) -> Result<String, UnknownForge> {
        let page = repository.page().ok_or(UnknownForge::Local)?;
        if let (Kind::AzureDevOps, Some(place)) = (self, address::azure_devops(&page)) {
            return Ok(place.repository);
        }
        let parts: Vec<&str> = page.path().split('/').filter(|part| !part.is_empty()).collect();
        let named = match (self, parts.as_slice()) {
            (Kind::GitLab, [_, _, ..]) => parts.join("/"),
            (_, [.., owner, name]) => format!("{owner}/{name}"),
            _ => return Err(UnknownForge::Path),
        };
        Ok(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> SafeUrl {
        text.parse().expect(text)
    }

    fn joined(base: &ApiBase) -> String {
        base.join("/x").expect("a URL").into()
    }

    #[test]
    fn the_forge_is_determined_from_the_repository() {
        let detected = |text: &str| {
            let url = url(text);
            let kind = Kind::of(&url)?;
            Ok::<_, UnknownForge>((kind.repository(&url)?, joined(&ApiBase::of(kind, &url)?)))
        };
        let pair = |name: &str, base: &str| Ok((name.to_owned(), base.to_owned()));
        assert_eq!(detected("git@github.com:acme/infra.git"), pair("acme/infra", "https://api.github.com/x"));
        assert_eq!(detected("https://gitlab.com/a/b/infra"), pair("a/b/infra", "https://gitlab.com/api/v4/x"));
        assert_eq!(detected("ssh://git@codeberg.org/a/infra.git"), pair("a/infra", "https://codeberg.org/api/v1/x"));
        assert_eq!(detected("git@git.example.com:a/infra.git"), Err(UnknownForge::Kind));
        assert_eq!(detected("/srv/git/infra.git"), Err(UnknownForge::Local));
        assert_eq!(detected("git@github.com:infra.git"), Err(UnknownForge::Path));
        assert_eq!(detected("http://codeberg.org/a/infra.git"), Err(UnknownForge::ClearText));
        let own = |kind: Kind| ApiBase::of(kind, &url("ssh://git@git.example.com:2222/x/a/infra.git"));
        assert_eq!(joined(&own(Kind::GitHub).expect("detected")), "https://git.example.com/api/v3/x");
        assert_eq!(own(Kind::Gitea).expect("detected").host(), "git.example.com");
        assert_eq!(Kind::Gitea.repository(&url("https://h/gitea/a/infra.git")).expect("detected"), "a/infra");
        let cloud = pair("acme/infra", "https://api.bitbucket.org/2.0/x");
        assert_eq!(detected("git@bitbucket.org:acme/infra.git"), cloud);
        assert_eq!(detected("ssh://git@altssh.bitbucket.org:443/acme/infra.git"), cloud);
        let azure = pair("my project/infra", "https://dev.azure.com/acme/x");
        assert_eq!(detected("https://acme@dev.azure.com/acme/my%20project/_git/infra"), azure);
        assert_eq!(detected("git@ssh.dev.azure.com:v3/acme/my%20project/infra"), azure);
        assert_eq!(detected("acme@vs-ssh.visualstudio.com:v3/acme/my%20project/infra"), azure);
        let old = pair("shop/infra", "https://acme.visualstudio.com/x");
        assert_eq!(detected("https://acme.visualstudio.com/shop/_git/infra"), old);
        assert_eq!(detected("https://dev.azure.com/acme/infra"), Err(UnknownForge::Path));
    }

    #[test]
    fn products_that_run_anywhere_are_found_below_any_path() {
        let placed = |kind: Kind, text: &str| {
            let url = url(text);
            let base = ApiBase::of(kind, &url).expect("a base URL");
            (kind.repository(&url).expect("a name"), joined(&base), base.pages().to_owned())
        };
        let found = |name: &str, base: &str, pages: &str| (name.to_owned(), base.to_owned(), pages.to_owned());
        let kind = Kind::BitbucketDataCenter;
        let plain = found("SHOP/infra", "https://git.example.com/rest/x", "https://git.example.com");
        assert_eq!(placed(kind, "https://git.example.com/scm/SHOP/infra.git"), plain);
        assert_eq!(placed(kind, "ssh://git@git.example.com:7999/SHOP/infra.git"), plain);
        assert_eq!(
            placed(kind, "https://example.com/bitbucket/scm/~ann/infra.git"),
            found("~ann/infra", "https://example.com/bitbucket/rest/x", "https://example.com/bitbucket")
        );
        let kind = Kind::AzureDevOps;
        let server = "https://tfs.example.com/tfs/Main";
        let server = found("shop/infra", &format!("{server}/x"), server);
        assert_eq!(placed(kind, "https://tfs.example.com/tfs/Main/shop/_git/infra"), server);
        assert_eq!(placed(kind, "ssh://tfs.example.com:22/tfs/Main/shop/_ssh/infra"), server);
        for given in ["https://g.example", "https://g.example/rest/", "https://g.example/rest/api/1.0"] {
            let base = given.parse::<ApiBase>().expect("a base URL").completed(Kind::BitbucketDataCenter);
            assert_eq!(joined(&base), "https://g.example/rest/x");
            assert_eq!(base.below("https://g.example/rest/a?b").as_deref(), Some("/a?b"));
            assert_eq!((base.below("https://g.example/restful"), base.below("https://x.example/rest/a")), (None, None));
        }
    }

    #[test]
    fn a_token_is_not_sent_in_clear_text() {
        let base = |text: &str| text.parse::<ApiBase>();
        assert_eq!(
            joined(&base("https://git.example.com").expect("a base URL").completed(Kind::Gitea)),
            "https://git.example.com/api/v1/x"
        );
        assert_eq!(
            joined(&base("http://127.0.0.1:3000/gitea/api/v1/").expect("a base URL").completed(Kind::Gitea)),
            "http://127.0.0.1:3000/gitea/api/v1/x"
        );
        for text in ["http://git.example.com/api/v1", "ftp://x", "x", "https://u:hunter2@git.example.com"] {
            let error = base(text).expect_err(text).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}

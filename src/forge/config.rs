//! What the side of pull requests has to be told.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

use crate::secret::SafeUrl;

/// Settings of the side of pull requests.
#[derive(Debug, Clone)]
pub struct Config {
    /// The product.
    pub kind: Kind,
    /// Where its API is.
    pub api: ApiBase,
    /// The repository there: owner and name, or all groups and the name.
    pub repository: String,
    /// The branch that proposals are pushed to.
    pub head: String,
    /// The branch that they are for.
    pub base: String,
    /// The file that holds the token; read again for each request.
    pub token_file: PathBuf,
    /// Labels that a new pull request is given.
    pub labels: Vec<String>,
    /// How long one request may take.
    pub timeout: Duration,
}

/// A product that holds repositories and pull requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Gitea, and Forgejo.
    Gitea,
    /// GitHub.
    GitHub,
    /// GitLab.
    GitLab,
}

/// Why it cannot be told which forge to ask, or where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnknownForge {
    /// The host is none that is known.
    #[error(
        "the host of git.url does not tell which product it is; give git.pullRequest.forge: gitea, github or gitlab"
    )]
    Kind,
    /// The repository is on this machine.
    #[error("git.url is a path on this machine, where no forge is")]
    Local,
    /// The path names no repository of a forge.
    #[error("the path of git.url is no owner and name, as forges have them")]
    Path,
}

/// Where the API of a forge is: a URL without credentials, whose host may be shown a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiBase(Url);

/// A text that is no such place. It is not repeated, as it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ApiBaseError(&'static str);

impl FromStr for ApiBase {
    type Err = ApiBaseError;

    fn from_str(text: &str) -> Result<ApiBase, ApiBaseError> {
        let url = Url::parse(text).map_err(|_| ApiBaseError("write a URL such as https://git.example.com/api/v1"))?;
        if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
            return Err(ApiBaseError("write a URL such as https://git.example.com/api/v1"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(ApiBaseError("only host, port and path may stand here; the token belongs in tokenFile"));
        }
        let is_local = text.parse::<SafeUrl>().is_ok_and(|url| url.is_loopback());
        if url.scheme() == "http" && !is_local {
            return Err(ApiBaseError("the token would travel in clear text; use https"));
        }
        Ok(ApiBase(url))
    }
}

impl ApiBase {
    /// Where a product has its API by its own documentation, for a repository of it.
    pub fn of(kind: Kind, repository: &SafeUrl) -> Result<ApiBase, UnknownForge> {
        let page = repository.page().ok_or(UnknownForge::Local)?;
        let host = &page[url::Position::BeforeScheme..url::Position::AfterPort];
        let repository_path = match (kind, page.host_str()) {
            (Kind::GitHub, Some("github.com")) => "https://api.github.com".to_owned(),
            _ => host.to_owned(),
        };
        let base = Url::parse(&repository_path).map_err(|_| UnknownForge::Path)?;
        Ok(ApiBase(base).completed(kind))
    }

    /// The same with the product's own path, where only the host was said.
    pub fn completed(self, kind: Kind) -> ApiBase {
        let ApiBase(mut url) = self;
        if url.path() == "/" {
            let path = match (kind, url.host_str()) {
                (Kind::Gitea, _) => "/api/v1",
                (Kind::GitHub, Some("api.github.com")) => "",
                (Kind::GitHub, _) => "/api/v3",
                (Kind::GitLab, _) => "/api/v4",
            };
            url.set_path(path);
        }
        ApiBase(url)
    }

    /// Host and port.
    pub fn host(&self) -> &str {
        &self.0[url::Position::BeforeHost..url::Position::AfterPort]
    }

    /// The address of something below it; `target` starts with a slash.
    pub fn join(&self, target: &str) -> String {
        format!("{}{target}", self.0.as_str().trim_end_matches('/'))
    }
}

impl Kind {
    /// The product behind a host that everybody knows.
    pub fn of(repository: &SafeUrl) -> Result<Kind, UnknownForge> {
        let page = repository.page().ok_or(UnknownForge::Local)?;
        match page.host_str() {
            Some("github.com") => Ok(Kind::GitHub),
            Some("gitlab.com") => Ok(Kind::GitLab),
            Some("codeberg.org") => Ok(Kind::Gitea),
            _ => Err(UnknownForge::Kind),
        }
    }

    /// The name by which a product knows a repository: GitLab has groups within groups, the others owner and name, which
    /// may stand below some other path.
    pub fn repository(self, repository: &SafeUrl) -> Result<String, UnknownForge> {
        let page = repository.page().ok_or(UnknownForge::Local)?;
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

    #[test]
    fn the_forge_is_told_by_the_repository() {
        let told = |text: &str| {
            let url = url(text);
            let kind = Kind::of(&url)?;
            Ok::<_, UnknownForge>((kind.repository(&url)?, ApiBase::of(kind, &url)?.join("/x")))
        };
        let pair = |name: &str, base: &str| Ok((name.to_owned(), base.to_owned()));
        assert_eq!(told("git@github.com:acme/infra.git"), pair("acme/infra", "https://api.github.com/x"));
        assert_eq!(told("https://gitlab.com/a/b/infra"), pair("a/b/infra", "https://gitlab.com/api/v4/x"));
        assert_eq!(told("ssh://git@codeberg.org/a/infra.git"), pair("a/infra", "https://codeberg.org/api/v1/x"));
        assert_eq!(told("git@git.example.com:a/infra.git"), Err(UnknownForge::Kind));
        assert_eq!(told("/srv/git/infra.git"), Err(UnknownForge::Local));
        assert_eq!(told("git@github.com:infra.git"), Err(UnknownForge::Path));
        let own = |kind: Kind| ApiBase::of(kind, &url("ssh://git@git.example.com:2222/x/a/infra.git"));
        assert_eq!(own(Kind::GitHub).expect("told").join("/x"), "https://git.example.com/api/v3/x");
        assert_eq!(own(Kind::Gitea).expect("told").host(), "git.example.com");
        assert_eq!(Kind::Gitea.repository(&url("https://h/gitea/a/infra.git")).expect("told"), "a/infra");
    }

    #[test]
    fn a_token_does_not_travel_in_clear_text() {
        let base = |text: &str| text.parse::<ApiBase>();
        assert_eq!(
            base("https://git.example.com").expect("a place").completed(Kind::Gitea).join("/x"),
            "https://git.example.com/api/v1/x"
        );
        assert_eq!(
            base("http://127.0.0.1:3000/gitea/api/v1/").expect("a place").completed(Kind::Gitea).join("/x"),
            "http://127.0.0.1:3000/gitea/api/v1/x"
        );
        for text in ["http://git.example.com/api/v1", "ftp://x", "x", "https://u:hunter2@git.example.com"] {
            let error = base(text).expect_err(text).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}

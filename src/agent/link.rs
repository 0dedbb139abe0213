//! Links to commits at the forge.

use std::str::FromStr;

use crate::secret::SafeUrl;

/// The placeholder for the commit's ID.
const PLACEHOLDER: &str = "{sha}";

/// The address of any commit of a repository, at its forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitLink(String);

/// The error for an invalid address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an address such as https://git.example.com/org/infra/commit/{{sha}}")]
pub struct LinkError;

impl FromStr for CommitLink {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<CommitLink, LinkError> {
        let url = url::Url::parse(text).map_err(|_| LinkError)?;
        let is_plain = url.username().is_empty() && url.password().is_none();
        let is_link = matches!(url.scheme(), "https" | "http") && is_plain && text.contains(PLACEHOLDER);
        if is_link { Ok(CommitLink(text.to_owned())) } else { Err(LinkError) }
    }
}

impl CommitLink {
    /// Derives the link from the URL of a repository: forges show commits below the same host and path. `None` for a
    /// repository on this machine.
    pub fn of(repository: &SafeUrl) -> Option<CommitLink> {
        let page = repository.page()?;
        let host = page.host_str()?;
        let below = if host.contains("gitlab") { "-/commit" } else { "commit" };
        let below = if host == "bitbucket.org" { "commits" } else { below };
        format!("{page}/{below}/{PLACEHOLDER}").parse().ok()
    }

    /// Returns the address of one commit.
    pub fn to(&self, commit: &str) -> String {
        self.0.replace(PLACEHOLDER, commit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_derived_from_the_repository() {
        let link = |url: &str| CommitLink::of(&url.parse().expect(url)).map(|link| link.to("1a2b3c4"));
        let expect = Some("https://gitea.d-ma.be/mathias/infra/commit/1a2b3c4".to_owned());
        assert_eq!(link("ssh://git@gitea.d-ma.be:2222/mathias/infra.git"), expect);
        assert_eq!(link("git@gitea.d-ma.be:mathias/infra.git"), expect);
        assert_eq!(link("https://user:hunter2@gitea.d-ma.be/mathias/infra"), expect);
        let port = Some("http://127.0.0.1:3000/o/infra/commit/1a2b3c4".to_owned());
        assert_eq!(link("http://127.0.0.1:3000/o/infra.git"), port);
        let gitlab = Some("https://gitlab.com/o/infra/-/commit/1a2b3c4".to_owned());
        assert_eq!(link("git@gitlab.com:o/infra.git"), gitlab);
        assert_eq!(link("/srv/git/infra.git"), None);
        assert_eq!(link("file:///srv/git/infra.git"), None);
    }

    #[test]
    fn a_link_names_the_commit_and_no_password() {
        assert_eq!(
            "https://x.example/c/{sha}?full".parse::<CommitLink>().expect("a link").to("1a"),
            "https://x.example/c/1a?full"
        );
        for text in ["https://x.example/c/", "javascript:alert('{sha}')", "https://u:hunter2@x.example/{sha}", "{sha}"]
        {
            let error = text.parse::<CommitLink>().expect_err(text).to_string();
            assert!(error.contains("{sha}") && !error.contains("hunter2"), "{error}");
        }
    }
}

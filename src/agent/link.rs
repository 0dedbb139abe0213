//! Links to commits and files at the forge.

use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::secret::SafeUrl;

/// The placeholder for the commit's ID.
const PLACEHOLDER: &str = "{sha}";

/// The characters that are escaped in the path of a URL: all but slashes and the unreserved ones (RFC 3986 section 2.3).
pub const IN_PATHS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

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

    /// Returns the address of what changed between two commits. `None` if the link does not look like one of a known forge.
    pub fn to_comparison(&self, from: &str, to: &str) -> Option<String> {
        let commits = self.0.strip_suffix(PLACEHOLDER)?;
        if let Some(page) = commits.strip_suffix("commits/") {
            return page.starts_with("https://bitbucket.org/").then(|| format!("{page}branches/compare/{to}%0D{from}"));
        }
        let page = commits.strip_suffix("commit/")?;
        if is_azure_devops(page) {
            return Some(format!("{page}branchCompare?baseVersion=GC{from}&targetVersion=GC{to}"));
        }
        Some(format!("{page}compare/{from}...{to}"))
    }

    /// Returns the address of a line of a file at a commit. `None` if the link does not look like one of a known forge.
    pub fn to_line(&self, commit: &str, file: &str, line: usize) -> Option<String> {
        let below = |middle: &str| self.0.strip_suffix(PLACEHOLDER)?.strip_suffix(middle);
        let file = utf8_percent_encode(file, IN_PATHS);
        if let Some(page) = below("/-/commit/") {
            return Some(format!("{page}/-/blob/{commit}/{file}#L{line}"));
        }
        if let Some(page) = below("/commits/") {
            return Some(format!("{page}/src/{commit}/{file}#lines-{line}"));
        }
        let page = below("/commit/")?;
        if is_azure_devops(page) {
            let next = line + 1;
            let place = format!("line={line}&lineEnd={next}&lineStartColumn=1&lineEndColumn=1");
            return Some(format!("{page}?path=/{file}&version=GC{commit}&{place}"));
        }
        let is_github = url::Url::parse(page).ok()?.host_str()?.contains("github");
        let tree = if is_github { "blob" } else { "src/commit" };
        Some(format!("{page}/{tree}/{commit}/{file}#L{line}"))
    }
}

/// Returns whether the page of a repository is one of Azure DevOps, whose servers can have any name.
fn is_azure_devops(page: &str) -> bool {
    page.contains("/_git/")
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
    fn files_are_found_at_each_forge() {
        let line = |url: &str| {
            let link = CommitLink::of(&url.parse().expect(url)).expect("a link");
            link.to_line("1a2b", "apps/a b.yaml", 7).expect("a line")
        };
        let file = "apps/a%20b.yaml";
        assert_eq!(line("git@github.com:o/infra.git"), format!("https://github.com/o/infra/blob/1a2b/{file}#L7"));
        assert_eq!(line("git@gitlab.com:o/infra.git"), format!("https://gitlab.com/o/infra/-/blob/1a2b/{file}#L7"));
        let bitbucket = format!("https://bitbucket.org/o/infra/src/1a2b/{file}#lines-7");
        assert_eq!(line("git@bitbucket.org:o/infra.git"), bitbucket);
        let azure = "https://dev.azure.com/acme/shop/_git/infra";
        let place = "line=7&lineEnd=8&lineStartColumn=1&lineEndColumn=1";
        let azure = format!("{azure}?path=/{file}&version=GC1a2b&{place}");
        assert_eq!(line("git@ssh.dev.azure.com:v3/acme/shop/infra"), azure);
        let gitea = format!("https://gitea.d-ma.be/mathias/infra/src/commit/1a2b/{file}#L7");
        assert_eq!(line("ssh://git@gitea.d-ma.be:2222/mathias/infra.git"), gitea);
        let compared = |url: &str| {
            let link = CommitLink::of(&url.parse().expect(url)).expect("a link");
            link.to_comparison("1a2b", "3c4d")
        };
        let expect = Some("https://gitlab.com/o/app/-/compare/1a2b...3c4d".to_owned());
        assert_eq!(compared("https://gitlab.com/o/app"), expect);
        let expect = Some("https://github.com/o/app/compare/1a2b...3c4d".to_owned());
        assert_eq!(compared("https://github.com/o/app.git"), expect);
        let expect = "https://dev.azure.com/acme/shop/_git/app/branchCompare?baseVersion=GC1a2b&targetVersion=GC3c4d";
        assert_eq!(compared("https://dev.azure.com/acme/shop/_git/app").as_deref(), Some(expect));
        let expect = "https://bitbucket.org/o/app/branches/compare/3c4d%0D1a2b";
        assert_eq!(compared("https://bitbucket.org/o/app").as_deref(), Some(expect));
        let other = "https://cgit.example/infra/?id={sha}".parse::<CommitLink>().expect("a link");
        assert_eq!(other.to_line("1a2b", "x", 1), None);
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

//! The repositories that images are built from. Only the history of a branch is needed of them.

use std::path::PathBuf;
use std::time::Duration;

use crate::fault::{Explain, Fault};
use crate::policy::first_parent_history::FirstParentHistory;
use crate::secret::SafeUrl;

use super::access::Access;
use super::clone::BareClone;
use super::config::{Branch, Config, EVERYTHING, Https, Identity, Person, Ssh};
use super::error::RepoError;
use super::metrics::GitMetrics;
use super::signers::source::Trust;

/// The number of commits in the first clone of a source. Deployed images are mostly recent; more is fetched if needed.
const DEPTH: u32 = 50;

/// The source repositories that may be read, and how. Images and the infrastructure repository cannot add others.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The allowed repositories; the first entry that covers a URL applies.
    pub entries: Vec<SourceConfig>,
    /// The folder for clones; without one, sources cannot be read.
    pub cache_dir: Option<PathBuf>,
    /// How long to wait for a connection, and for each response on it.
    pub timeout: Duration,
}

/// Source repositories that may be read, and how.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    /// The repository, or the beginning of the URLs of several.
    pub url: SafeUrl,
    /// The URL that images and policies use instead.
    pub instead_of: Option<SafeUrl>,
    /// How to connect over ssh.
    pub ssh: Ssh,
    /// How to connect over https.
    pub https: Https,
}

/// An error when reading the history of a source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The source is not allowed.
    #[error("the source {url} is not allowed; add it to `sources` in the agent's own file")]
    NotAllowed {
        /// The source.
        url: SafeUrl,
    },
    /// There is no folder for clones.
    #[error("there is no folder for a clone of {url}; set --cache-dir")]
    NoCacheDir {
        /// The source.
        url: SafeUrl,
    },
    /// The policy's branch name is not valid.
    #[error("`{0}` is not a valid branch name")]
    Branch(String),
    /// Git failed.
    #[error(transparent)]
    Repo(#[from] RepoError),
}

impl Explain for SourceError {
    fn fault(&self) -> Fault {
        match self {
            SourceError::NotAllowed { .. } | SourceError::NoCacheDir { .. } | SourceError::Branch(_) => Fault::BadInput,
            SourceError::Repo(error) => error.fault(),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            SourceError::NotAllowed { .. } | SourceError::NoCacheDir { .. } | SourceError::Branch(_) => None,
            SourceError::Repo(
                RepoError::Denied { .. }
                | RepoError::NoAccess { .. }
                | RepoError::NoCredentials { .. }
                | RepoError::ClearText { .. }
                | RepoError::Authorities { .. },
            ) => Some(
                "check the entry of `sources` that covers it; reading is all that its key or token must be allowed"
                    .to_owned(),
            ),
            SourceError::Repo(RepoError::BranchMissing { existing, .. }) => {
                Some(format!("set `branch` beside `order: commit`; the source has {}", existing.join(", ")))
            }
            SourceError::Repo(RepoError::Missing { .. }) => Some("check `source` of the policy".to_owned()),
            SourceError::Repo(error) => error.help(),
        }
    }
}

impl Sources {
    /// Returns the configuration for a branch of a source, if it is allowed.
    pub fn config(&self, url: &SafeUrl, branch: &str) -> Result<Config, SourceError> {
        let covering = self.entries.iter().find_map(|entry| Some((entry, entry.covers(url)?)));
        let (entry, url) = covering.ok_or_else(|| SourceError::NotAllowed { url: url.clone() })?;
        let cache_dir = self.cache_dir.as_ref().ok_or_else(|| SourceError::NoCacheDir { url: url.clone() })?;
        let branch: Branch = branch.parse().map_err(|_| SourceError::Branch(branch.to_owned()))?;
        let nobody = Person { name: "tagalong".to_owned(), email: "tagalong@localhost".to_owned() };
        Ok(Config {
            url,
            branch,
            push_branch: None,
            push_options: Vec::new(),
            // Separate from the infrastructure repository, which may be the source itself.
            cache_dir: cache_dir.join("sources"),
            depth: DEPTH,
            history_limit: EVERYTHING,
            timeout: self.timeout,
            ssh: entry.ssh.clone(),
            https: entry.https_for_reading(),
            author: nobody.clone(),
            committer: nobody,
            signing: None,
            trust: Trust::default(),
            metrics: GitMetrics::default(),
        })
    }
}

impl Sources {
    /// Returns whether a repository is allowed, given its host and path (`github.com/acme/shop`), however it is reached.
    pub fn allows(&self, name: &str) -> bool {
        let covers = |url: &SafeUrl| {
            let prefix = canonical(url);
            let prefix = prefix.split_once("://").map_or(prefix.as_str(), |(_, rest)| rest).trim_end_matches('/');
            let prefix = prefix.strip_suffix(".git").unwrap_or(prefix);
            name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.entries.iter().any(|entry| covers(&entry.url) || entry.instead_of.as_ref().is_some_and(covers))
    }
}

impl SourceConfig {
    /// Returns an entry without credentials.
    pub fn open(url: SafeUrl, ssh: Ssh) -> SourceConfig {
        SourceConfig { url, instead_of: None, ssh, https: Https::default() }
    }

    /// Returns an entry for all repositories on another one's host, with the same credentials; `None` for local paths.
    pub fn beside(config: &Config) -> Option<SourceConfig> {
        let url = config.url.expose();
        let host = match url.split_once("://") {
            Some(("file", _)) => None,
            Some((scheme, rest)) => Some(format!("{scheme}://{}", rest.split(['/', '?', '#']).next()?)),
            None if url.starts_with('/') => None,
            None => Some(format!("ssh://{}", url.split(':').next()?)),
        };
        let (ssh, https) = (config.ssh.clone(), config.https.clone());
        Some(SourceConfig { url: host?.parse().ok()?, instead_of: None, ssh, https })
    }

    /// Returns how to connect over https, with no more rights than reading.
    fn https_for_reading(&self) -> Https {
        let identity = self.https.identity.clone().map(|identity| Identity { access: Access::Read, ..identity });
        Https { identity, ..self.https.clone() }
    }

    /// Returns the URL for a repository by this entry. Users and passwords only come from the entry.
    fn covers(&self, url: &SafeUrl) -> Option<SafeUrl> {
        let wanted = canonical(url);
        let prefixes = [Some(&self.url), self.instead_of.as_ref()];
        let rest = prefixes.into_iter().flatten().find_map(|prefix| {
            let prefix = canonical(prefix);
            let rest = wanted.strip_prefix(prefix.trim_end_matches('/'))?;
            (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_start_matches('/'))
        })?;
        let climbs =
            |part: &str| part == ".." || part.to_ascii_lowercase().contains("%2e") || part.contains(['?', '#']);
        if rest.split('/').any(climbs) {
            return None;
        }
        let base = self.url.expose().trim_end_matches('/');
        let joint = if rest.is_empty() || base.ends_with(':') { "" } else { "/" };
        format!("{base}{joint}{rest}").parse().ok()
    }
}

/// Returns a URL without user and password, with a scheme, and with scheme and host in lower case.
fn canonical(url: &SafeUrl) -> String {
    if let Some(path) = url.local_path() {
        return format!("file://{path}");
    }
    let (host, text) = (url.authority().to_ascii_lowercase(), url.expose());
    let path = match text.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => text.split_once(':').map_or("", |(_, path)| path.trim_start_matches('/')),
    };
    format!("{}://{host}/{path}", url.scheme().to_ascii_lowercase())
}

/// How much of a history is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// What the clone has, updated to the tip.
    AtHand,
    /// More than the clone has.
    More,
}

/// Returns the first-parent history of a source's branch on the remote.
///
/// # Errors
/// The remote cannot be reached or has no such branch, or the clone cannot be written.
pub fn lineage(config: Config, wanted: Wanted) -> Result<FirstParentHistory, RepoError> {
    let (mut clone, tip) = BareClone::open(config)?.fetch()?;
    if wanted == Wanted::More {
        clone.deepen()?;
    }
    let lineage = clone.first_parents(tip)?;
    clone.note_sound();
    Ok(lineage)
}

/// Returns name and address of the author of a commit, whose ID may be abbreviated, or `None` if the branch does not have it.
///
/// # Errors
/// As for [`lineage`].
pub fn author(config: Config, commit: &str) -> Result<Option<(String, String)>, RepoError> {
    let (mut clone, _) = BareClone::open(config)?.fetch()?;
    let mut author = clone.author_of(commit);
    if author.is_none() {
        clone.deepen()?;
        author = clone.author_of(commit);
    }
    clone.note_sound();
    Ok(author)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> SafeUrl {
        text.parse().expect(text)
    }

    fn reached(entry: &str, instead_of: Option<&str>, wanted: &str) -> Option<String> {
        let entry = SourceConfig { instead_of: instead_of.map(url), ..SourceConfig::open(url(entry), Ssh::default()) };
        entry.covers(&url(wanted)).map(|url| url.expose().to_owned())
    }

    #[test]
    fn an_entry_covers_what_lies_below_it_and_nothing_beside_it() {
        let org = "https://github.com/acme";
        for wanted in ["https://github.com/acme/app", "https://GitHub.com/acme/app", "https://x:y@github.com/acme/app"]
        {
            assert_eq!(reached(org, None, wanted).as_deref(), Some("https://github.com/acme/app"), "{wanted}");
        }
        for wanted in [
            "https://github.com/acme-evil/app",
            "https://github.com.evil.example/acme/app",
            "https://github.com@evil.example/acme/app",
            "https://github.com/acme/../evil/app",
            "https://github.com/acme/%2E%2E/evil",
            "http://github.com/acme/app",
            "ssh://git@github.com/acme/app",
            "/github.com/acme/app",
        ] {
            assert_eq!(reached(org, None, wanted), None, "{wanted}");
        }
        assert_eq!(reached("/srv/git", None, "/srv/git/app.git").as_deref(), Some("/srv/git/app.git"));
        assert_eq!(reached("/srv/git", None, "/srv/git/../../etc"), None);
        assert_eq!(reached("/srv/git/app.git", None, "file:///srv/git/app.git").as_deref(), Some("/srv/git/app.git"));
    }

    #[test]
    fn credentials_are_those_of_the_entry() {
        let entry = "ssh://git@gitea.example.com:2222";
        let instead = Some("https://gitea.example.com");
        let reached_by = |wanted| reached(entry, instead, wanted);
        let by_ssh = Some("ssh://git@gitea.example.com:2222/org/app".to_owned());
        assert_eq!(reached_by("https://gitea.example.com/org/app"), by_ssh);
        assert_eq!(reached_by("https://u:sesame@gitea.example.com/org/app"), by_ssh);
        assert_eq!(reached_by("ssh://root@gitea.example.com:2222/org/app"), by_ssh);
        assert_eq!(reached_by("ssh://root@gitea.example.com/org/app"), None);
        let scp = reached("git@github.com:acme", None, "git@github.com:acme/app.git");
        assert_eq!(scp.as_deref(), Some("git@github.com:acme/app.git"));
        assert_eq!(
            reached("ssh://git@github.com/acme", None, "git@github.com:acme/app.git").as_deref(),
            Some("ssh://git@github.com/acme/app.git")
        );
    }
}

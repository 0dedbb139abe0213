//! The infrastructure repository: the section `git`, and the flags that override it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::repo;
use crate::repo::checkout;
use crate::repo::config::{Branch, Person, Signing, SigningKeyFile, USUAL_DEPTH, USUAL_HISTORY_LIMIT};
use crate::repo::metrics::GitMetrics;
use crate::repo::signers::source::Trust;

use super::defaults::with_known_hosts;
use super::error::ConfigError;
use super::overrides::Overrides;
use super::sections::git::GitSection;

/// The time limit of git operations, unless configured.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// Returns the settings of the repository, if one is configured.
///
/// # Errors
/// A flag has an invalid value, there is no folder for the cache, or the branch to push to is the one to follow.
pub fn repository(
    git: GitSection,
    trust: Trust,
    overrides: &Overrides,
    cache_dir: Option<&Path>,
    home: Option<&Path>,
) -> Result<Option<repo::config::Config>, ConfigError> {
    let checkout = overrides.git_url.as_deref().map(checkout_at).transpose()?.flatten();
    let url = match (&overrides.git_url, &checkout) {
        (Some(_), Some(root)) => Some(flag("--git-url", &root.display().to_string())?),
        (Some(text), None) => Some(flag("--git-url", text)?),
        (None, _) => git.url,
    };
    let branch = match &overrides.branch {
        Some(text) => Some(flag("--branch", text)?),
        None => git.branch.or_else(|| checkout::branch(checkout.as_deref()?)),
    };
    let Some(url) = url else { return Ok(None) };
    let (mut ssh, mut https) = (git.ssh, git.https);
    ssh.key_file = overrides.ssh_key_file.clone().or(ssh.key_file);
    ssh.known_hosts_file = overrides.known_hosts_file.clone().unwrap_or(ssh.known_hosts_file);
    https.token_file = overrides.git_token_file.clone().or(https.token_file);
    https.username = overrides.git_username.clone().or(https.username);
    let default = || Person { name: "tagalong".to_owned(), email: "tagalong@localhost".to_owned() };
    let author = git.author.unwrap_or_else(default);
    let repo = repo::config::Config {
        url,
        branch: branch.map_or_else(default_branch, Ok)?,
        push_branch: git.push_branch,
        push_options: git.push_options,
        cache_dir: cache_dir.map(Path::to_owned).ok_or(ConfigError::NoCacheDir)?,
        depth: git.depth.unwrap_or(USUAL_DEPTH),
        history_limit: git.history_limit.unwrap_or(USUAL_HISTORY_LIMIT),
        timeout: git.timeout.unwrap_or(TIMEOUT),
        ssh: with_known_hosts(ssh, home),
        https,
        committer: git.committer.unwrap_or_else(|| author.clone()),
        author,
        signing: signing(git.signing, overrides),
        trust,
        metrics: GitMetrics::default(),
    };
    if repo.push_branch.as_ref() == Some(&repo.branch) {
        return Err(ConfigError::SameBranch(repo.branch));
    }
    Ok(Some(repo))
}

/// Returns how commits are signed: with the key of the flag, else the configured one.
fn signing(configured: Option<Signing>, overrides: &Overrides) -> Option<Signing> {
    let by_flag = |file: &PathBuf| Signing { key: SigningKeyFile::Ssh(file.clone()), passphrase_file: None };
    overrides.signing_key_file.as_ref().map(by_flag).or(configured)
}

/// Returns the root of the repository that a relative path such as `.` is in; `None` for all other URLs.
fn checkout_at(text: &str) -> Result<Option<PathBuf>, ConfigError> {
    if !matches!(text, "." | "..") && !text.starts_with("./") && !text.starts_with("../") {
        return Ok(None);
    }
    let root = checkout::root(Path::new(text));
    let reason = || format!("`{text}` is not in a git repository");
    root.map(Some).ok_or_else(|| ConfigError::Flag { flag: "--git-url", reason: reason() })
}

fn flag<T: std::str::FromStr<Err: std::fmt::Display>>(name: &'static str, text: &str) -> Result<T, ConfigError> {
    text.parse().map_err(|error: T::Err| ConfigError::Flag { flag: name, reason: error.to_string() })
}

fn default_branch() -> Result<Branch, ConfigError> {
    flag("--branch", "main")
}

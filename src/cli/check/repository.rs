//! The infrastructure repository, and the right to push to it.

use tokio::task::block_in_place;

use crate::config::load::Config;
use crate::fault::Explain;
use crate::repo;
use crate::repo::remote;
use crate::repo::signers::commits::verify_own;

use super::row::Row;

/// Reports the configuration, which has been read.
pub fn configuration(config: &Config) -> Row {
    let policies = match config.tree_config.own.policies.rules.len() {
        1 => "1 policy".to_owned(),
        count => format!("{count} policies"),
    };
    Row::new("configuration", "tagalong.yaml and flags", Ok(policies))
}

/// Checks the repository. Returns the tip of its branch as well, if it can be read.
pub fn check(repo: &repo::config::Config) -> (Option<String>, Vec<Row>) {
    let tip = block_in_place(|| remote::probe(repo));
    let identity = identity(repo);
    let at =
        tip.as_ref().map(|tip| format!("{} is at {tip}{identity}", repo.branch)).map_err(|error| error as &dyn Explain);
    let mut rows = vec![Row::new("git", repo.url.to_string(), at).needed_to("read the branch")];
    // A server that cannot be read would only repeat the reason.
    rows.extend(tip.is_ok().then(|| push(repo)));
    rows.extend(signers(repo));
    (tip.ok(), rows)
}

/// Returns the identity that the repository is accessed with, as the end of a sentence.
fn identity(repo: &repo::config::Config) -> String {
    let identity = repo.https.identity.as_ref().filter(|_| matches!(repo.url.scheme(), "http" | "https"));
    identity.map(|identity| format!("; access as {}", identity.issuer)).unwrap_or_default()
}

/// Checks whether the repository accepts pushes.
fn push(repo: &repo::config::Config) -> Row {
    let accepted = block_in_place(|| remote::probe_push(repo));
    let detail = match repo.url.local_path() {
        Some(_) => "can be written",
        None => "accepts pushes; rules for branches and hooks show only at a push",
    };
    let purpose = match &repo.push_branch {
        Some(branch) => format!("push proposals to {branch}, and what people request to {}", repo.branch),
        None => format!("commit updates to {}", repo.branch),
    };
    Row::of("push", repo.url.to_string(), accepted, detail).needed_to(purpose)
}

/// Checks whether own commits would count, if only signed ones do.
fn signers(repo: &repo::config::Config) -> Option<Row> {
    let own = verify_own(repo).transpose()?;
    let keys = match own.as_ref().copied().unwrap_or_default() {
        1 => "1 key".to_owned(),
        keys => format!("{keys} keys"),
    };
    let detail = format!("{keys}, one of which signs own commits");
    Some(Row::of("signers", "trust.signers", own, detail).needed_to("make own commits count"))
}

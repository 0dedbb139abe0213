//! Merging of pull requests.
//!
//! - Gitea's swagger: `repoMergePullRequest`, with `head_commit_id`
//! - GitHub's REST API: "Merge a pull request", with `sha`
//! - GitLab's REST API: "Merge a merge request", with `sha`
//! - the others have modules of their own

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::config::Kind;
use super::error::ForgeError;
use super::pull_request::{Draft, MergeResult};
use super::transport::{Request, Transport};
use super::{azure, bitbucket, datacenter, gitlab, lookup, pulls};

/// What the products return. Gitea returns nothing.
#[derive(Default, Deserialize)]
struct Merged {
    /// The merge commit, according to GitHub; the head, according to GitLab.
    sha: Option<String>,
    merge_commit_sha: Option<String>,
}

/// Merges a pull request if its head is `head`, with this title and text as the message of the merge commit.
pub async fn merge(forge: &Transport, number: u64, head: &str, message: &Draft) -> Result<MergeResult, ForgeError> {
    let merged = match forge.config.kind {
        Kind::Gitea | Kind::GitHub | Kind::GitLab => by_one_request(forge, number, head, message).await,
        Kind::Bitbucket => bitbucket::merge::merge(forge, number, head, message).await,
        Kind::BitbucketDataCenter => datacenter::merge::merge(forge, number, head, message).await,
        Kind::AzureDevOps => azure::merge::merge(forge, number, head, message).await,
    };
    let refused = match merged {
        Err(error) => error,
        merged => return merged,
    };
    let may_have_moved = match (&refused, forge.config.kind) {
        // A conflict may also mean that the branch to merge into has moved.
        (ForgeError::Refused { status, .. }, Kind::Gitea | Kind::GitHub | Kind::GitLab) => *status == 409,
        (refused, _) => matches!(refused, ForgeError::Refused { .. }),
    };
    if may_have_moved {
        let (pull_request, _) = lookup::read(forge, number).await?;
        if let Some(now) = pull_request.head.filter(|now| now != head) {
            return Ok(MergeResult::Moved { head: now });
        }
    }
    Err(refused)
}

async fn by_one_request(
    forge: &Transport,
    number: u64,
    head: &str,
    message: &Draft,
) -> Result<MergeResult, ForgeError> {
    let Draft { title, text } = message;
    let pulls = || format!("{}/pulls/{number}/merge", pulls::repository_path(forge));
    let request = match forge.config.kind {
        Kind::Gitea => Request::send(
            Method::POST,
            pulls(),
            json!({ "Do": "merge", "head_commit_id": head, "MergeTitleField": title, "MergeMessageField": text }),
        ),
        Kind::GitLab => {
            let target = format!("{}/{number}/merge", gitlab::repository_path(forge));
            let message = format!("{title}\n\n{text}");
            let body = json!({ "sha": head, "merge_commit_message": message, "squash_commit_message": message });
            Request::send(Method::PUT, target, body)
        }
        _ => Request::send(
            Method::PUT,
            pulls(),
            json!({ "merge_method": "merge", "sha": head, "commit_title": title, "commit_message": text }),
        ),
    };
    let Merged { sha, merge_commit_sha } = forge.send::<Option<Merged>>(request).await?.body.unwrap_or_default();
    Ok(MergeResult::Merged { commit: merge_commit_sha.or(sha) })
}

//! Merging of pull requests.
//!
//! - Gitea's swagger: `repoMergePullRequest`, with `head_commit_id`
//! - GitHub's REST API: "Merge a pull request", with `sha`
//! - GitLab's REST API: "Merge a merge request", with `sha`

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::config::Kind;
use super::error::ForgeError;
use super::pull_request::{Draft, MergeResult};
use super::transport::{Request, Transport};
use super::{gitlab, pulls};

/// What the products return. Gitea returns nothing.
#[derive(Default, Deserialize)]
struct Merged {
    /// The merge commit, according to GitHub; the head, according to GitLab.
    sha: Option<String>,
    merge_commit_sha: Option<String>,
}

/// Merges a pull request if its head is `head`, with this title and text as the message of the merge commit.
pub async fn merge(forge: &Transport, number: u64, head: &str, message: &Draft) -> Result<MergeResult, ForgeError> {
    let Draft { title, text } = message;
    let pulls = || format!("{}/pulls/{number}/merge", pulls::repository_path(forge));
    let request = match forge.config.kind {
        Kind::Gitea => Request::send(
            Method::POST,
            pulls(),
            json!({ "Do": "merge", "head_commit_id": head, "MergeTitleField": title, "MergeMessageField": text }),
        ),
        Kind::GitHub => Request::send(
            Method::PUT,
            pulls(),
            json!({ "merge_method": "merge", "sha": head, "commit_title": title, "commit_message": text }),
        ),
        Kind::GitLab => {
            let target = format!("{}/{number}/merge", gitlab::repository_path(forge));
            let message = format!("{title}\n\n{text}");
            let body = json!({ "sha": head, "merge_commit_message": message, "squash_commit_message": message });
            Request::send(Method::PUT, target, body)
        }
    };
    let refused = match forge.send::<Option<Merged>>(request).await {
        Ok(response) => {
            let Merged { sha, merge_commit_sha } = response.body.unwrap_or_default();
            return Ok(MergeResult::Merged { commit: merge_commit_sha.or(sha) });
        }
        Err(error) => error,
    };
    // A conflict may also mean that the branch to merge into has moved.
    if matches!(refused, ForgeError::Refused { status: 409, .. }) {
        let (pull_request, _) = match forge.config.kind {
            Kind::Gitea | Kind::GitHub => pulls::read(forge, number).await?,
            Kind::GitLab => gitlab::read(forge, number).await?,
        };
        if let Some(now) = pull_request.head.filter(|now| now != head) {
            return Ok(MergeResult::Moved { head: now });
        }
    }
    Err(refused)
}

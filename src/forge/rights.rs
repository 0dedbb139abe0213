//! What a token is allowed to do, tried without changing anything.
//!
//! Each product checks the token, its scopes and the role of its user before it looks at the body of a request. So a
//! request that writes is sent with a body that can mean nothing:
//!
//! - Gitea and Forgejo read an object from every body, and refuse a list with 422 (`bind` in `routers/api/v1/api.go`).
//! - GitHub refuses an object without the required keys with 422 ("Create a pull request", "Create a commit status").
//! - GitLab refuses it with 400 ("Create MR", "Set commit pipeline status"). It does so before it looks at the role, which
//!   is therefore read.
//! - Bitbucket Cloud, Bitbucket Data Center and Azure DevOps refuse it with 400, because the title, or the name of a status,
//!   is required. Statuses of a commit that does not exist may be refused with 404 before that.
//!
//! Even if one of them did look at it differently: a pull request without branches, a label without a name, and the status
//! of a commit that cannot exist are nothing that it could make.

use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::http::encode_path_segment;

use super::commit_status::NewStatus;
use super::config::Kind;
use super::error::ForgeError;
use super::transport::{Request, Transport};
use super::{azure, bitbucket, datacenter, gitlab, pulls};

/// The ID of no commit.
pub const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// The role of a developer (GitLab, "Project members API").
const DEVELOPER: u8 = 30;

/// A right that a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Opening pull requests.
    OpenPullRequests,
    /// Labelling pull requests and commenting on them.
    WriteIssues,
    /// Setting statuses of commits.
    SetStatuses,
}

/// Returns a body that can mean nothing.
pub fn meaningless(kind: Kind) -> Value {
    match kind {
        Kind::Gitea => json!([]),
        Kind::GitHub | Kind::GitLab | Kind::Bitbucket | Kind::BitbucketDataCenter | Kind::AzureDevOps => json!({}),
    }
}

/// Returns whether a status shows that only the body was refused.
pub fn is_about_body(status: u16) -> bool {
    matches!(status, 400 | 422)
}

/// Checks that the token may open, label and close pull requests.
pub async fn try_pull_requests(forge: &Transport) -> Result<(), ForgeError> {
    let config = &forge.config;
    let needs_push = match config.kind {
        // Whoever may read may propose, but labels are only for writers.
        Kind::Gitea => !config.labels.is_empty(),
        Kind::GitHub | Kind::GitLab => true,
        // They do not tell.
        Kind::Bitbucket | Kind::BitbucketDataCenter | Kind::AzureDevOps => false,
    };
    if needs_push && may_push(forge).await? == Some(false) {
        return Err(ForgeError::Reader {
            host: config.api.host().to_owned(),
            repository: config.repository.clone(),
            token: config.token.clone(),
        });
    }
    try_right(forge, Right::OpenPullRequests).await?;
    // The other products have one scope for both.
    if config.kind == Kind::Gitea { try_right(forge, Right::WriteIssues).await } else { Ok(()) }
}

/// Checks that the token includes a right.
pub async fn try_right(forge: &Transport, right: Right) -> Result<(), ForgeError> {
    let (kind, repository) = (forge.config.kind, &forge.config.repository);
    let target = match (right, kind) {
        (Right::SetStatuses, Kind::Bitbucket) => bitbucket::statuses::target(forge, NO_COMMIT),
        (Right::SetStatuses, Kind::BitbucketDataCenter) => datacenter::statuses::target(NO_COMMIT),
        (Right::SetStatuses, Kind::AzureDevOps) => azure::statuses::target(forge, NO_COMMIT),
        (Right::OpenPullRequests, _) => pull_requests(forge),
        (Right::WriteIssues, _) => format!("{}/labels", pulls::repository_path(forge)),
        (Right::SetStatuses, Kind::Gitea | Kind::GitHub) => NewStatus::path(repository, NO_COMMIT),
        (Right::SetStatuses, Kind::GitLab) => {
            format!("/projects/{}/statuses/{NO_COMMIT}", encode_path_segment(repository))
        }
    };
    let what = format!("POST {}", target.split('?').next().unwrap_or_default());
    match forge.send::<IgnoredAny>(Request::send(Method::POST, target, meaningless(kind))).await {
        Err(ForgeError::Refused { status, .. }) if is_about_body(status) => Ok(()),
        // The commit is missing, unless the whole repository is.
        Err(ForgeError::NotFound { .. }) if right == Right::SetStatuses && may_miss_commit(kind) => {
            forge.send::<IgnoredAny>(Request::get(pull_requests(forge))).await.map(drop)
        }
        Err(error) => Err(error),
        Ok(_) => {
            let reason = "it accepted a request that means nothing".to_owned();
            Err(ForgeError::InvalidResponse { host: forge.config.api.host().to_owned(), what, reason })
        }
    }
}

/// Returns the target at which pull requests are listed and opened.
fn pull_requests(forge: &Transport) -> String {
    match forge.config.kind {
        Kind::Gitea | Kind::GitHub => format!("{}/pulls", pulls::repository_path(forge)),
        Kind::GitLab => gitlab::repository_path(forge),
        Kind::Bitbucket => bitbucket::pulls::target(forge),
        Kind::BitbucketDataCenter => datacenter::pulls::target(forge),
        Kind::AzureDevOps => azure::pulls::target(forge),
    }
}

/// Returns whether a product may look for the commit before it looks at its status.
fn may_miss_commit(kind: Kind) -> bool {
    matches!(kind, Kind::Bitbucket | Kind::BitbucketDataCenter | Kind::AzureDevOps)
}

/// A repository or project, as far as it tells what the user of the token may do.
#[derive(Deserialize)]
struct Repository {
    permissions: Option<Permissions>,
}

/// Gitea and GitHub have `pull` and `push`, GitLab has `project_access` and `group_access`.
#[derive(Deserialize)]
struct Permissions {
    pull: Option<bool>,
    push: Option<bool>,
    project_access: Option<Role>,
    group_access: Option<Role>,
}

#[derive(Deserialize)]
struct Role {
    access_level: u8,
}

/// Returns whether the user of the token may push, if the forge tells.
async fn may_push(forge: &Transport) -> Result<Option<bool>, ForgeError> {
    let target = match forge.config.kind {
        Kind::GitLab => format!("/projects/{}", encode_path_segment(&forge.config.repository)),
        _ => pulls::repository_path(forge),
    };
    let repository = forge.send::<Repository>(Request::get(target)).await?.body;
    let Some(Permissions { pull, push, project_access, group_access }) = repository.permissions else {
        return Ok(None);
    };
    let role = [project_access, group_access].into_iter().flatten().map(|role| role.access_level).max();
    Ok(match forge.config.kind {
        Kind::GitLab => role.map(|role| role >= DEVELOPER),
        // To the token of an app, GitHub shows no permissions at all.
        _ => push.filter(|_| pull == Some(true)),
    })
}

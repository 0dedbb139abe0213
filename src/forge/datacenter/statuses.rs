//! Statuses on Bitbucket Data Center: its API of build statuses, "Get build statuses for commit", "Create build status for
//! commit". It is about commits of all repositories.

use std::collections::BTreeSet;

use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use crate::forge::build_status::{self, BuildStatus};
use crate::forge::commit_status::{CommitStatus, NewStatus};
use crate::forge::error::ForgeError;
use crate::forge::pages;
use crate::forge::transport::{Request, Transport};

use super::api::{self, List};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    key: String,
    name: Option<String>,
    state: String,
    description: Option<String>,
    url: Option<String>,
    date_added: Option<i64>,
}

impl From<Status> for BuildStatus {
    fn from(status: Status) -> BuildStatus {
        let Status { key, name, state, description, url, date_added } = status;
        let at = date_added.and_then(api::time).map(|at| at.to_string());
        BuildStatus { key, name, state, description, url, at }
    }
}

/// Returns the target of the statuses of a commit.
pub fn target(commit: &str) -> String {
    format!("/build-status/1.0/commits/{commit}")
}

/// Returns the statuses of a commit whose key or name is one of these contexts. A key has only one.
pub async fn read(
    forge: &Transport,
    commit: &str,
    contexts: &BTreeSet<String>,
) -> Result<Vec<CommitStatus>, ForgeError> {
    let page = |start: usize| format!("{}?limit=100&start={start}", target(commit));
    let next = |list: &List<Status>| Ok(list.next().map(page));
    let all = pages::follow(forge, page(0), next).await?;
    let all: Vec<BuildStatus> = all.into_iter().map(BuildStatus::from).collect();
    Ok(build_status::of_contexts(&all, contexts))
}

/// Sets a status.
pub async fn set(forge: &Transport, commit: &str, status: &NewStatus) -> Result<(), ForgeError> {
    let (project, name) = api::names(forge);
    // An address is required.
    let page = || format!("{}/projects/{project}/repos/{name}/commits/{commit}", forge.config.api.pages());
    let body = json!({
        "key": status.context,
        "name": status.context,
        "state": build_status::word(status.state),
        "description": status.short_description(),
        "url": status.url.clone().unwrap_or_else(page),
    });
    forge.send::<IgnoredAny>(Request::send(Method::POST, target(commit), body)).await.map(drop)
}

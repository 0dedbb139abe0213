//! Statuses on Bitbucket Data Center: its API of build statuses, "Get build statuses for commit", "Create build status for
//! commit". It is about commits of all repositories.

use std::collections::BTreeSet;

use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use crate::forge::commit_status::{CheckState, CommitStatus, NewStatus};
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
    let common = |context: &String| {
        let named = all.iter().filter(|status| status.key == *context || status.name.as_ref() == Some(context));
        named.map(|status| common(context, status)).max_by_key(|status| status.state)
    };
    Ok(contexts.iter().filter_map(common).collect())
}

/// Sets a status.
pub async fn set(forge: &Transport, commit: &str, status: &NewStatus) -> Result<(), ForgeError> {
    let state = match status.state {
        CheckState::Success => "SUCCESSFUL",
        CheckState::Pending => "INPROGRESS",
        CheckState::Failure => "FAILED",
    };
    let (project, name) = api::names(forge);
    // An address is required.
    let page = || format!("{}/projects/{project}/repos/{name}/commits/{commit}", forge.config.api.pages());
    let body = json!({
        "key": status.context,
        "name": status.context,
        "state": state,
        "description": status.short_description(),
        "url": status.url.clone().unwrap_or_else(page),
    });
    forge.send::<IgnoredAny>(Request::send(Method::POST, target(commit), body)).await.map(drop)
}

fn common(context: &str, status: &Status) -> CommitStatus {
    let state = match status.state.as_str() {
        "SUCCESSFUL" => CheckState::Success,
        "INPROGRESS" => CheckState::Pending,
        _ => CheckState::Failure,
    };
    let at = status.date_added.and_then(api::time).map(|at| at.to_string());
    CommitStatus::new(context.to_owned(), state, &status.state).with(status.description.clone(), status.url.clone(), at)
}

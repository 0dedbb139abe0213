//! Statuses on Azure DevOps: "Statuses - List", "Statuses - Create", and for branch policies, which look at pull requests
//! only, "Pull Request Statuses - Create" (`GitStatus`, `GitPullRequestStatus`).

use std::collections::BTreeSet;

use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::forge::commit_status::{CheckState, CommitStatus, NewStatus, newest};
use crate::forge::error::ForgeError;
use crate::forge::transport::{Request, Transport};

use super::api::{self, List};
use super::{pulls, votes};

/// The most statuses that are read.
const MOST: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    id: i64,
    state: String,
    context: Context,
    description: Option<String>,
    target_url: Option<String>,
    creation_date: Option<String>,
    updated_date: Option<String>,
}

/// The context: the name of a status, and that of its group.
#[derive(Deserialize)]
struct Context {
    genre: Option<String>,
    name: String,
}

impl Context {
    /// Returns both names, as Azure DevOps shows them.
    fn whole(&self) -> String {
        match self.genre.as_deref().filter(|genre| !genre.is_empty()) {
            Some(genre) => format!("{genre}/{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// Returns the target of the statuses of a commit.
pub fn target(forge: &Transport, commit: &str) -> String {
    api::target(forge, &format!("/commits/{commit}/statuses"))
}

/// Returns the newest statuses of a commit with these contexts.
pub async fn read(
    forge: &Transport,
    commit: &str,
    contexts: &BTreeSet<String>,
) -> Result<Vec<CommitStatus>, ForgeError> {
    let target = format!("{}&latestOnly=true&top={MOST}", target(forge, commit));
    let found = forge.send::<List<Status>>(Request::get(target)).await?.body.value;
    let wanted = found.into_iter().map(|status| (status.context.whole(), status.id, status));
    let wanted = wanted.filter(|(context, ..)| contexts.contains(context));
    Ok(newest(wanted).map(common).collect())
}

/// Sets a status of a commit, and of the pull request whose head it is.
pub async fn set(forge: &Transport, commit: &str, status: &NewStatus) -> Result<(), ForgeError> {
    let body = body(status);
    forge.send::<IgnoredAny>(Request::send(Method::POST, target(forge, commit), body.clone())).await?;
    let Some(number) = pulls::open_with_head(forge, commit).await? else { return Ok(()) };
    // The status of an iteration does not count for what is pushed later.
    let Some(iteration) = votes::last_iteration(forge, number, commit).await? else { return Ok(()) };
    let mut body = body;
    body["iterationId"] = iteration.into();
    let request = Request::send(Method::POST, api::pull_request(forge, number, "/statuses"), body);
    forge.send::<IgnoredAny>(request).await.map(drop)
}

fn body(status: &NewStatus) -> Value {
    let state = match status.state {
        CheckState::Success => "succeeded",
        CheckState::Pending => "pending",
        CheckState::Failure => "failed",
    };
    let (genre, name) = status.context.rsplit_once('/').unwrap_or(("", &status.context));
    let mut body = json!({
        "state": state,
        "description": status.short_description(),
        "context": { "genre": genre, "name": name },
    });
    if let Some(url) = &status.url {
        body["targetUrl"] = url.as_str().into();
    }
    body
}

fn common(status: Status) -> CommitStatus {
    let state = match status.state.as_str() {
        "succeeded" | "notApplicable" => CheckState::Success,
        "pending" | "notSet" => CheckState::Pending,
        _ => CheckState::Failure,
    };
    let at = status.updated_date.or(status.creation_date);
    CommitStatus::new(status.context.whole(), state, &status.state).with(status.description, status.target_url, at)
}

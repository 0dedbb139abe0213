//! The API that Gitea and GitHub share: Gitea's follows GitHub's.
//!
//! - Gitea's swagger (`/api/swagger`): `PullRequest`, `repoEditPullRequest`, `issueCreateComment`
//! - GitHub's REST API: "List pull requests", "Update a pull request", "Create an issue comment"

use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::error::ForgeError;
use super::pull_request::{Draft, ListedPullRequest, PullRequest, State};
use super::transport::{Request, Response, Transport};

/// A pull request, as both return it.
#[derive(Deserialize)]
pub struct Pull {
    pub number: u64,
    html_url: String,
    body: Option<String>,
    state: String,
    merged_at: Option<Timestamp>,
    updated_at: Timestamp,
    closed_at: Option<Timestamp>,
    head: Tip,
    base: Tip,
}

/// One end of a pull request. The repository of a fork may be gone.
#[derive(Deserialize)]
struct Tip {
    #[serde(rename = "ref")]
    name: String,
    repo: Option<Repository>,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
}

/// A page of the list at `target`.
pub async fn page(forge: &Transport, target: String) -> Result<Response<Vec<ListedPullRequest>>, ForgeError> {
    let Response { body, has_next } = forge.send::<Vec<Pull>>(Request::get(target)).await?;
    Ok(Response { body: body.into_iter().map(|pull| pull.listed(forge)).collect(), has_next })
}

/// Opens a pull request; `more` is added to the body.
pub async fn open(forge: &Transport, draft: &Draft, more: Value) -> Result<Pull, ForgeError> {
    let mut body = json!({
        "title": draft.title,
        "body": draft.text,
        "head": forge.config.head,
        "base": forge.config.base,
    });
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    let request = Request::send(Method::POST, format!("{}/pulls", repository_path(forge)), body);
    Ok(forge.send::<Pull>(request).await?.body)
}

pub async fn update(forge: &Transport, number: u64, draft: &Draft) -> Result<(), ForgeError> {
    edit(forge, number, json!({ "title": draft.title, "body": draft.text })).await
}

pub async fn close(forge: &Transport, number: u64, text: &str, why: &str) -> Result<(), ForgeError> {
    edit(forge, number, json!({ "state": "closed", "body": text })).await?;
    let target = format!("{}/issues/{number}/comments", repository_path(forge));
    let request = Request::send(Method::POST, target, json!({ "body": why }));
    forge.send::<IgnoredAny>(request).await.map(drop)
}

async fn edit(forge: &Transport, number: u64, body: Value) -> Result<(), ForgeError> {
    let request = Request::send(Method::PATCH, format!("{}/pulls/{number}", repository_path(forge)), body);
    forge.send::<IgnoredAny>(request).await.map(drop)
}

/// The API path of the repository.
pub fn repository_path(forge: &Transport) -> String {
    format!("/repos/{}", forge.config.repository)
}

impl Pull {
    fn listed(self, forge: &Transport) -> ListedPullRequest {
        let id = |tip: &Tip| tip.repo.as_ref().map(|repository| repository.id);
        // A fork may have a branch of the same name.
        let is_own = id(&self.head).is_some()
            && id(&self.head) == id(&self.base)
            && self.head.name == forge.config.head
            && self.base.name == forge.config.base;
        ListedPullRequest { updated: self.updated_at, own: is_own.then(|| self.into_own()) }
    }

    pub fn into_own(self) -> PullRequest {
        let state = match (self.state.as_str(), self.merged_at) {
            (_, Some(_)) => State::Merged,
            ("closed", None) => State::Closed { at: self.closed_at.unwrap_or(self.updated_at), by: None },
            _ => State::Open,
        };
        PullRequest { number: self.number, url: self.html_url, text: self.body.unwrap_or_default(), state }
    }
}

//! The API that Gitea and GitHub share: Gitea's follows GitHub's.
//!
//! - Gitea's swagger (`/api/swagger`): `PullRequest`, `PRBranchInfo`, `repoEditPullRequest`, `issueCreateComment`
//! - GitHub's REST API: "List pull requests", "Update a pull request", "Create an issue comment"

use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::error::ForgeError;
use super::pull_request::{Draft, ListedPullRequest, Merge, Person, PullRequest, State};
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
    user: Option<User>,
    merged_by: Option<User>,
    merge_commit_sha: Option<String>,
}

/// A user, as both return it. GitHub shows neither full name nor address.
#[derive(Clone, Deserialize)]
pub struct User {
    login: String,
    full_name: Option<String>,
    email: Option<String>,
}

/// One end of a pull request. The repository of a fork may be gone.
#[derive(Deserialize)]
struct Tip {
    #[serde(rename = "ref")]
    name: String,
    /// The branch, according to Gitea, whose `ref` is `refs/pull/NUMBER/head` once the branch was deleted. GitHub adds the
    /// owner.
    label: Option<String>,
    sha: Option<String>,
    repo: Option<Repository>,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
}

/// A page of the list at `target`.
pub async fn page(forge: &Transport, target: String) -> Result<Response<Vec<ListedPullRequest>>, ForgeError> {
    let response = forge.send::<Vec<Pull>>(Request::get(target)).await?;
    Ok(response.map(|listed| listed.into_iter().map(|pull| pull.listed(forge)).collect()))
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

/// Reads a pull request.
pub async fn read(forge: &Transport, number: u64) -> Result<(PullRequest, Option<Merge>), ForgeError> {
    let target = format!("{}/pulls/{number}", repository_path(forge));
    let pull = forge.send::<Pull>(Request::get(target)).await?.body;
    let merge = pull.merge();
    Ok((pull.into_own(), merge))
}

impl User {
    /// Returns it as all forges have it.
    pub fn person(self) -> Person {
        Person { login: self.login, name: self.full_name, email: self.email }
    }
}

impl Pull {
    fn listed(self, forge: &Transport) -> ListedPullRequest {
        let id = |tip: &Tip| tip.repo.as_ref().map(|repository| repository.id);
        // A fork may have a branch of the same name.
        let is_own = id(&self.head).is_some()
            && id(&self.head) == id(&self.base)
            && self.head_branch() == forge.config.head
            && self.base.name == forge.config.base;
        ListedPullRequest { updated: self.updated_at, own: is_own.then(|| self.into_own()) }
    }

    fn head_branch(&self) -> &str {
        let is_deleted = self.head.name == format!("refs/pull/{}/head", self.number);
        self.head.label.as_deref().filter(|_| is_deleted).unwrap_or(&self.head.name)
    }

    pub fn into_own(self) -> PullRequest {
        let state = match (self.state.as_str(), self.merged_at) {
            (_, Some(_)) => State::Merged { commits: self.merge_commit_sha.into_iter().collect() },
            ("closed", None) => State::Closed { at: self.closed_at.unwrap_or(self.updated_at), by: None },
            _ => State::Open,
        };
        PullRequest {
            number: self.number,
            url: self.html_url,
            text: self.body.unwrap_or_default(),
            state,
            head: self.head.sha,
            author: self.user.map(User::person),
        }
    }

    /// Returns how it was merged, if it was.
    fn merge(&self) -> Option<Merge> {
        let at = Some(self.merged_at?);
        let by = self.merged_by.clone().map(User::person);
        Some(Merge { by, at, commit: self.merge_commit_sha.clone() })
    }
}

//! GitLab, according to its REST API v4: "List project merge requests", "Create MR", "Update MR", "Create new merge
//! request note".

use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::http::encode_path_segment;

use super::error::ForgeError;
use super::pull_request::{Draft, ListedPullRequest, Merge, Person, PullRequest, State};
use super::transport::{Request, Response, Transport};

#[derive(Deserialize)]
struct MergeRequest {
    iid: u64,
    web_url: String,
    description: Option<String>,
    state: String,
    updated_at: Timestamp,
    closed_at: Option<Timestamp>,
    closed_by: Option<User>,
    source_branch: String,
    target_branch: String,
    source_project_id: Option<u64>,
    target_project_id: Option<u64>,
    sha: Option<String>,
    author: Option<User>,
    merge_user: Option<User>,
    merged_at: Option<Timestamp>,
    merge_commit_sha: Option<String>,
    squash_commit_sha: Option<String>,
}

/// A user. GitLab shows no addresses.
#[derive(Clone, Deserialize)]
pub struct User {
    username: String,
    name: Option<String>,
}

pub async fn page(forge: &Transport, page: usize) -> Result<Response<Vec<ListedPullRequest>>, ForgeError> {
    let target = format!(
        "{}?state=all&source_branch={}&target_branch={}&order_by=updated_at&sort=desc&per_page=100&page={page}",
        repository_path(forge),
        encode_path_segment(&forge.config.head),
        encode_path_segment(&forge.config.base)
    );
    let response = forge.send::<Vec<MergeRequest>>(Request::get(target)).await?;
    Ok(response.map(|listed| listed.into_iter().map(|merge_request| merge_request.listed(forge)).collect()))
}

pub async fn open(forge: &Transport, draft: &Draft) -> Result<PullRequest, ForgeError> {
    let body = json!({
        "source_branch": forge.config.head,
        "target_branch": forge.config.base,
        "title": draft.title,
        "description": draft.text,
        // GitLab creates missing labels.
        "labels": forge.config.labels.join(","),
    });
    let request = Request::send(Method::POST, repository_path(forge), body);
    let merge_request = forge.send::<MergeRequest>(request).await?.body;
    Ok(merge_request.into_own())
}

pub async fn update(forge: &Transport, number: u64, draft: &Draft) -> Result<(), ForgeError> {
    edit(forge, number, json!({ "title": draft.title, "description": draft.text })).await
}

pub async fn close(forge: &Transport, number: u64, text: &str, why: &str) -> Result<(), ForgeError> {
    edit(forge, number, json!({ "state_event": "close", "description": text })).await?;
    let target = format!("{}/{number}/notes", repository_path(forge));
    let request = Request::send(Method::POST, target, json!({ "body": why }));
    forge.send::<IgnoredAny>(request).await.map(drop)
}

async fn edit(forge: &Transport, number: u64, body: Value) -> Result<(), ForgeError> {
    let request = Request::send(Method::PUT, format!("{}/{number}", repository_path(forge)), body);
    forge.send::<IgnoredAny>(request).await.map(drop)
}

/// Reads a merge request.
pub async fn read(forge: &Transport, number: u64) -> Result<(PullRequest, Option<Merge>), ForgeError> {
    let target = format!("{}/{number}", repository_path(forge));
    let merge_request = forge.send::<MergeRequest>(Request::get(target)).await?.body;
    let merge = merge_request.merge();
    Ok((merge_request.into_own(), merge))
}

/// The API path of the merge requests.
pub fn repository_path(forge: &Transport) -> String {
    format!("/projects/{}/merge_requests", encode_path_segment(&forge.config.repository))
}

impl User {
    /// Returns it as all forges have it.
    pub fn person(self) -> Person {
        Person { login: self.username, name: self.name, email: None }
    }
}

impl MergeRequest {
    fn listed(self, forge: &Transport) -> ListedPullRequest {
        // A fork may have a branch of the same name.
        let is_own = self.source_project_id.is_some()
            && self.source_project_id == self.target_project_id
            && self.source_branch == forge.config.head
            && self.target_branch == forge.config.base;
        ListedPullRequest { updated: self.updated_at, own: is_own.then(|| self.into_own()) }
    }

    fn into_own(self) -> PullRequest {
        let by = self.closed_by.map(|user| user.username);
        let state = match self.state.as_str() {
            "merged" => State::Merged {
                commits: [self.merge_commit_sha, self.squash_commit_sha].into_iter().flatten().collect(),
            },
            "closed" => State::Closed { at: self.closed_at.unwrap_or(self.updated_at), by },
            _ => State::Open,
        };
        PullRequest {
            number: self.iid,
            url: self.web_url,
            text: self.description.unwrap_or_default(),
            state,
            head: self.sha,
            author: self.author.map(User::person),
        }
    }

    /// Returns how it was merged, if it was. A fast-forward leaves the head itself.
    fn merge(&self) -> Option<Merge> {
        if self.state != "merged" {
            return None;
        }
        let commit = [&self.merge_commit_sha, &self.squash_commit_sha, &self.sha].into_iter().flatten().next();
        Some(Merge { by: self.merge_user.clone().map(User::person), at: self.merged_at, commit: commit.cloned() })
    }
}

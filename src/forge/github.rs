//! GitHub, according to its REST API of 2022-11-28: "List pull requests", "Create a pull request", "Add labels to an
//! issue", "Get an issue".

use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use crate::http::encode_path_segment;

use super::error::ForgeError;
use super::pull_request::{Draft, ListedPullRequest, PullRequest};
use super::pulls;
use super::transport::{Request, Response, Transport};

pub async fn page(forge: &Transport, page: usize) -> Result<Response<Vec<ListedPullRequest>>, ForgeError> {
    let owner = forge.config.repository.split('/').next().unwrap_or_default();
    let head = encode_path_segment(&format!("{owner}:{}", forge.config.head));
    let (repository_path, base) = (pulls::repository_path(forge), encode_path_segment(&forge.config.base));
    let target = format!(
        "{repository_path}/pulls?state=all&head={head}&base={base}&sort=updated&direction=desc&per_page=100&page={page}"
    );
    pulls::page(forge, target).await
}

/// What is known of a pull request as an issue.
#[derive(Deserialize)]
struct Issue {
    closed_by: Option<pulls::User>,
}

/// Returns who closed a pull request.
pub async fn closed_by(forge: &Transport, number: u64) -> Result<Option<String>, ForgeError> {
    let target = format!("{}/issues/{number}", pulls::repository_path(forge));
    let issue = forge.send::<Issue>(Request::get(target)).await?.body;
    Ok(issue.closed_by.map(|user| user.person().login))
}

pub async fn open(forge: &Transport, draft: &Draft) -> Result<PullRequest, ForgeError> {
    let pull = pulls::open(forge, draft, json!({})).await?;
    if !forge.config.labels.is_empty() {
        // GitHub creates missing labels.
        let target = format!("{}/issues/{}/labels", pulls::repository_path(forge), pull.number);
        let request = Request::send(Method::POST, target, json!({ "labels": forge.config.labels }));
        forge.send::<IgnoredAny>(request).await?;
    }
    Ok(pull.into_own())
}

//! Gitea and Forgejo, according to their swagger (`/api/swagger`): `repoListPullRequests`, `repoCreatePullRequest`,
//! `issueListLabels`, `issueCreateLabel`.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::error::ForgeError;
use super::pull_request::{Draft, ListedPullRequest, PullRequest};
use super::pulls;
use super::transport::{Request, Response, Transport};

/// The largest page, unless the server is configured otherwise.
const PAGE: usize = 50;

/// The most pages of labels that are read.
const PAGES: usize = 40;

/// New labels need a colour.
const COLOUR: &str = "#207de5";

#[derive(Deserialize)]
struct Label {
    id: i64,
    name: String,
}

pub async fn page(forge: &Transport, page: usize) -> Result<Response<Vec<ListedPullRequest>>, ForgeError> {
    // The list cannot be filtered by branch.
    let repository_path = pulls::repository_path(forge);
    pulls::page(forge, format!("{repository_path}/pulls?state=all&sort=recentupdate&page={page}&limit={PAGE}")).await
}

pub async fn open(forge: &Transport, draft: &Draft) -> Result<PullRequest, ForgeError> {
    let labels = labels(forge).await?;
    Ok(pulls::open(forge, draft, json!({ "labels": labels })).await?.into_own())
}

/// The ids of the wanted labels. Missing labels are created.
async fn labels(forge: &Transport) -> Result<Vec<i64>, ForgeError> {
    let repository_path = format!("{}/labels", pulls::repository_path(forge));
    let mut wanted: Vec<&String> = forge.config.labels.iter().collect();
    let mut ids = Vec::new();
    let (mut page, mut has_next) = (0, true);
    while !wanted.is_empty() && has_next && page < PAGES {
        page += 1;
        let request = Request::get(format!("{repository_path}?page={page}&limit={PAGE}"));
        let response = forge.send::<Vec<Label>>(request).await?;
        has_next = response.has_next;
        for label in response.body.iter().filter(|label| forge.config.labels.contains(&label.name)) {
            ids.push(label.id);
            wanted.retain(|name| **name != label.name);
        }
    }
    for name in wanted {
        let request = Request::send(Method::POST, repository_path.clone(), json!({ "name": name, "color": COLOUR }));
        ids.push(forge.send::<Label>(request).await?.body.id);
    }
    Ok(ids)
}

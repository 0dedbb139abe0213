//! Gitea and Forgejo, according to their swagger (`/api/swagger`): `repoListPullRequests`, `repoCreatePullRequest`,
//! `issueListLabels`, `issueCreateLabel`, `issueGetCommentsAndTimeline`.

use jiff::{SignedDuration, Timestamp};
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

/// The most that the times of a pull request and of the event that closed it differ.
const CLOSED: SignedDuration = SignedDuration::from_mins(1);

/// An event of the timeline (Gitea, `TimelineComment`).
#[derive(Deserialize)]
struct TimelineEvent {
    #[serde(rename = "type")]
    kind: String,
    user: Option<pulls::User>,
}

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

/// Returns who closed a pull request at a time. Gitea only says so in the timeline, whose last such event counts.
pub async fn closed_by(forge: &Transport, number: u64, at: Timestamp) -> Result<Option<String>, ForgeError> {
    let since = at.checked_sub(CLOSED).unwrap_or(at).strftime("%Y-%m-%dT%H:%M:%SZ");
    let repository_path = pulls::repository_path(forge);
    let target = format!("{repository_path}/issues/{number}/timeline?since={since}&limit={PAGE}");
    // The oldest come first, so one page is enough.
    let events = forge.send::<Option<Vec<TimelineEvent>>>(Request::get(target)).await?.body.unwrap_or_default();
    let last = events.into_iter().rfind(|event| event.kind == "close");
    Ok(last.and_then(|event| event.user).map(|user| user.person().login))
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

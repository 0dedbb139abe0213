//! Pull requests on Azure DevOps: "Get Pull Requests", "Get Pull Request", "Create", "Update" (`GitPullRequest`).

use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::forge::error::ForgeError;
use crate::forge::pull_request::{Draft, ListedPullRequest, Merge, PullRequest, State};
use crate::forge::transport::{Request, Transport};
use crate::http::encode_path_segment;

use super::api::{self, Commit, Identity, List};
use super::{texts, threads};

/// The size of a page.
const PAGE: usize = 100;

/// The longest title that is accepted.
const TITLE: usize = 400;

/// A pull request, as it is returned. Lists shorten its description.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pull {
    pull_request_id: u64,
    pub status: String,
    description: Option<String>,
    creation_date: Timestamp,
    closed_date: Option<Timestamp>,
    created_by: Option<Identity>,
    closed_by: Option<Identity>,
    source_ref_name: String,
    target_ref_name: String,
    fork_source: Option<IgnoredAny>,
    last_merge_source_commit: Option<Commit>,
    last_merge_commit: Option<Commit>,
    pub merge_status: Option<String>,
    pub merge_failure_message: Option<String>,
}

/// Returns the pull requests of the list from a position on, and the position of what follows, if anything does. The newest
/// come first, and only one for the same branches can be open.
pub async fn page(forge: &Transport, from: usize) -> Result<(Vec<ListedPullRequest>, Option<usize>), ForgeError> {
    let target = format!("{}&searchCriteria.status=all&$top={PAGE}&$skip={from}", of_branches(forge));
    let listed = forge.send::<List<Pull>>(Request::get(target)).await?.body.value;
    let next = (listed.len() >= PAGE).then_some(from + listed.len());
    Ok((listed.into_iter().map(|pull| pull.listed(forge)).collect(), next))
}

/// Returns the open pull request, if its head is `commit`.
pub async fn open_with_head(forge: &Transport, commit: &str) -> Result<Option<u64>, ForgeError> {
    let target = format!("{}&searchCriteria.status=active&$top={PAGE}", of_branches(forge));
    let listed = forge.send::<List<Pull>>(Request::get(target)).await?.body.value;
    let found = listed.into_iter().find(|pull| pull.is_own(forge) && pull.head() == Some(commit));
    Ok(found.map(|pull| pull.pull_request_id))
}

/// Returns the target of the pull requests from the proposal branch to the tracked branch.
fn of_branches(forge: &Transport) -> String {
    let (head, base) = (api::branch(&forge.config.head), api::branch(&forge.config.base));
    format!(
        "{}&searchCriteria.sourceRefName={}&searchCriteria.targetRefName={}",
        api::target(forge, "/pullrequests"),
        encode_path_segment(&head),
        encode_path_segment(&base)
    )
}

/// Returns the target at which pull requests are listed and opened.
pub fn target(forge: &Transport) -> String {
    api::target(forge, "/pullrequests")
}

pub async fn open(forge: &Transport, draft: &Draft) -> Result<PullRequest, ForgeError> {
    let labels: Vec<Value> = forge.config.labels.iter().map(|name| json!({ "name": name })).collect();
    let parts = texts::split(&draft.text);
    let body = json!({
        "sourceRefName": api::branch(&forge.config.head),
        "targetRefName": api::branch(&forge.config.base),
        "title": title(draft),
        "description": parts.description,
        // Missing labels are created.
        "labels": labels,
    });
    let request = Request::send(Method::POST, target(forge), body);
    let pull = forge.send::<Pull>(request).await?.body;
    if let Some(comment) = &parts.comment {
        threads::write(forge, pull.pull_request_id, comment).await?;
    }
    Ok(PullRequest { text: draft.text.clone(), ..pull.into_own(forge) })
}

pub async fn update(forge: &Transport, number: u64, draft: &Draft) -> Result<(), ForgeError> {
    let parts = texts::split(&draft.text);
    keep(forge, number, &parts).await?;
    edit(forge, number, json!({ "title": title(draft), "description": parts.description })).await
}

pub async fn close(forge: &Transport, number: u64, text: &str, why: &str) -> Result<(), ForgeError> {
    let parts = texts::split(text);
    keep(forge, number, &parts).await?;
    edit(forge, number, json!({ "status": "abandoned", "description": parts.description })).await?;
    threads::write(forge, number, why).await
}

/// Reads a pull request.
pub async fn read(forge: &Transport, number: u64) -> Result<(PullRequest, Option<Merge>), ForgeError> {
    let pull = get(forge, number).await?;
    let (description, author) = (pull.description.clone().unwrap_or_default(), pull.created_by.clone());
    let text = match author.filter(|_| texts::goes_on(&description)) {
        Some(author) => texts::text_of(&threads::read(forge, number).await?, &author),
        None => None,
    };
    let merge = pull.merge();
    let pull_request = pull.into_own(forge);
    Ok((PullRequest { text: text.unwrap_or(description), ..pull_request }, merge))
}

/// Reads a pull request as it is returned.
pub async fn get(forge: &Transport, number: u64) -> Result<Pull, ForgeError> {
    Ok(forge.send::<Pull>(Request::get(api::pull_request(forge, number, ""))).await?.body)
}

/// Replaces the comment with the whole text, if there has to be one.
async fn keep(forge: &Transport, number: u64, parts: &texts::Parts) -> Result<(), ForgeError> {
    let Some(comment) = &parts.comment else { return Ok(()) };
    let author = get(forge, number).await?.created_by;
    let all = threads::read(forge, number).await?;
    match author.and_then(|author| texts::comment_of(&all, &author)) {
        Some(place) => threads::replace(forge, number, place, comment).await,
        None => threads::write(forge, number, comment).await,
    }
}

async fn edit(forge: &Transport, number: u64, body: Value) -> Result<(), ForgeError> {
    let request = Request::send(Method::PATCH, api::pull_request(forge, number, ""), body);
    forge.send::<IgnoredAny>(request).await.map(drop)
}

fn title(draft: &Draft) -> String {
    draft.title.chars().take(TITLE).collect()
}

impl Pull {
    fn is_own(&self, forge: &Transport) -> bool {
        // A fork may have a branch of the same name.
        self.fork_source.is_none()
            && self.source_ref_name == api::branch(&forge.config.head)
            && self.target_ref_name == api::branch(&forge.config.base)
    }

    fn listed(self, forge: &Transport) -> ListedPullRequest {
        let (updated, is_own) = (self.closed_date.unwrap_or(self.creation_date), self.is_own(forge));
        ListedPullRequest { updated, own: is_own.then(|| self.into_own(forge)) }
    }

    fn head(&self) -> Option<&str> {
        self.last_merge_source_commit.as_ref().map(|commit| commit.commit_id.as_str())
    }

    /// Returns the commit that it was merged in.
    pub fn merged_in(&self) -> Option<String> {
        self.last_merge_commit.as_ref().map(|commit| commit.commit_id.clone())
    }

    fn into_own(self, forge: &Transport) -> PullRequest {
        let state = match self.status.as_str() {
            "completed" => State::Merged { commits: self.merged_in().into_iter().collect() },
            "abandoned" => State::Closed {
                at: self.closed_date.unwrap_or(self.creation_date),
                by: self.closed_by.clone().map(|identity| identity.person().login),
            },
            _ => State::Open,
        };
        let (project, name) = forge.config.repository.split_once('/').unwrap_or_default();
        let (project, name) = (encode_path_segment(project), encode_path_segment(name));
        let number = self.pull_request_id;
        PullRequest {
            number,
            url: format!("{}/{project}/_git/{name}/pullrequest/{number}", forge.config.api.pages()),
            head: self.head().map(str::to_owned),
            text: self.description.unwrap_or_default(),
            state,
            author: self.created_by.map(Identity::person),
        }
    }

    /// Returns how it was merged, if it was.
    fn merge(&self) -> Option<Merge> {
        let by = self.closed_by.clone().map(Identity::person);
        (self.status == "completed").then(|| Merge { by, at: self.closed_date, commit: self.merged_in() })
    }
}

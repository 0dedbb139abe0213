//! Pull requests on Bitbucket Cloud: "List pull requests", "Get a pull request", "Create", "Update", "Decline".

use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::forge::error::ForgeError;
use crate::forge::fence;
use crate::forge::pull_request::{Draft, ListedPullRequest, Merge, PullRequest, State};
use crate::forge::transport::{Request, Transport};
use crate::http::encode_path_segment;

use super::activity;
use super::api::{self, Commit, List, User};

/// The largest page.
const PAGE: usize = 50;

/// A pull request, as it is returned.
#[derive(Deserialize)]
pub struct Pull {
    id: u64,
    pub state: String,
    title: Option<String>,
    summary: Option<Text>,
    updated_on: Timestamp,
    source: End,
    destination: End,
    author: Option<User>,
    closed_by: Option<User>,
    pub merge_commit: Option<Commit>,
    links: Links,
    /// Only returned for a single pull request.
    #[serde(default)]
    reviewers: Vec<User>,
}

#[derive(Deserialize)]
struct Text {
    raw: Option<String>,
}

/// One end. The repository of a fork may be gone.
#[derive(Deserialize)]
struct End {
    branch: Named,
    commit: Option<Commit>,
    repository: Option<Repository>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Repository {
    uuid: Option<String>,
    full_name: Option<String>,
}

#[derive(Deserialize)]
struct Links {
    html: Option<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
}

/// Returns a page of the list, and whether another one follows.
pub async fn page(forge: &Transport, page: usize) -> Result<(Vec<ListedPullRequest>, bool), ForgeError> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
    let (head, base) = (quoted(&forge.config.head), quoted(&forge.config.base));
    let query = encode_path_segment(&format!("source.branch.name = {head} AND destination.branch.name = {base}"));
    let below = format!(
        "/pullrequests?state=OPEN&state=MERGED&state=DECLINED&state=SUPERSEDED&q={query}&sort=-updated_on\
         &pagelen={PAGE}&page={page}"
    );
    let listed = forge.send::<List<Pull>>(Request::get(api::target(forge, &below))).await?.body;
    let has_next = listed.next.is_some();
    Ok((listed.values.into_iter().map(|pull| pull.listed(forge)).collect(), has_next))
}

/// Returns the target at which pull requests are listed and opened.
pub fn target(forge: &Transport) -> String {
    api::target(forge, "/pullrequests")
}

pub async fn open(forge: &Transport, draft: &Draft) -> Result<PullRequest, ForgeError> {
    let body = json!({
        "title": draft.title,
        "description": fence::put(&draft.text),
        "source": { "branch": { "name": forge.config.head } },
        "destination": { "branch": { "name": forge.config.base } },
    });
    let request = Request::send(Method::POST, target(forge), body);
    let pull = forge.send::<Pull>(request).await?.body;
    Ok(pull.into_own())
}

pub async fn update(forge: &Transport, number: u64, draft: &Draft) -> Result<(), ForgeError> {
    edit(forge, number, Some(&draft.title), &draft.text).await
}

pub async fn close(forge: &Transport, number: u64, text: &str, why: &str) -> Result<(), ForgeError> {
    // Once it is declined, it cannot be changed any more.
    edit(forge, number, None, text).await?;
    post(forge, number, "/decline", json!({})).await?;
    post(forge, number, "/comments", json!({ "content": { "raw": why } })).await
}

async fn edit(forge: &Transport, number: u64, title: Option<&str>, text: &str) -> Result<(), ForgeError> {
    let pull = get(forge, number).await?;
    // Reviewers that are not listed are removed.
    let reviewers: Vec<Value> =
        pull.reviewers.into_iter().filter_map(|user| Some(json!({ "uuid": user.uuid? }))).collect();
    let title = title.map(str::to_owned).or(pull.title);
    let body = json!({ "title": title, "description": fence::put(text), "reviewers": reviewers });
    let request = Request::send(Method::PUT, api::pull_request(forge, number, ""), body);
    forge.send::<IgnoredAny>(request).await.map(drop)
}

async fn post(forge: &Transport, number: u64, below: &str, body: Value) -> Result<(), ForgeError> {
    let request = Request::send(Method::POST, api::pull_request(forge, number, below), body);
    forge.send::<IgnoredAny>(request).await.map(drop)
}

/// Reads a pull request, with what lists do not tell: whole commit IDs, and when and by whom it was closed.
pub async fn read(forge: &Transport, number: u64) -> Result<(PullRequest, Option<Merge>), ForgeError> {
    let pull = get(forge, number).await?;
    match pull.state.as_str() {
        "OPEN" => {
            let tip = api::tip(forge, &pull.source.branch.name).await?;
            // What was pushed just now may not have arrived in the pull request yet.
            let head = pull.head().filter(|head| tip.starts_with(*head)).map(|_| tip.clone());
            Ok((PullRequest { head, ..pull.into_own() }, None))
        }
        "MERGED" => {
            let events = activity::read(forge, number).await?;
            let merged = activity::into_state(&events, "MERGED").map(|update| update.date);
            let commit = match &pull.merge_commit {
                Some(short) => Some(api::commit(forge, &short.hash).await?.hash),
                None => None,
            };
            let merge = Merge { by: pull.closed_by.clone().map(User::person), at: merged, commit: commit.clone() };
            let state = State::Merged { commits: commit.into_iter().collect() };
            Ok((PullRequest { state, ..pull.into_own() }, Some(merge)))
        }
        _ => {
            let events = activity::read(forge, number).await?;
            let declined = activity::into_state(&events, &pull.state);
            let at = declined.map_or(pull.updated_on, |update| update.date);
            let by = declined.and_then(|update| update.author.clone()).or(pull.closed_by.clone());
            let state = State::Closed { at, by: by.map(|user| user.person().login) };
            Ok((PullRequest { state, ..pull.into_own() }, None))
        }
    }
}

/// Reads a pull request as it is returned.
pub async fn get(forge: &Transport, number: u64) -> Result<Pull, ForgeError> {
    Ok(forge.send::<Pull>(Request::get(api::pull_request(forge, number, ""))).await?.body)
}

impl Pull {
    /// Returns the start of the ID of its head.
    pub fn head(&self) -> Option<&str> {
        self.source.commit.as_ref().map(|commit| commit.hash.as_str()).filter(|hash| !hash.is_empty())
    }

    fn listed(self, forge: &Transport) -> ListedPullRequest {
        let id = |end: &End| {
            let repository = end.repository.as_ref()?;
            repository.uuid.clone().or_else(|| repository.full_name.clone())
        };
        // A fork may have a branch of the same name.
        let is_own = id(&self.source).is_some()
            && id(&self.source) == id(&self.destination)
            && self.source.branch.name == forge.config.head
            && self.destination.branch.name == forge.config.base;
        ListedPullRequest { updated: self.updated_on, own: is_own.then(|| self.into_own()) }
    }

    fn into_own(self) -> PullRequest {
        let state = match self.state.as_str() {
            "OPEN" => State::Open,
            "MERGED" => State::Merged { commits: Vec::new() },
            _ => State::Closed { at: self.updated_on, by: self.closed_by.map(|user| user.person().login) },
        };
        let text = self.summary.and_then(|summary| summary.raw).unwrap_or_default();
        PullRequest {
            number: self.id,
            url: self.links.html.map(|link| link.href).unwrap_or_default(),
            text: fence::take_away(&text),
            state,
            // Only the start of its ID is known here.
            head: None,
            author: self.author.map(User::person),
        }
    }
}

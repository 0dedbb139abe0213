//! Pull requests on Bitbucket Data Center: "Get pull requests for repository", "Get pull request", "Create", "Update",
//! "Decline", "Get pull request activity".

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

use super::api::{self, List, User};

/// The size of a page.
const PAGE: usize = 100;

/// A pull request, as it is returned. Its version changes with everything that is changed about it, and a request with
/// another version is refused.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pull {
    id: u64,
    pub version: u64,
    title: String,
    description: Option<String>,
    state: String,
    updated_date: i64,
    closed_date: Option<i64>,
    from_ref: End,
    to_ref: End,
    author: Option<Participant>,
    #[serde(default)]
    pub reviewers: Vec<Participant>,
    properties: Option<Properties>,
    links: Option<Links>,
}

/// One end.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct End {
    id: String,
    latest_commit: Option<String>,
    repository: Repository,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
}

/// The author or a reviewer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Participant {
    pub user: User,
    /// `APPROVED`, `UNAPPROVED` or `NEEDS_WORK`.
    pub status: Option<String>,
    pub last_reviewed_commit: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    merge_commit: Option<Commit>,
}

#[derive(Deserialize)]
struct Commit {
    id: String,
}

#[derive(Deserialize)]
struct Links {
    #[serde(rename = "self", default)]
    own: Vec<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
}

/// Something that happened to a pull request.
#[derive(Deserialize)]
struct Activity {
    action: String,
    user: Option<User>,
}

/// Returns the pull requests of the list from a position on, and the position of what follows, if anything does.
pub async fn page(forge: &Transport, from: usize) -> Result<(Vec<ListedPullRequest>, Option<usize>), ForgeError> {
    let head = encode_path_segment(&branch(&forge.config.head));
    let below = format!("/pull-requests?state=ALL&direction=OUTGOING&at={head}&order=NEWEST&limit={PAGE}&start={from}");
    let listed = forge.send::<List<Pull>>(Request::get(api::target(forge, &below))).await?.body;
    let next = listed.next();
    Ok((listed.values.into_iter().map(|pull| pull.listed(forge)).collect(), next))
}

/// Returns the target at which pull requests are listed and opened.
pub fn target(forge: &Transport) -> String {
    api::target(forge, "/pull-requests")
}

pub async fn open(forge: &Transport, draft: &Draft) -> Result<PullRequest, ForgeError> {
    let (project, name) = forge.config.repository.split_once('/').unwrap_or_default();
    let end = |name_of_branch: &str| {
        let repository = json!({ "slug": name, "project": { "key": project } });
        json!({ "id": branch(name_of_branch), "repository": repository })
    };
    let body = json!({
        "title": draft.title,
        "description": fence::put(&draft.text),
        "fromRef": end(&forge.config.head),
        "toRef": end(&forge.config.base),
    });
    let request = Request::send(Method::POST, target(forge), body);
    Ok(forge.send::<Pull>(request).await?.body.into_own())
}

pub async fn update(forge: &Transport, number: u64, draft: &Draft) -> Result<(), ForgeError> {
    let pull = get(forge, number).await?;
    edit(forge, &pull, &draft.title, &draft.text).await.map(drop)
}

pub async fn close(forge: &Transport, number: u64, text: &str, why: &str) -> Result<(), ForgeError> {
    let pull = get(forge, number).await?;
    // Once it is declined, it cannot be changed any more.
    let version = edit(forge, &pull, &pull.title, text).await?.version;
    post(forge, number, &format!("/decline?version={version}"), json!({})).await?;
    post(forge, number, "/comments", json!({ "text": why })).await
}

async fn edit(forge: &Transport, pull: &Pull, title: &str, text: &str) -> Result<Pull, ForgeError> {
    // Reviewers that are not listed are removed.
    let reviewers: Vec<Value> =
        pull.reviewers.iter().map(|reviewer| json!({ "user": { "name": reviewer.user.name } })).collect();
    let body = json!({
        "version": pull.version,
        "title": title,
        "description": fence::put(text),
        "reviewers": reviewers,
    });
    let request = Request::send(Method::PUT, api::pull_request(forge, pull.id, ""), body);
    Ok(forge.send::<Pull>(request).await?.body)
}

async fn post(forge: &Transport, number: u64, below: &str, body: Value) -> Result<(), ForgeError> {
    let request = Request::send(Method::POST, api::pull_request(forge, number, below), body);
    forge.send::<IgnoredAny>(request).await.map(drop)
}

/// Reads a pull request.
pub async fn read(forge: &Transport, number: u64) -> Result<(PullRequest, Option<Merge>), ForgeError> {
    let pull = get(forge, number).await?;
    if pull.state != "MERGED" {
        return Ok((pull.into_own(), None));
    }
    let by = last(forge, number, "MERGED").await?.map(User::person);
    let at = pull.closed_date.and_then(api::time);
    // A fast-forward leaves the head itself.
    let commit = pull.merged_in().or_else(|| pull.from_ref.latest_commit.clone());
    Ok((pull.into_own(), Some(Merge { by, at, commit })))
}

/// Returns who closed a pull request.
pub async fn closed_by(forge: &Transport, number: u64) -> Result<Option<String>, ForgeError> {
    Ok(last(forge, number, "DECLINED").await?.map(|user| user.person().login))
}

/// Returns who last did something to a pull request. The newest comes first, so one page is enough.
async fn last(forge: &Transport, number: u64, action: &str) -> Result<Option<User>, ForgeError> {
    let target = api::pull_request(forge, number, &format!("/activities?limit={PAGE}"));
    let activities = forge.send::<List<Activity>>(Request::get(target)).await?.body.values;
    Ok(activities.into_iter().find(|activity| activity.action == action).and_then(|activity| activity.user))
}

/// Reads a pull request as it is returned.
pub async fn get(forge: &Transport, number: u64) -> Result<Pull, ForgeError> {
    Ok(forge.send::<Pull>(Request::get(api::pull_request(forge, number, ""))).await?.body)
}

fn branch(name: &str) -> String {
    format!("refs/heads/{name}")
}

impl Pull {
    fn listed(self, forge: &Transport) -> ListedPullRequest {
        let updated = api::time(self.updated_date).unwrap_or(Timestamp::UNIX_EPOCH);
        // A fork may have a branch of the same name.
        let is_own = self.from_ref.repository.id == self.to_ref.repository.id
            && self.from_ref.id == branch(&forge.config.head)
            && self.to_ref.id == branch(&forge.config.base);
        ListedPullRequest { updated, own: is_own.then(|| self.into_own()) }
    }

    /// Returns its head.
    pub fn head(&self) -> Option<&str> {
        self.from_ref.latest_commit.as_deref()
    }

    /// Returns the commit that it was merged in.
    pub fn merged_in(&self) -> Option<String> {
        let commit = self.properties.as_ref().and_then(|properties| properties.merge_commit.as_ref());
        commit.map(|commit| commit.id.clone())
    }

    fn into_own(self) -> PullRequest {
        let state = match self.state.as_str() {
            "MERGED" => State::Merged { commits: self.merged_in().into_iter().collect() },
            "DECLINED" => {
                let at = self.closed_date.unwrap_or(self.updated_date);
                State::Closed { at: api::time(at).unwrap_or(Timestamp::UNIX_EPOCH), by: None }
            }
            _ => State::Open,
        };
        PullRequest {
            number: self.id,
            url: self.links.and_then(|links| links.own.into_iter().next()).map(|link| link.href).unwrap_or_default(),
            text: fence::take_away(&self.description.unwrap_or_default()),
            state,
            head: self.from_ref.latest_commit,
            author: self.author.map(|author| author.user.person()),
        }
    }
}

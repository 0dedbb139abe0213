//! The reviews of a pull request.
//!
//! - Gitea's swagger: `repoListPullReviews`
//! - GitHub's REST API: "List reviews for a pull request", "Get repository permissions for a user"
//! - GitLab's REST API: "Retrieve approval state for a merge request", "List all merge request diff versions", "List all
//!   merge request notes", "Retrieve merge request reviewers"

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use crate::http::encode_path_segment;

use super::commit_status::address;
use super::config::Kind;
use super::error::ForgeError;
use super::pull_request::{Person, PullRequest};
use super::review::{Review, Verdict, Weight, weight};
use super::transport::{Request, Transport};
use super::{azure, bitbucket, datacenter, gitlab, pages, pulls};

/// The note that GitLab adds to a merge request when someone approves it.
const APPROVED: &str = "approved this merge request";

/// Reads the latest review by each person.
pub async fn read(forge: &Transport, pull_request: &PullRequest) -> Result<Vec<Review>, ForgeError> {
    let mut reviews = match forge.config.kind {
        Kind::Gitea => listed(forge, pull_request, "limit=50").await?,
        Kind::GitHub => listed(forge, pull_request, "per_page=100").await?,
        Kind::GitLab => approvals(forge, pull_request).await?,
        Kind::Bitbucket => bitbucket::reviews::read(forge, pull_request).await?,
        Kind::BitbucketDataCenter => datacenter::reviews::read(forge, pull_request).await?,
        Kind::AzureDevOps => azure::votes::read(forge, pull_request).await?,
    };
    if forge.config.kind == Kind::GitHub {
        for review in reviews.iter_mut().filter(|review| review.weight == Weight::Counts) {
            if !may_write(forge, &review.by.login).await? {
                review.weight = Weight::NoRight;
            }
        }
    }
    Ok(reviews)
}

/// A review, as Gitea and GitHub return it.
#[derive(Deserialize)]
struct Submitted {
    id: i64,
    user: Option<pulls::User>,
    state: String,
    commit_id: Option<String>,
    submitted_at: Option<String>,
    html_url: Option<String>,
    // Gitea's.
    stale: Option<bool>,
    official: Option<bool>,
    dismissed: Option<bool>,
    // GitHub's.
    author_association: Option<String>,
}

async fn listed(forge: &Transport, pull_request: &PullRequest, size: &str) -> Result<Vec<Review>, ForgeError> {
    let number = pull_request.number;
    let target = format!("{}/pulls/{number}/reviews?{size}", pulls::repository_path(forge));
    let is_verdict =
        |review: &Submitted| review.user.is_some() && (review.verdict().is_some() || review.is_dismissed());
    let mut submitted = pages::read::<Vec<Submitted>>(forge, &target, is_verdict, |_| false).await?;
    submitted.sort_by_key(|review| review.id);
    // A comment does not change what someone said before, but every other review does.
    let mut latest = BTreeMap::new();
    for review in submitted {
        let Some(by) = review.user.clone().map(pulls::User::person) else { continue };
        latest.insert(by.login.clone(), review.weighed(by, pull_request));
    }
    Ok(latest.into_values().collect())
}

impl Submitted {
    fn verdict(&self) -> Option<Verdict> {
        match self.state.as_str() {
            "APPROVED" => Some(Verdict::Approves),
            "REQUEST_CHANGES" | "CHANGES_REQUESTED" => Some(Verdict::Refuses),
            _ => None,
        }
    }

    fn is_dismissed(&self) -> bool {
        self.dismissed == Some(true) || self.state == "DISMISSED"
    }

    /// Returns whether the reviewer may have the right to approve. Gitea decides that; on GitHub, others than these never
    /// have it.
    fn is_official(&self) -> bool {
        match &self.author_association {
            Some(association) => matches!(association.as_str(), "OWNER" | "MEMBER" | "COLLABORATOR"),
            None => self.official == Some(true),
        }
    }

    fn weighed(self, by: Person, pull_request: &PullRequest) -> Review {
        let is_author = pull_request.author.as_ref().is_some_and(|author| author.login == by.login);
        // What a dismissed review said is not known on GitHub.
        let verdict = self.verdict().unwrap_or(Verdict::Approves);
        let weight = match weight(verdict, self.commit_id.as_deref(), pull_request.head.as_deref(), is_author) {
            Weight::Author => Weight::Author,
            _ if self.is_dismissed() => Weight::Dismissed,
            _ if !self.is_official() => Weight::NoRight,
            Weight::Counts if verdict == Verdict::Approves && self.stale == Some(true) => Weight::OtherHead,
            weight => weight,
        };
        let at = self.submitted_at.and_then(|at| at.parse().ok());
        Review { by, verdict, weight, head: self.commit_id, at, url: self.html_url.as_deref().and_then(address) }
    }
}

/// The permission of a user. GitHub maps custom roles to these.
#[derive(Deserialize)]
struct Permission {
    permission: String,
}

/// Returns whether a user may write to the repository, which is what GitHub's branch protection asks of reviewers.
async fn may_write(forge: &Transport, login: &str) -> Result<bool, ForgeError> {
    let login = encode_path_segment(login);
    let target = format!("{}/collaborators/{login}/permission", pulls::repository_path(forge));
    match forge.send::<Permission>(Request::get(target)).await {
        Ok(response) => Ok(matches!(response.body.permission.as_str(), "admin" | "write" | "maintain")),
        Err(ForgeError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The approvals of a merge request.
#[derive(Deserialize)]
struct Approvals {
    approved_by: Vec<Approval>,
}

#[derive(Deserialize)]
struct Approval {
    user: gitlab::User,
    /// Missing in older versions.
    approved_at: Option<Timestamp>,
}

/// A version of a merge request: what was pushed at a time.
#[derive(Deserialize)]
struct DiffVersion {
    id: i64,
    head_commit_sha: Option<String>,
    created_at: Timestamp,
}

#[derive(Deserialize)]
struct Reviewer {
    user: gitlab::User,
    state: String,
}

async fn approvals(forge: &Transport, pull_request: &PullRequest) -> Result<Vec<Review>, ForgeError> {
    let path = format!("{}/{}", gitlab::repository_path(forge), pull_request.number);
    let approvals = forge.send::<Approvals>(Request::get(format!("{path}/approvals"))).await?.body.approved_by;
    // Without approvals there is nothing to refuse.
    if approvals.is_empty() {
        return Ok(Vec::new());
    }
    let target = format!("{path}/versions?per_page=100");
    let versions = pages::read::<Vec<DiffVersion>>(forge, &target, |_| true, |_| false).await?;
    let newest = versions.iter().max_by_key(|version| version.id);
    let pushed =
        newest.filter(|version| version.head_commit_sha.is_some() && version.head_commit_sha == pull_request.head);
    let is_dated = approvals.iter().all(|approval| approval.approved_at.is_some());
    let noted =
        if is_dated || versions.len() == 1 { BTreeMap::new() } else { approvals_in_notes(forge, &path).await? };
    let mut reviews: BTreeMap<String, Review> = BTreeMap::new();
    for Approval { user, approved_at } in approvals {
        let by = user.person();
        let at = approved_at.or_else(|| noted.get(&by.login).copied());
        let is_author = pull_request.author.as_ref().is_some_and(|author| author.login == by.login);
        let is_current =
            pushed.is_some_and(|pushed| versions.len() == 1 || at.is_some_and(|at| at >= pushed.created_at));
        let weight = match (is_author, is_current, at) {
            (true, ..) => Weight::Author,
            (false, true, _) => Weight::Counts,
            (false, false, Some(_)) => Weight::OtherHead,
            (false, false, None) => Weight::UnknownHead,
        };
        let head = pull_request.head.clone().filter(|_| is_current);
        reviews.insert(by.login.clone(), Review { by, verdict: Verdict::Approves, weight, head, at, url: None });
    }
    let reviewers = forge.send::<Vec<Reviewer>>(Request::get(format!("{path}/reviewers"))).await?.body;
    for Reviewer { user, .. } in reviewers.into_iter().filter(|reviewer| reviewer.state == "requested_changes") {
        let (by, verdict, weight) = (user.person(), Verdict::Refuses, Weight::Counts);
        reviews.insert(by.login.clone(), Review { by, verdict, weight, head: None, at: None, url: None });
    }
    Ok(reviews.into_values().collect())
}

#[derive(Deserialize)]
struct Note {
    body: String,
    system: bool,
    author: gitlab::User,
    created_at: Timestamp,
}

/// Returns when each person last approved, according to the notes that GitLab itself adds.
async fn approvals_in_notes(forge: &Transport, path: &str) -> Result<BTreeMap<String, Timestamp>, ForgeError> {
    let target = format!("{path}/notes?activity_filter=only_activity&sort=desc&order_by=created_at&per_page=100");
    let is_approval = |note: &Note| note.system && note.body == APPROVED;
    let notes = pages::read::<Vec<Note>>(forge, &target, is_approval, |_| false).await?;
    let mut latest: BTreeMap<String, Timestamp> = BTreeMap::new();
    for note in notes {
        let at = latest.entry(note.author.person().login).or_insert(note.created_at);
        *at = note.created_at.max(*at);
    }
    Ok(latest)
}

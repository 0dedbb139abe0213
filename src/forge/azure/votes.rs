//! Reviews on Azure DevOps, which are votes of reviewers: "Pull Request Reviewers - List" (`IdentityRefWithVote`), "Pull
//! Request Iterations - List" (`GitPullRequestIteration`), "Pull Request Threads - List".
//!
//! A vote stays when something else is pushed, unless the branch's policies reset it. So it counts only if it was given
//! after the last push.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use crate::forge::error::ForgeError;
use crate::forge::pull_request::PullRequest;
use crate::forge::review::{Review, Verdict, Weight};
use crate::forge::transport::{Request, Transport};

use super::api::{self, Commit, Identity, List};
use super::threads;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reviewer {
    /// 10: approved, 5: approved with suggestions, -5: waiting for the author, -10: rejected.
    vote: i32,
    /// The vote of a group repeats that of a member.
    #[serde(default)]
    is_container: bool,
    #[serde(flatten)]
    identity: Identity,
}

/// What was pushed at a time.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Iteration {
    id: u64,
    created_date: Option<String>,
    source_ref_commit: Option<Commit>,
}

/// Returns the ID of the last iteration, if its head is `commit`.
pub async fn last_iteration(forge: &Transport, number: u64, commit: &str) -> Result<Option<u64>, ForgeError> {
    let all = iterations(forge, number).await?;
    let last = all.into_iter().max_by_key(|iteration| iteration.id);
    Ok(last.filter(|last| last.is_of(commit)).map(|last| last.id))
}

/// Reads the vote of each person.
pub async fn read(forge: &Transport, pull_request: &PullRequest) -> Result<Vec<Review>, ForgeError> {
    let number = pull_request.number;
    let target = api::pull_request(forge, number, "/reviewers");
    let mut voters = forge.send::<List<Reviewer>>(Request::get(target)).await?.body.value;
    voters.retain(|reviewer| reviewer.vote != 0 && !reviewer.is_container);
    if !voters.iter().any(|voter| voter.vote > 0) {
        // Without approvals there is nothing to refuse.
        return Ok(Vec::new());
    }
    let iterations = iterations(forge, number).await?;
    let last = iterations.iter().max_by_key(|iteration| iteration.id);
    let last = last.filter(|last| pull_request.head.as_ref().is_some_and(|head| last.is_of(head)));
    let times = if iterations.len() == 1 { BTreeMap::new() } else { times(forge, number).await? };
    let pushed = last.and_then(|last| api::time(last.created_date.as_ref()));
    Ok(voters
        .into_iter()
        .map(|voter| {
            let at = times.get(&voter.identity.id).copied();
            let is_first = last.is_some() && iterations.len() == 1;
            let is_current = is_first || matches!((at, pushed), (Some(at), Some(pushed)) if at >= pushed);
            review(voter, at, is_current, pull_request)
        })
        .collect())
}

fn review(voter: Reviewer, at: Option<Timestamp>, is_current: bool, pull_request: &PullRequest) -> Review {
    let (vote, by) = (voter.vote, voter.identity.person());
    let is_author = pull_request.author.as_ref().is_some_and(|author| author.login == by.login);
    let verdict = if vote > 0 { Verdict::Approves } else { Verdict::Refuses };
    let weight = match (is_author, verdict, is_current, at) {
        (true, ..) => Weight::Author,
        (false, Verdict::Refuses, ..) | (false, Verdict::Approves, true, _) => Weight::Counts,
        (false, Verdict::Approves, false, Some(_)) => Weight::OtherHead,
        (false, Verdict::Approves, false, None) => Weight::UnknownHead,
    };
    let head = pull_request.head.clone().filter(|_| is_current);
    Review { by, verdict, weight, head, at, url: None }
}

impl Iteration {
    fn is_of(&self, commit: &str) -> bool {
        self.source_ref_commit.as_ref().is_some_and(|own| own.commit_id == commit)
    }
}

async fn iterations(forge: &Transport, number: u64) -> Result<Vec<Iteration>, ForgeError> {
    let target = api::pull_request(forge, number, "/iterations");
    Ok(forge.send::<List<Iteration>>(Request::get(target)).await?.body.value)
}

/// Returns when each person last approved, by ID.
async fn times(forge: &Transport, number: u64) -> Result<BTreeMap<String, Timestamp>, ForgeError> {
    let mut latest: BTreeMap<String, Timestamp> = BTreeMap::new();
    for noted in threads::read(forge, number).await?.iter().filter_map(threads::Thread::vote) {
        if noted.vote > 0 {
            let at = latest.entry(noted.by).or_insert(noted.at);
            *at = noted.at.max(*at);
        }
    }
    Ok(latest)
}

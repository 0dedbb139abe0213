//! Reviews on Bitbucket Cloud, which are marks of participants: "Get a pull request", "List a pull request activity log".
//!
//! An approval stays when something else is pushed, unless the repository's settings reset it. So it counts only if it was
//! given after the last push.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use crate::forge::error::ForgeError;
use crate::forge::pull_request::PullRequest;
use crate::forge::review::{Review, Verdict, Weight};
use crate::forge::transport::{Request, Transport};

use super::activity::{self, Event};
use super::api::{self, User};

#[derive(Deserialize)]
struct Participants {
    #[serde(default)]
    participants: Vec<Participant>,
}

#[derive(Deserialize)]
struct Participant {
    user: User,
    /// `REVIEWER` or `PARTICIPANT`. Whoever may read a repository may approve, but reviewers are chosen by the author, or
    /// by those who may write.
    role: String,
    #[serde(default)]
    approved: bool,
    state: Option<String>,
}

impl Participant {
    fn verdict(&self) -> Option<Verdict> {
        match self.state.as_deref() {
            Some("changes_requested") => Some(Verdict::Refuses),
            _ if self.approved => Some(Verdict::Approves),
            _ => None,
        }
    }
}

/// Reads the mark of each person.
pub async fn read(forge: &Transport, pull_request: &PullRequest) -> Result<Vec<Review>, ForgeError> {
    let target = api::pull_request(forge, pull_request.number, "");
    let participants = forge.send::<Participants>(Request::get(target)).await?.body.participants;
    if !participants.iter().any(|participant| participant.verdict() == Some(Verdict::Approves)) {
        // Without approvals there is nothing to refuse.
        return Ok(Vec::new());
    }
    let events = activity::read(forge, pull_request.number).await?;
    let (pushed, times) = (pull_request.head.as_ref().and_then(|head| activity::pushed(&events, head)), times(&events));
    let marked = participants.into_iter().filter_map(|participant| Some((participant.verdict()?, participant)));
    Ok(marked.map(|(verdict, participant)| review(verdict, participant, pushed, &times, pull_request)).collect())
}

fn review(
    verdict: Verdict,
    participant: Participant,
    pushed: Option<(Timestamp, bool)>,
    times: &BTreeMap<String, Timestamp>,
    pull_request: &PullRequest,
) -> Review {
    let at = participant.user.uuid.as_ref().and_then(|uuid| times.get(uuid)).copied();
    let is_reviewer = participant.role == "REVIEWER";
    let by = participant.user.person();
    let is_author = pull_request.author.as_ref().is_some_and(|author| author.login == by.login);
    let is_current = pushed.is_some_and(|(pushed, is_first)| is_first || at.is_some_and(|at| at >= pushed));
    let weight = match (is_author, verdict, at) {
        (true, ..) => Weight::Author,
        _ if !is_reviewer => Weight::NotReviewer,
        (false, Verdict::Refuses, _) => Weight::Counts,
        (false, Verdict::Approves, _) if is_current => Weight::Counts,
        (false, Verdict::Approves, Some(_)) => Weight::OtherHead,
        (false, Verdict::Approves, None) => Weight::UnknownHead,
    };
    let head = pull_request.head.clone().filter(|_| is_current);
    Review { by, verdict, weight, head, at, url: None }
}

/// Returns when each person last approved, by ID.
fn times(events: &[Event]) -> BTreeMap<String, Timestamp> {
    let mut latest: BTreeMap<String, Timestamp> = BTreeMap::new();
    for approval in events.iter().filter_map(|event| event.approval.as_ref()) {
        if let Some(uuid) = &approval.user.uuid {
            let at = latest.entry(uuid.clone()).or_insert(approval.date);
            *at = approval.date.max(*at);
        }
    }
    latest
}

//! What happened to a pull request: "List a pull request activity log". Pull requests themselves do not tell when they were
//! closed, approved or pushed to.

use jiff::Timestamp;
use serde::Deserialize;

use crate::forge::error::ForgeError;
use crate::forge::transport::Transport;

use super::api::{self, Commit, User};

/// Something that happened. Comments have none of these.
#[derive(Deserialize)]
pub struct Event {
    pub update: Option<Update>,
    pub approval: Option<Approval>,
}

/// A change of the pull request: another head, text or state.
#[derive(Deserialize)]
pub struct Update {
    pub date: Timestamp,
    pub state: Option<String>,
    pub author: Option<User>,
    source: Option<End>,
}

/// An approval.
#[derive(Deserialize)]
pub struct Approval {
    pub date: Timestamp,
    pub user: User,
}

#[derive(Deserialize)]
struct End {
    commit: Option<Commit>,
}

/// Reads what happened, newest first.
pub async fn read(forge: &Transport, number: u64) -> Result<Vec<Event>, ForgeError> {
    api::all(forge, api::pull_request(forge, number, "/activity?pagelen=50")).await
}

/// Returns the update that brought the pull request into a state.
pub fn into_state<'e>(events: &'e [Event], state: &str) -> Option<&'e Update> {
    events.iter().filter_map(|event| event.update.as_ref()).find(|update| update.state.as_deref() == Some(state))
}

/// Returns when the pull request got a head, and whether it never had another one. `None` if the newest update has
/// another head.
pub fn pushed(events: &[Event], head: &str) -> Option<(Timestamp, bool)> {
    let mut since = None;
    for update in events.iter().filter_map(|event| event.update.as_ref()) {
        let Some(commit) = update.source.as_ref().and_then(|end| end.commit.as_ref()) else { continue };
        if commit.hash.is_empty() || !head.starts_with(&commit.hash) {
            return since.map(|since| (since, false));
        }
        since = Some(update.date);
    }
    since.map(|since| (since, true))
}

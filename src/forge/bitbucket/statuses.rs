//! Statuses on Bitbucket Cloud: "List commit statuses for a commit", "Create a build status for a commit".

use std::collections::BTreeSet;

use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::forge::build_status::{self, BuildStatus};
use crate::forge::commit_status::{CommitStatus, NewStatus};
use crate::forge::error::ForgeError;
use crate::forge::transport::{Request, Transport};

use super::api;

/// The longest key.
const KEY: usize = 40;

#[derive(Deserialize)]
struct Status {
    key: String,
    name: Option<String>,
    state: String,
    description: Option<String>,
    url: Option<String>,
    updated_on: Option<String>,
}

impl From<Status> for BuildStatus {
    fn from(status: Status) -> BuildStatus {
        let Status { key, name, state, description, url, updated_on } = status;
        BuildStatus { key, name, state, description, url, at: updated_on }
    }
}

/// Returns the target at which a status is set.
pub fn target(forge: &Transport, commit: &str) -> String {
    api::target(forge, &format!("/commit/{commit}/statuses/build"))
}

/// Returns the statuses of a commit whose key or name is one of these contexts. A key has only one.
pub async fn read(
    forge: &Transport,
    commit: &str,
    contexts: &BTreeSet<String>,
) -> Result<Vec<CommitStatus>, ForgeError> {
    let first = api::target(forge, &format!("/commit/{commit}/statuses?pagelen=100"));
    let all = api::all::<Status>(forge, first).await?;
    let all: Vec<BuildStatus> = all.into_iter().map(BuildStatus::from).collect();
    Ok(build_status::of_contexts(&all, contexts))
}

/// Sets a status.
pub async fn set(forge: &Transport, commit: &str, status: &NewStatus) -> Result<(), ForgeError> {
    // An address is required.
    let page = || format!("https://bitbucket.org/{}/commits/{commit}", forge.config.repository);
    let body = json!({
        "key": key(&status.context),
        "name": status.context,
        "state": build_status::word(status.state),
        "description": status.short_description(),
        "url": status.url.clone().unwrap_or_else(page),
    });
    forge.send::<IgnoredAny>(Request::send(Method::POST, target(forge, commit), body)).await.map(drop)
}

/// Returns the key for a context: the context itself, unless it is too long.
fn key(context: &str) -> String {
    if context.chars().count() <= KEY {
        return context.to_owned();
    }
    Sha256::digest(context).iter().take(KEY / 2).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_short() {
        assert_eq!(key("tagalong/live"), "tagalong/live");
        let long = "tagalong/".to_owned() + &"x".repeat(KEY);
        assert_eq!((key(&long).len(), key(&long) == key(&(long + "y"))), (KEY, false));
    }
}

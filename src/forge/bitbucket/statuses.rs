//! Statuses on Bitbucket Cloud: "List commit statuses for a commit", "Create a build status for a commit".

use std::collections::BTreeSet;

use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::forge::commit_status::{CheckState, CommitStatus, NewStatus};
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
    let common = |context: &String| {
        let named = all.iter().filter(|status| status.key == *context || status.name.as_ref() == Some(context));
        named.map(|status| common(context, status)).max_by_key(|status| status.state)
    };
    Ok(contexts.iter().filter_map(common).collect())
}

/// Sets a status.
pub async fn set(forge: &Transport, commit: &str, status: &NewStatus) -> Result<(), ForgeError> {
    let state = match status.state {
        CheckState::Success => "SUCCESSFUL",
        CheckState::Pending => "INPROGRESS",
        CheckState::Failure => "FAILED",
    };
    // An address is required.
    let page = || format!("https://bitbucket.org/{}/commits/{commit}", forge.config.repository);
    let body = json!({
        "key": key(&status.context),
        "name": status.context,
        "state": state,
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

fn common(context: &str, status: &Status) -> CommitStatus {
    let state = match status.state.as_str() {
        "SUCCESSFUL" => CheckState::Success,
        "INPROGRESS" => CheckState::Pending,
        _ => CheckState::Failure,
    };
    let Status { description, url, updated_on, .. } = status;
    CommitStatus::new(context.to_owned(), state, &status.state).with(
        description.clone(),
        url.clone(),
        updated_on.clone(),
    )
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

//! Merging on Bitbucket Cloud: "Merge a pull request", which takes no expected head. So the head is read right before, and
//! the parents of the merge commit right after.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::forge::error::ForgeError;
use crate::forge::pull_request::{Draft, MergeResult};
use crate::forge::transport::{Request, Transport};

use super::api;
use super::pulls::{self, Pull};

/// How often the server is asked whether it has merged, and the pause before each time.
const LOOKS: usize = 10;
const PAUSE: Duration = Duration::from_millis(500);

/// Merges a pull request if its head is `head`.
pub async fn merge(forge: &Transport, number: u64, head: &str, message: &Draft) -> Result<MergeResult, ForgeError> {
    let tip = api::tip(forge, &forge.config.head).await?;
    if tip != head {
        return Ok(MergeResult::Moved { head: tip });
    }
    let pull = pulls::get(forge, number).await?;
    if !pull.head().is_some_and(|shown| head.starts_with(shown)) {
        return Err(unfinished(forge, number, "the pull request does not have the newest commit of its branch yet"));
    }
    let body = json!({
        "type": "pullrequest",
        "message": format!("{}\n\n{}", message.title, message.text),
        "close_source_branch": false,
        "merge_strategy": "merge_commit",
    });
    let request = Request::send(Method::POST, api::pull_request(forge, number, "/merge"), body);
    // A merge that takes long is answered with something else than the pull request.
    let mut merged = forge.send::<serde_json::Value>(request).await?.body;
    for _ in 0..LOOKS {
        if let Ok(pull) = serde_json::from_value::<Pull>(merged)
            && pull.state == "MERGED"
        {
            return finish(forge, head, &pull).await;
        }
        tokio::time::sleep(PAUSE).await;
        merged = forge.send(Request::get(api::pull_request(forge, number, ""))).await?.body;
    }
    Err(unfinished(forge, number, "it has not merged yet"))
}

/// Returns the merge commit, and complains if it has merged something else. Nothing can prevent that.
async fn finish(forge: &Transport, head: &str, pull: &Pull) -> Result<MergeResult, ForgeError> {
    let Some(short) = &pull.merge_commit else { return Ok(MergeResult::Merged { commit: None }) };
    let commit = api::commit(forge, &short.hash).await?;
    if !commit.parents.iter().any(|parent| parent.hash == head) {
        let merge = &commit.hash;
        tracing::error!(%merge, approved = head, "Bitbucket has merged another head than the one that was approved");
    }
    Ok(MergeResult::Merged { commit: Some(commit.hash) })
}

fn unfinished(forge: &Transport, number: u64, why: &str) -> ForgeError {
    ForgeError::Unavailable {
        host: forge.config.api.host().to_owned(),
        status: 200,
        what: format!("merging pull request #{number}"),
        message: Some(why.to_owned()),
        wait: None,
    }
}

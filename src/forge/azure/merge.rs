//! Merging on Azure DevOps: "Pull Requests - Update", with `lastMergeSourceCommit` and `completionOptions`. The server may
//! merge later than it answers.

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
    let body = json!({
        "status": "completed",
        "lastMergeSourceCommit": { "commitId": head },
        "completionOptions": {
            "mergeStrategy": "noFastForward",
            "mergeCommitMessage": format!("{}\n\n{}", message.title, message.text),
            "deleteSourceBranch": false,
            "bypassPolicy": false,
        },
    });
    let request = Request::send(Method::PATCH, api::pull_request(forge, number, ""), body);
    let mut pull = forge.send::<Pull>(request).await?.body;
    for _ in 0..LOOKS {
        if let Some(result) = result(forge, number, &pull) {
            return result;
        }
        tokio::time::sleep(PAUSE).await;
        pull = pulls::get(forge, number).await?;
    }
    Err(ForgeError::Unavailable {
        host: forge.config.api.host().to_owned(),
        status: 200,
        what: what(number),
        message: Some("it has not merged yet".to_owned()),
        wait: None,
    })
}

/// Returns the result of a merge, if there is one yet.
fn result(forge: &Transport, number: u64, pull: &Pull) -> Option<Result<MergeResult, ForgeError>> {
    if pull.status == "completed" {
        return Some(Ok(MergeResult::Merged { commit: pull.merged_in() }));
    }
    let state = pull.merge_status.as_deref().filter(|state| {
        // The other states are those of a merge that waits, and of the one that was tried before.
        matches!(*state, "conflicts" | "failure" | "rejectedByPolicy") || pull.status == "abandoned"
    })?;
    Some(Err(ForgeError::Refused {
        host: forge.config.api.host().to_owned(),
        what: what(number),
        status: 409,
        message: pull.merge_failure_message.clone().unwrap_or_else(|| state.to_owned()),
    }))
}

fn what(number: u64) -> String {
    format!("merging pull request !{number}")
}

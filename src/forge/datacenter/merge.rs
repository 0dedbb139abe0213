//! Merging on Bitbucket Data Center: "Merge pull request", with the version that had the approved head.

use reqwest::Method;
use serde_json::json;

use crate::forge::error::ForgeError;
use crate::forge::pull_request::{Draft, MergeResult};
use crate::forge::transport::{Request, Transport};

use super::api;
use super::pulls::{self, Pull};

/// Merges a pull request if its head is `head`.
pub async fn merge(forge: &Transport, number: u64, head: &str, message: &Draft) -> Result<MergeResult, ForgeError> {
    let pull = pulls::get(forge, number).await?;
    if let Some(now) = pull.head().filter(|now| *now != head) {
        return Ok(MergeResult::Moved { head: now.to_owned() });
    }
    let version = pull.version;
    let body = json!({
        "version": version,
        "message": format!("{}\n\n{}", message.title, message.text),
        // The title of the message stays as it is.
        "autoSubject": false,
        "strategyId": "no-ff",
    });
    let target = api::pull_request(forge, number, &format!("/merge?version={version}"));
    let merged = forge.send::<Pull>(Request::send(Method::POST, target, body)).await?.body;
    Ok(MergeResult::Merged { commit: merged.merged_in() })
}

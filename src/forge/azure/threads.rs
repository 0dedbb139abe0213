//! Threads of a pull request: "List", "Create", and "Update" of comments (`GitPullRequestCommentThread`). Events, such as
//! votes, are threads as well.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::forge::error::ForgeError;
use crate::forge::transport::{Request, Transport};

use super::api::{self, Identity, List};

/// A thread.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Thread {
    id: u64,
    published_date: Option<String>,
    #[serde(default)]
    comments: Vec<Comment>,
    #[serde(default)]
    properties: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    identities: Option<BTreeMap<String, Identity>>,
}

/// A comment.
#[derive(Deserialize)]
pub struct Comment {
    id: u64,
    author: Option<Identity>,
    content: Option<String>,
}

/// The place of a comment: its thread, and its ID there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    thread: u64,
    comment: u64,
}

/// A vote, as a thread notes it.
pub struct NotedVote {
    /// The ID of the voter.
    pub by: String,
    /// The vote.
    pub vote: i32,
    /// When it was given.
    pub at: Timestamp,
}

impl Thread {
    /// Returns the first comment, with its place, its author and its content.
    pub fn first_comment(&self) -> Option<(Place, &Identity, &str)> {
        let comment = self.comments.first()?;
        let place = Place { thread: self.id, comment: comment.id };
        Some((place, comment.author.as_ref()?, comment.content.as_deref()?))
    }

    /// Returns the vote that it notes, if it notes one.
    pub fn vote(&self) -> Option<NotedVote> {
        if self.property("CodeReviewThreadType")? != "VoteUpdate" {
            return None;
        }
        let voter = self.identities.as_ref()?.get(self.property("CodeReviewVotedByIdentity")?)?;
        let vote = self.property("CodeReviewVoteResult")?.parse().ok()?;
        Some(NotedVote { by: voter.id.clone(), vote, at: api::time(self.published_date.as_ref())? })
    }

    fn property(&self, name: &str) -> Option<&str> {
        self.properties.as_ref()?.get(name)?["$value"].as_str()
    }
}

/// Reads all threads.
pub async fn read(forge: &Transport, number: u64) -> Result<Vec<Thread>, ForgeError> {
    Ok(forge.send::<List<Thread>>(Request::get(api::pull_request(forge, number, "/threads"))).await?.body.value)
}

/// Writes a comment. Its thread is closed, because a branch policy may require that all threads are.
pub async fn write(forge: &Transport, number: u64, content: &str) -> Result<(), ForgeError> {
    let comment = json!({ "parentCommentId": 0, "content": content, "commentType": "text" });
    let body = json!({ "comments": [comment], "status": "closed" });
    let request = Request::send(Method::POST, api::pull_request(forge, number, "/threads"), body);
    forge.send::<IgnoredAny>(request).await.map(drop)
}

/// Replaces the content of a comment.
pub async fn replace(forge: &Transport, number: u64, place: Place, content: &str) -> Result<(), ForgeError> {
    let Place { thread, comment } = place;
    let target = api::pull_request(forge, number, &format!("/threads/{thread}/comments/{comment}"));
    let request = Request::send(Method::PATCH, target, json!({ "content": content }));
    forge.send::<IgnoredAny>(request).await.map(drop)
}

//! Commit statuses, as all forges have them: those that others have set, and those that tagalong sets.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use crate::text;

/// The longest description that all forges accept.
const DESCRIPTION: usize = 140;
/// The longest address that is kept.
const ADDRESS: usize = 2000;

/// The state of a check, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckState {
    /// It has succeeded.
    Success,
    /// It has not finished.
    Pending,
    /// It has failed.
    Failure,
}

/// The newest status of a context on a commit, or the newest check run of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitStatus {
    /// The context or name.
    pub context: String,
    /// Its state.
    pub state: CheckState,
    /// The state as the forge calls it, such as `skipped`.
    pub word: String,
    /// Its description, on one line.
    pub description: Option<String>,
    /// The page with details.
    pub url: Option<String>,
    /// When it was set.
    pub at: Option<Timestamp>,
}

/// A status that is to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStatus {
    /// Its context, such as `tagalong/live`.
    pub context: String,
    /// Its state.
    pub state: CheckState,
    /// What is missing, or what was done.
    pub description: String,
    /// The page with details.
    pub url: Option<String>,
}

impl CommitStatus {
    /// Makes a status from what a forge returned. Texts of others become safe to show, and addresses that do not lead to
    /// a page are dropped.
    pub(super) fn new(context: String, state: CheckState, word: &str) -> CommitStatus {
        CommitStatus { context, state, word: text::words(word), description: None, url: None, at: None }
    }

    /// Adds a description, an address and a time.
    pub(super) fn with(self, description: Option<String>, url: Option<String>, at: Option<String>) -> CommitStatus {
        let description = description.map(|text| text::cut(&text::words(&text), DESCRIPTION).into_owned());
        CommitStatus {
            description: description.filter(|text| !text.is_empty()),
            url: url.as_deref().and_then(address),
            at: at.and_then(|at| at.parse().ok()),
            ..self
        }
    }
}

impl NewStatus {
    /// Returns the API path below which Gitea and GitHub accept it.
    pub fn path(repository: &str, commit: &str) -> String {
        format!("/repos/{repository}/statuses/{commit}")
    }

    /// Returns the body of the request that sets it on Gitea and GitHub.
    pub fn body(&self) -> Value {
        let state = match self.state {
            CheckState::Success => "success",
            CheckState::Pending => "pending",
            CheckState::Failure => "failure",
        };
        let mut body = json!({ "state": state, "context": self.context, "description": self.short_description() });
        if let Some(url) = &self.url {
            body["target_url"] = url.as_str().into();
        }
        body
    }

    /// Returns the body of the request that sets it on GitLab.
    pub(super) fn gitlab_body(&self) -> Value {
        let mut body = self.body();
        if self.state == CheckState::Failure {
            body["state"] = "failed".into();
        }
        body
    }

    /// Returns the description as forges keep it.
    pub fn short_description(&self) -> String {
        text::words(&self.description).chars().take(DESCRIPTION).collect()
    }
}

/// Returns the item with the highest ID of each key.
pub(super) fn newest<K: Ord, T>(items: impl Iterator<Item = (K, i64, T)>) -> impl Iterator<Item = T> {
    let mut newest: BTreeMap<K, (i64, T)> = BTreeMap::new();
    for (key, id, item) in items {
        if newest.get(&key).is_none_or(|(known, _)| *known < id) {
            newest.insert(key, (id, item));
        }
    }
    newest.into_values().map(|(_, item)| item)
}

/// Returns the address of a page that a forge names, in a form without blanks or active characters.
pub(super) fn address(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http"))?;
    let url = String::from(url);
    (url.len() <= ADDRESS).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_texts_become_safe_to_show() {
        let status = CommitStatus::new("e2e".to_owned(), CheckState::Failure, "fail\u{202e}ed");
        let at = Some("2026-11-26T10:00:00Z".to_owned());
        let status = status.with(Some("3 of\n5\u{1b}[31m".to_owned()), Some("https://ci/1 2\n".to_owned()), at);
        assert_eq!((status.word.as_str(), status.description.as_deref()), ("fail ed", Some("3 of 5 [31m")));
        assert_eq!(status.url.as_deref(), Some("https://ci/1%202"));
        assert_eq!(status.at.map(|at| at.to_string()).as_deref(), Some("2026-11-26T10:00:00Z"));
        for text in ["javascript:alert(1)", "", "ci/1", &format!("https://ci/{}", "a".repeat(ADDRESS))] {
            assert_eq!(address(text), None, "{text}");
        }
    }

    #[test]
    fn descriptions_fit_every_forge() {
        let new = NewStatus {
            context: "tagalong/live".to_owned(),
            state: CheckState::Failure,
            description: "é\n".repeat(200),
            url: None,
        };
        assert_eq!(new.body()["description"].as_str().map(|text| text.chars().count()), Some(DESCRIPTION));
        assert_eq!((&new.body()["state"], &new.gitlab_body()["state"]), (&"failure".into(), &"failed".into()));
        assert!(new.body()["target_url"].is_null());
    }
}

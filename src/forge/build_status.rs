//! Build statuses, which Bitbucket Cloud and Data Center have in the same form: each has a key, and perhaps a name.

use std::collections::BTreeSet;

use super::commit_status::{CheckState, CommitStatus};

/// A build status.
pub struct BuildStatus {
    pub key: String,
    pub name: Option<String>,
    pub state: String,
    pub description: Option<String>,
    pub url: Option<String>,
    /// When it was set, in RFC 3339.
    pub at: Option<String>,
}

/// Returns the word for a state.
pub fn word(state: CheckState) -> &'static str {
    match state {
        CheckState::Success => "SUCCESSFUL",
        CheckState::Pending => "INPROGRESS",
        CheckState::Failure => "FAILED",
    }
}

/// Returns the statuses whose key or name is one of these contexts. A key has only one; of several with a name, the worst
/// counts.
pub fn of_contexts(all: &[BuildStatus], contexts: &BTreeSet<String>) -> Vec<CommitStatus> {
    let common = |context: &String| {
        let named = all.iter().filter(|status| status.key == *context || status.name.as_ref() == Some(context));
        named.map(|status| status.common(context)).max_by_key(|status| status.state)
    };
    contexts.iter().filter_map(common).collect()
}

impl BuildStatus {
    fn common(&self, context: &str) -> CommitStatus {
        let state = match self.state.as_str() {
            "SUCCESSFUL" => CheckState::Success,
            "INPROGRESS" => CheckState::Pending,
            _ => CheckState::Failure,
        };
        let status = CommitStatus::new(context.to_owned(), state, &self.state);
        status.with(self.description.clone(), self.url.clone(), self.at.clone())
    }
}

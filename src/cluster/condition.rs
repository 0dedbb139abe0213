//! The conditions in the status of Flux's objects (the conventions of the Kubernetes API).

use serde::Deserialize;

/// A condition.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    #[serde(rename = "type")]
    kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// The reason, as one word.
    pub reason: String,
    /// The reason, for people.
    pub message: String,
    /// The generation of the object that it is about, if the controller records it.
    observed_generation: Option<i64>,
}

impl Condition {
    /// Returns the condition of a kind, such as `Ready`.
    pub fn find<'c>(all: &'c [Condition], kind: &str) -> Option<&'c Condition> {
        all.iter().find(|condition| condition.kind == kind)
    }

    /// Returns whether it is about the current generation of its object, as far as that is recorded.
    pub fn is_current(&self, generation: Option<i64>) -> bool {
        let Some((observed, current)) = self.observed_generation.zip(generation) else { return true };
        observed >= current
    }

    /// Returns reason and message.
    pub fn words(&self) -> String {
        if self.message.is_empty() { self.reason.clone() } else { format!("{}: {}", self.reason, self.message) }
    }
}

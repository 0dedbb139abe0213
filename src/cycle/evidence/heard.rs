//! The knowledge of a cycle about checks. Nothing is queried twice in a cycle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::cluster::argocd::Application;
use crate::cluster::kustomization::Kustomization;
use crate::forge::commit_status::{CheckState, CommitStatus};

use super::error::EvidenceError;
use super::question::{Finding, Question};

/// What a source responded.
pub type Response<T> = Result<T, Arc<EvidenceError>>;

/// The knowledge of a cycle.
#[derive(Debug, Default)]
pub struct Heard {
    /// The statuses of commits, with the contexts that were queried.
    pub(super) statuses: BTreeMap<String, (BTreeSet<String>, Response<Vec<CommitStatus>>)>,
    /// The Kustomizations.
    pub(super) kustomizations: Option<Response<Vec<Kustomization>>>,
    /// The applications of Argo CD.
    pub(super) applications: Option<Response<Vec<Application>>>,
    /// The error of the forge, if querying it again would fail as well.
    pub(super) forge_error: Option<Arc<EvidenceError>>,
}

impl Heard {
    /// Returns whether the status of a context was queried.
    pub(super) fn has_status(&self, commit: &str, context: &str) -> bool {
        self.statuses.get(commit).is_some_and(|(contexts, _)| contexts.contains(context))
    }

    /// Returns whether the status of a context is a success on one of the first tips of a question.
    pub(super) fn has_passed(&self, question: &Question, tips: usize, context: &str) -> bool {
        let mut found = question.tips().take(tips).filter_map(|tip| self.status(tip, context)?.ok());
        found.any(|status| status.state == CheckState::Success)
    }

    /// Returns what the statuses of a context on all tips of a question say. A success on any of them is one; otherwise
    /// the newest tip with a failure decides.
    pub(super) fn finding(&self, question: &Question, context: &str) -> Finding {
        let (mut failed, mut unknown, mut pending) = (None, None, None);
        for tip in question.tips() {
            match self.status(tip, context) {
                Some(Ok(status)) => match status.state {
                    CheckState::Success => {
                        return Finding::Passed { detail: status.word.clone(), url: status.url.clone() };
                    }
                    CheckState::Failure => failed = Some(status),
                    CheckState::Pending => pending = Some(status),
                },
                Some(Err(fault)) => unknown = Some(fault),
                None => {}
            }
        }
        match (failed, unknown, pending) {
            (Some(status), ..) => Finding::Failed { detail: described(status), url: status.url.clone() },
            (None, Some(fault), _) => Finding::Unknown { fault: Arc::clone(fault) },
            (None, None, Some(status)) => Finding::Waiting { detail: described(status) },
            (None, None, None) => {
                let commit = question.commit.get(..7).unwrap_or(&question.commit);
                Finding::Waiting { detail: format!("{context} has not reported on {commit} yet") }
            }
        }
    }

    /// Returns the status of a context on a commit, or why it is not known; `None` if there is none.
    fn status(&self, commit: &str, context: &str) -> Option<Result<&CommitStatus, &Arc<EvidenceError>>> {
        match &self.statuses.get(commit)?.1 {
            Ok(statuses) => statuses.iter().find(|status| status.context == context).map(Ok),
            Err(fault) => Some(Err(fault)),
        }
    }
}

fn described(status: &CommitStatus) -> String {
    let CommitStatus { context, word, description, .. } = status;
    description.as_ref().map_or_else(|| format!("{context}: {word}"), |text| format!("{context}: {word}: {text}"))
}

//! What the cluster has made of a commit.

use crate::http::excerpt::excerpt;

/// What the cluster has made of a commit, from the best to the worst.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RolloutState {
    /// The commit or a later one is deployed, and works.
    Ready(String),
    /// That is not known yet.
    Waiting(String),
    /// It could not be deployed, or does not work.
    Failed(String),
}

impl RolloutState {
    /// Combines the states of objects, all of which have to be ready. Says `otherwise` if there are none.
    pub(super) fn of_all(states: impl Iterator<Item = RolloutState>, otherwise: String) -> RolloutState {
        let states: Vec<RolloutState> = states.collect();
        let failed = texts(&states, |state| matches!(state, RolloutState::Failed(_)));
        let waiting = texts(&states, |state| matches!(state, RolloutState::Waiting(_)));
        match (states.is_empty(), failed.is_empty(), waiting.is_empty()) {
            (true, ..) => RolloutState::Waiting(otherwise),
            (false, false, _) => RolloutState::Failed(failed),
            (false, true, false) => RolloutState::Waiting(waiting),
            (false, true, true) => RolloutState::Ready(texts(&states, |_| true)),
        }
    }
}

fn texts(states: &[RolloutState], is_meant: impl Fn(&RolloutState) -> bool) -> String {
    let text = |state: &RolloutState| match state {
        RolloutState::Ready(text) | RolloutState::Waiting(text) | RolloutState::Failed(text) => text.clone(),
    };
    let all: Vec<String> = states.iter().filter(|state| is_meant(state)).map(text).collect();
    excerpt(&all.join("; "))
}

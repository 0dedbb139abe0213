//! Whether Flux has applied a commit and what it applied is ready, from the status of Kustomizations. Pure.

use super::config::ObjectRef;
use super::kustomization::{Kustomization, applies};
use super::rollout::{ImageChange, Progress};
use super::rollout_state::RolloutState;

/// Returns the state of changes of a GitRepository in the cluster; `holds` returns whether a commit has the version of them
/// that is in question.
pub fn state(
    all: &[Kustomization],
    source: &ObjectRef,
    changes: &[ImageChange],
    holds: &dyn Fn(&str) -> bool,
) -> RolloutState {
    let all: Vec<&Kustomization> = all.iter().filter(|one| one.takes_from(source)).collect();
    let applied = |one: &Kustomization, change: &ImageChange| applies(one, change, all.iter().copied());
    let concerned = all.iter().filter(|one| changes.iter().any(|change| applied(one, change)));
    let unclaimed = changes.iter().find(|change| !all.iter().any(|one| applied(one, change)));
    let nobody = || format!("no Kustomization of the GitRepository {source}");
    let unclaimed = unclaimed.map(|change| RolloutState::Waiting(format!("{} deploys {}", nobody(), change.file)));
    let state = |one: &&Kustomization| match one.progress(holds) {
        Progress::Applied { revision } => RolloutState::Ready(format!("{} has applied {revision}", one.name)),
        Progress::Failed { reason, message } => RolloutState::Failed(format!("{}: {reason}: {message}", one.name)),
        Progress::Suspended { what } => RolloutState::Waiting(format!("{what} is suspended")),
        Progress::Waiting if one.applied().is_empty() => {
            RolloutState::Waiting(format!("{} has applied nothing yet", one.name))
        }
        Progress::Waiting => RolloutState::Waiting(format!("{} has applied {}", one.name, one.applied())),
    };
    RolloutState::of_all(concerned.map(state).chain(unclaimed), format!("{} deploys anything of it", nobody()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const OURS: &str = "1111111111111111111111111111111111111111";
    const EARLIER: &str = "0000000000000000000000000000000000000000";

    fn source() -> ObjectRef {
        ObjectRef { namespace: "flux-system".to_owned(), name: "infra".to_owned() }
    }

    fn kustomization(name: &str, path: &str, ready: &str, reason: &str, at: &str) -> Kustomization {
        let revision = format!("main@sha1:{at}");
        let object: Value = json!({
            "metadata": { "name": name },
            "spec": { "path": path, "suspend": reason == "Suspended", "sourceRef": { "kind": "GitRepository", "name": "infra" } },
            "status": {
                "conditions": [{ "type": "Ready", "status": ready, "reason": reason, "message": "why" }],
                "lastAppliedRevision": revision, "lastAttemptedRevision": revision,
            },
        });
        Kustomization::of("flux-system", serde_json::from_value(object).expect("an object"))
    }

    /// A file of a tree without kustomizations, except for a base that `apps/live` includes.
    fn look(all: &[Kustomization], file: &str) -> RolloutState {
        let above = file.match_indices('/').map(|(at, _)| file[..at].to_owned());
        let base = file.starts_with("base/").then(|| "apps/live".to_owned());
        let deployed_from = above.chain(base).collect();
        let change = ImageChange { file: file.to_owned(), deployed_from, ..ImageChange::default() };
        state(all, &source(), &[change], &|commit| commit == OURS)
    }

    #[test]
    fn all_that_deploy_the_files_have_to_be_ready() {
        let beta = kustomization("beta", "./apps/beta", "True", "ReconciliationSucceeded", OURS);
        let live = kustomization("live", "./apps/live", "False", "BuildFailed", OURS);
        let late = kustomization("late", "./apps/late", "True", "ReconciliationSucceeded", EARLIER);
        let all = [beta, live, late];
        assert!(
            matches!(look(&all, "apps/beta/x.yaml"), RolloutState::Ready(said) if said.contains("beta has applied"))
        );
        let failed = RolloutState::Failed("flux-system/live: BuildFailed: why".to_owned());
        assert_eq!(look(&all, "apps/live/x.yaml"), failed);
        assert!(matches!(look(&all, "apps/late/x.yaml"), RolloutState::Waiting(said) if said.ends_with(EARLIER)));
        let suspended = kustomization("apps", "./apps/late", "True", "Suspended", OURS);
        assert!(
            matches!(look(&[suspended], "apps/late/x.yaml"), RolloutState::Waiting(said) if said.ends_with("is suspended"))
        );
        assert_eq!(look(&all, "base/x.yaml"), failed);
        // With a wrong path, nobody deploys it, however ready the others are.
        let nobody = "no Kustomization of the GitRepository flux-system/infra deploys app/x.yaml".to_owned();
        assert_eq!(look(&all[..1], "app/x.yaml"), RolloutState::Waiting(nobody));
        assert!(matches!(look(&[], "x.yaml"), RolloutState::Waiting(said) if said.starts_with("no Kustomization")));
    }
}

//! The status that Argo CD reports for an Application (argoproj.io/v1alpha1), and what it means for a commit. Pure.

use serde::Deserialize;

use super::config::Argocd;
use super::kustomization::{is_below, is_commit};
use super::rollout_state::RolloutState;

/// The object as the API returns it.
pub type Resource = kube::core::Object<Spec, Status>;

/// The fields of `spec` that matter here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Spec {
    source: Option<Source>,
    sources: Option<Vec<Source>>,
}

/// A source of manifests.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Source {
    path: String,
    /// The name by which the value files of other sources refer to it.
    #[serde(rename = "ref")]
    reference: String,
    helm: Option<Helm>,
}

/// How a chart is rendered.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Helm {
    value_files: Option<Vec<String>>,
}

/// The fields of `status` that matter here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    sync: Sync,
    health: Health,
    operation_state: Option<OperationState>,
}

/// The comparison of manifests and cluster.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Sync {
    status: String,
    #[serde(flatten)]
    revisions: Revisions,
}

/// The revisions of one source or of several.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Revisions {
    revision: Option<String>,
    revisions: Option<Vec<String>>,
}

/// The health of what was deployed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Health {
    status: String,
    message: Option<String>,
}

/// The last synchronization.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OperationState {
    phase: String,
    message: Option<String>,
    sync_result: Option<Revisions>,
}

/// An Application.
#[derive(Debug, Clone)]
pub struct Application {
    /// Its name.
    pub name: String,
    spec: Spec,
    status: Status,
}

/// Returns the state of files in the cluster, according to the applications that deploy them; `holds` returns whether a
/// commit has the version of them that is in question.
pub fn state(all: &[Application], argocd: &Argocd, files: &[String], holds: &dyn Fn(&str) -> bool) -> RolloutState {
    let concerned = all.iter().filter(|one| files.iter().any(|file| one.is_responsible(file, all)));
    let otherwise = format!("none of the selected applications in {} exists", argocd.namespace);
    RolloutState::of_all(concerned.map(|one| one.state(holds)), otherwise)
}

impl Application {
    /// The application that the API returned.
    pub fn of(resource: Resource) -> Application {
        let name = resource.metadata.name.unwrap_or_default();
        Application { name, spec: resource.spec, status: resource.status.unwrap_or_default() }
    }

    fn sources(&self) -> impl Iterator<Item = &Source> {
        self.spec.source.iter().chain(self.spec.sources.iter().flatten())
    }

    /// Returns whether it deploys a file: it names it as a value file, or, if no application does, it has it below its
    /// path. A file below no path belongs to all.
    fn is_responsible(&self, file: &str, all: &[Application]) -> bool {
        let names = |one: &Application| one.sources().any(|source| source.names(file));
        let holds = |one: &Application| one.sources().any(|source| source.holds(file));
        if all.iter().any(names) {
            return names(self);
        }
        holds(self) || !all.iter().any(holds)
    }

    fn state(&self, holds: &dyn Fn(&str) -> bool) -> RolloutState {
        let Status { sync, health, operation_state } = &self.status;
        let name = &self.name;
        let operation = operation_state.as_ref();
        let is_operated =
            operation.and_then(|operation| operation.sync_result.as_ref()).is_some_and(|at| at.hold(holds));
        let why = |text: &Option<String>| text.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
        if let Some(operation) = operation.filter(|_| is_operated)
            && matches!(operation.phase.as_str(), "Failed" | "Error")
        {
            return RolloutState::Failed(format!("{name}: sync {}{}", operation.phase, why(&operation.message)));
        }
        // The compared revision says nothing about the cluster unless the comparison found no difference.
        let is_synced = sync.status == "Synced" && sync.revisions.hold(holds);
        let is_done = is_operated && operation.is_some_and(|operation| operation.phase == "Succeeded");
        if !is_synced && !is_done {
            let at = sync.revisions.first().unwrap_or("nothing");
            let phase = operation.filter(|operation| operation.phase == "Running").map(|operation| &operation.message);
            let running = phase.map(|message| format!("; sync Running{}", why(message))).unwrap_or_default();
            let status = if sync.status.is_empty() { "Unknown" } else { &sync.status };
            return RolloutState::Waiting(format!("{name} is {status} at {at}{running}"));
        }
        match health.status.as_str() {
            "Healthy" => RolloutState::Ready(format!("{name} is Healthy")),
            "Degraded" => RolloutState::Failed(format!("{name} is Degraded{}", why(&health.message))),
            "" => RolloutState::Waiting(format!("the health of {name} is not known")),
            other => RolloutState::Waiting(format!("{name} is {other}{}", why(&health.message))),
        }
    }
}

impl Source {
    /// Returns whether a file is one of its value files. They are relative to the path, to the root (`/…`), or to the root
    /// of another source (`$ref/…`).
    fn names(&self, file: &str) -> bool {
        let files = self.helm.as_ref().and_then(|helm| helm.value_files.as_deref()).unwrap_or_default();
        files.iter().any(|named| match (named.strip_prefix('$'), named.strip_prefix('/')) {
            (Some(referred), _) => referred.split_once('/').is_some_and(|(_, path)| joined("", path) == file),
            (None, Some(path)) => joined("", path) == file,
            (None, None) => joined(&self.path, named) == file,
        })
    }

    /// Returns whether a file is below its path. A source that others only refer to has none.
    fn holds(&self, file: &str) -> bool {
        (self.reference.is_empty() || !self.path.is_empty()) && is_below(&self.path, file)
    }
}

impl Revisions {
    fn all(&self) -> impl Iterator<Item = &String> {
        self.revision.iter().chain(self.revisions.iter().flatten()).filter(|revision| !revision.is_empty())
    }

    /// Revisions of charts are versions, and name no commit.
    fn hold(&self, holds: &dyn Fn(&str) -> bool) -> bool {
        self.all().any(|revision| is_commit(revision) && holds(revision))
    }

    fn first(&self) -> Option<&str> {
        self.all().find(|revision| is_commit(revision)).or_else(|| self.all().next()).map(String::as_str)
    }
}

/// Joins two paths, following `.` and `..`.
fn joined(base: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const OURS: &str = "1111111111111111111111111111111111111111";
    const EARLIER: &str = "0000000000000000000000000000000000000000";

    fn application(name: &str, spec: Value, status: Value) -> Application {
        let object = json!({ "metadata": { "name": name }, "spec": spec, "status": status });
        Application::of(serde_json::from_value(object).expect("an object"))
    }

    fn healthy(at: &str) -> Value {
        json!({ "sync": { "status": "Synced", "revision": at }, "health": { "status": "Healthy" } })
    }

    fn look(all: &[Application], file: &str) -> RolloutState {
        let argocd = Argocd { namespace: "argocd".parse().expect("a name"), names: Vec::new(), selector: None };
        state(all, &argocd, &[file.to_owned()], &|commit| commit == OURS)
    }

    /// The state of an application with a status.
    fn of(status: Value) -> RolloutState {
        look(&[application("shop", json!({ "source": { "path": "apps/shop" } }), status)], "apps/shop/x.yaml")
    }

    #[test]
    fn an_application_is_ready_when_it_is_synced_to_the_commit_and_healthy() {
        assert_eq!(of(healthy(OURS)), RolloutState::Ready("shop is Healthy".to_owned()));
        let several =
            json!({ "sync": { "status": "Synced", "revisions": ["1.2.3", OURS] }, "health": { "status": "Healthy" } });
        assert!(matches!(of(several), RolloutState::Ready(_)));
        for status in [json!({}), healthy(EARLIER), healthy("1.2.3"), healthy("")] {
            assert!(matches!(of(status.clone()), RolloutState::Waiting(_)), "{status}");
        }
        // It was compared with the commit, but what is healthy is what was there before.
        let compared =
            json!({ "sync": { "status": "OutOfSync", "revision": OURS }, "health": { "status": "Healthy" } });
        assert_eq!(of(compared), RolloutState::Waiting(format!("shop is OutOfSync at {OURS}")));
        // Something always differs, but the commit was synced.
        let differs = json!({
            "sync": { "status": "OutOfSync", "revision": OURS }, "health": { "status": "Healthy" },
            "operationState": { "phase": "Succeeded", "syncResult": { "revision": OURS } },
        });
        assert!(matches!(of(differs), RolloutState::Ready(_)));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let with = |health: &str| json!({ "sync": { "status": "Synced", "revision": OURS }, "health": { "status": health, "message": "2 of 3" } });
        assert_eq!(of(with("Progressing")), RolloutState::Waiting("shop is Progressing: 2 of 3".to_owned()));
        assert_eq!(of(with("Degraded")), RolloutState::Failed("shop is Degraded: 2 of 3".to_owned()));
        assert!(matches!(of(with("Missing")), RolloutState::Waiting(_)));
        let failed = |at: &str| {
            json!({
                "sync": { "status": "OutOfSync", "revision": OURS }, "health": { "status": "Healthy" },
                "operationState": { "phase": "Failed", "message": "one or more objects failed to apply", "syncResult": { "revision": at } },
            })
        };
        let words = "shop: sync Failed: one or more objects failed to apply";
        assert_eq!(of(failed(OURS)), RolloutState::Failed(words.to_owned()));
        assert!(matches!(of(failed(EARLIER)), RolloutState::Waiting(_)), "an earlier one failed");
        let running = json!({
            "sync": { "status": "OutOfSync", "revision": OURS },
            "operationState": { "phase": "Running", "message": "waiting for hooks", "syncResult": { "revision": OURS } },
        });
        assert!(
            matches!(of(running), RolloutState::Waiting(said) if said.ends_with("sync Running: waiting for hooks"))
        );
    }

    #[test]
    fn applications_of_other_stages_do_not_count() {
        let of_chart = |stage: &str, at: &str| {
            let spec = json!({ "source": { "path": "helm/shop", "helm": { "valueFiles": ["values.yaml", format!("./values-{stage}.yaml")] } } });
            application(&format!("shop-{stage}"), spec, healthy(at))
        };
        let all = [of_chart("beta", OURS), of_chart("live", EARLIER)];
        assert_eq!(look(&all, "helm/shop/values-beta.yaml"), RolloutState::Ready("shop-beta is Healthy".to_owned()));
        assert!(matches!(look(&all, "helm/shop/values-live.yaml"), RolloutState::Waiting(_)));
        for shared in ["helm/shop/values.yaml", "helm/shop/templates/x.yaml", "elsewhere/x.yaml"] {
            assert!(
                matches!(look(&all, shared), RolloutState::Waiting(said) if said.starts_with("shop-live")),
                "{shared}"
            );
        }
        let referring = json!({ "sources": [
            { "chart": "shop", "helm": { "valueFiles": ["$infra/apps/beta/values.yaml"] } },
            { "repoURL": "https://git.example.com/infra.git", "ref": "infra" },
        ] });
        let all = [application("beta", referring, healthy(OURS)), of_chart("live", EARLIER)];
        assert!(matches!(look(&all, "apps/beta/values.yaml"), RolloutState::Ready(_)));
        assert!(matches!(look(&all, "helm/shop/x.yaml"), RolloutState::Waiting(said) if said.starts_with("shop-live")));
        assert!(matches!(look(&[], "x.yaml"), RolloutState::Waiting(said) if said.contains("argocd")));
    }
}

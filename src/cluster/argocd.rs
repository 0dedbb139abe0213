//! The status that Argo CD reports for an Application (argoproj.io/v1alpha1), and what it means for a commit. Pure.

use jiff::Timestamp;
use serde::Deserialize;

use super::config::{Argocd, ObjectRef};
use super::git_repository::Target;
use super::kustomization::{folder_of, is_below, is_commit};
use super::rollout::{ImageChange, LastApplied, Progress};
use super::rollout_state::RolloutState;

/// The health of an application whose objects have failed.
const DEGRADED: &str = "Degraded";
/// Why an application may stay as it is, however many commits there are.
const NOT_AUTOMATED: &str = "; not synced automatically: spec.syncPolicy.automated is not set";

/// The object as the API returns it.
pub type Resource = kube::core::Object<Spec, Status>;

/// The fields of `spec` that matter here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    source: Option<Source>,
    sources: Option<Vec<Source>>,
    sync_policy: Option<SyncPolicy>,
}

/// How it is synchronized.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SyncPolicy {
    automated: Option<Automated>,
}

/// Synchronization without anybody asking for it, which is on unless it says otherwise.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Automated {
    enabled: Option<bool>,
}

/// A source of manifests.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Source {
    #[serde(rename = "repoURL")]
    url: String,
    path: String,
    /// The name of a chart from a Helm repository, which has no path.
    chart: String,
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
    conditions: Vec<Condition>,
    /// The revisions that were synchronized successfully, oldest first.
    history: Vec<Revisions>,
}

/// A problem with the application, such as manifests that cannot be generated.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Condition {
    #[serde(rename = "type")]
    kind: String,
    message: String,
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
#[serde(rename_all = "camelCase", default)]
pub struct Health {
    status: String,
    message: Option<String>,
    last_transition_time: Option<Timestamp>,
}

/// The last synchronization.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OperationState {
    phase: String,
    message: Option<String>,
    started_at: Option<Timestamp>,
    sync_result: Option<Revisions>,
    operation: Option<Operation>,
}

/// The request that started it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Operation {
    sync: Option<Revisions>,
}

/// An Application.
#[derive(Debug, Clone)]
pub struct Application {
    /// Its name.
    pub name: String,
    spec: Spec,
    status: Status,
}

/// What an application has made of a commit.
enum Verdict {
    /// It has synchronized the commit, as part of this revision, and is healthy.
    Ready(String),
    /// It has not.
    Failed { reason: String, message: String },
    /// That is not known yet. Says its state.
    Waiting(String),
}

/// Returns the state of files in the cluster, according to the applications that deploy them; `holds` returns whether a
/// commit has the version of them that is in question.
pub fn state(
    all: &[Application],
    argocd: &Argocd,
    changes: &[ImageChange],
    holds: &dyn Fn(&str) -> bool,
) -> RolloutState {
    let concerned = all.iter().filter(|one| changes.iter().any(|change| one.is_responsible(&change.file, all)));
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

    /// Returns whether it deploys a repository, as far as the URLs of its sources say.
    pub fn is_of(&self, target: &Target) -> bool {
        self.sources().any(|source| source.url.is_empty() || target.is_at(&source.url))
    }

    /// Returns whether it deploys a changed file: it names it as a value file, or, if no application does, its path is
    /// among those from which the file is deployed.
    pub fn reaches(&self, change: &ImageChange, all: &[Application]) -> bool {
        let names = |one: &Application| one.sources().any(|source| source.names(&change.file));
        if all.iter().any(names) {
            return names(self);
        }
        self.sources().any(|source| source.has_path() && change.deployed_from.contains(&folder_of(&[&source.path])))
    }

    /// Its namespace and name.
    pub fn object(&self, argocd: &Argocd) -> ObjectRef {
        ObjectRef { namespace: argocd.namespace.to_string(), name: self.name.clone() }
    }

    /// Returns the last commit that it has synchronized and that does not contain a commit, as far as `holds` knows, unless
    /// it was unhealthy before it began with that commit.
    pub fn last_applied(&self, holds: &dyn Fn(&str) -> bool) -> Option<LastApplied> {
        let Status { health, operation_state, history, .. } = &self.status;
        let started = operation_state.as_ref().and_then(|operation| operation.started_at);
        let since = health.last_transition_time.filter(|_| health.status == DEGRADED);
        if since.zip(started).is_some_and(|(since, started)| since < started) {
            return None;
        }
        let mut commits = history.iter().rev().flat_map(Revisions::all).filter(|revision| is_commit(revision));
        let commit = commits.find(|commit| !holds(commit))?.clone();
        let sources = self.sources().filter(|source| source.has_path());
        Some(LastApplied { commit, folders: sources.map(|source| folder_of(&[&source.path])).collect() })
    }

    /// Its progress with a commit; `holds` returns whether another commit is or contains that commit.
    pub fn progress(&self, holds: &dyn Fn(&str) -> bool) -> Progress {
        match self.verdict(holds) {
            Verdict::Ready(revision) => Progress::Applied { revision },
            Verdict::Failed { reason, message } => Progress::Failed { reason, message },
            Verdict::Waiting(_) => Progress::Waiting,
        }
    }

    /// Returns its state, for a commit that it has not deployed.
    pub fn words(&self, holds: &dyn Fn(&str) -> bool) -> String {
        let state = match self.verdict(holds) {
            Verdict::Ready(revision) => format!("it is Healthy at {revision}"),
            Verdict::Failed { reason, message } => format!("{reason}: {message}"),
            Verdict::Waiting(state) => format!("it {state}"),
        };
        let problems = self.status.conditions.iter().filter(|condition| condition.kind.ends_with("Error"));
        let problems = problems.map(|condition| format!("; {}: {}", condition.kind, condition.message));
        let policy = self.spec.sync_policy.as_ref().and_then(|policy| policy.automated.as_ref());
        let is_automated = policy.is_some_and(|automated| automated.enabled != Some(false));
        let by_hand = if self.status.sync.status == "OutOfSync" && !is_automated { NOT_AUTOMATED } else { "" };
        format!("{state}{}{by_hand}", problems.collect::<String>())
    }

    fn state(&self, holds: &dyn Fn(&str) -> bool) -> RolloutState {
        let name = &self.name;
        match self.verdict(holds) {
            Verdict::Ready(_) => RolloutState::Ready(format!("{name} is Healthy")),
            Verdict::Failed { reason, message } => {
                let message = if message.is_empty() { message } else { format!(": {message}") };
                let said = if reason == DEGRADED { " is" } else { ":" };
                RolloutState::Failed(format!("{name}{said} {reason}{message}"))
            }
            Verdict::Waiting(state) => RolloutState::Waiting(format!("{name} {state}")),
        }
    }

    fn verdict(&self, holds: &dyn Fn(&str) -> bool) -> Verdict {
        let Status { sync, health, operation_state, .. } = &self.status;
        let operation = operation_state.as_ref();
        let operated = operation.and_then(OperationState::revisions).and_then(|at| at.holding(holds));
        let why = |text: &Option<String>| text.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
        if let Some(operation) = operation.filter(|_| operated.is_some())
            && matches!(operation.phase.as_str(), "Failed" | "Error")
        {
            let message = operation.message.clone().unwrap_or_default();
            return Verdict::Failed { reason: format!("sync {}", operation.phase), message };
        }
        // The compared revision says nothing about the cluster unless the comparison found no difference.
        let synced = sync.revisions.holding(holds).filter(|_| sync.status == "Synced");
        let done = operated.filter(|_| operation.is_some_and(|operation| operation.phase == "Succeeded"));
        let Some(revision) = synced.or(done) else {
            let at = sync.revisions.first().unwrap_or("nothing");
            let phase = operation.filter(|operation| operation.phase == "Running").map(|operation| &operation.message);
            let running = phase.map(|message| format!("; sync Running{}", why(message))).unwrap_or_default();
            let status = if sync.status.is_empty() { "Unknown" } else { &sync.status };
            return Verdict::Waiting(format!("is {status} at {at}{running}"));
        };
        match health.status.as_str() {
            "Healthy" => Verdict::Ready(revision.to_owned()),
            DEGRADED => {
                Verdict::Failed { reason: DEGRADED.to_owned(), message: health.message.clone().unwrap_or_default() }
            }
            "" => Verdict::Waiting("has no known health".to_owned()),
            other => Verdict::Waiting(format!("is {other}{}", why(&health.message))),
        }
    }
}

impl OperationState {
    /// Returns the revisions that were synchronized, or were to be, if it did not get that far.
    fn revisions(&self) -> Option<&Revisions> {
        let asked = self.operation.as_ref().and_then(|operation| operation.sync.as_ref());
        self.sync_result.as_ref().or(asked)
    }
}

impl Source {
    /// Returns whether a file is one of its value files. They are relative to the path, to the root (`/…`), or to the root
    /// of another source (`$ref/…`).
    fn names(&self, file: &str) -> bool {
        let files = self.helm.as_ref().and_then(|helm| helm.value_files.as_deref()).unwrap_or_default();
        files.iter().any(|named| match (named.strip_prefix('$'), named.strip_prefix('/')) {
            (Some(referred), _) => referred.split_once('/').is_some_and(|(_, path)| folder_of(&[path]) == file),
            (None, Some(path)) => folder_of(&[path]) == file,
            (None, None) => folder_of(&[&self.path, named]) == file,
        })
    }

    /// Returns whether a file is below its path.
    fn holds(&self, file: &str) -> bool {
        self.has_path() && is_below(&self.path, file)
    }

    /// Returns whether it deploys a folder. A chart from a Helm repository has none, and neither has a source that others
    /// only refer to. Otherwise, an empty path is the root.
    fn has_path(&self) -> bool {
        self.chart.is_empty() && (self.reference.is_empty() || !self.path.is_empty())
    }
}

impl Revisions {
    fn all(&self) -> impl Iterator<Item = &String> {
        self.revision.iter().chain(self.revisions.iter().flatten()).filter(|revision| !revision.is_empty())
    }

    /// Returns the revision that is or contains a commit. Revisions of charts are versions, and name no commit.
    fn holding(&self, holds: &dyn Fn(&str) -> bool) -> Option<&str> {
        self.all().find(|revision| is_commit(revision) && holds(revision)).map(String::as_str)
    }

    fn first(&self) -> Option<&str> {
        self.all().find(|revision| is_commit(revision)).or_else(|| self.all().next()).map(String::as_str)
    }
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
        let argocd = Argocd {
            namespace: "argocd".parse().expect("a name"),
            names: Vec::new(),
            selector: None,
            timeout: std::time::Duration::ZERO,
        };
        let change = ImageChange { file: file.to_owned(), ..ImageChange::default() };
        state(all, &argocd, &[change], &|commit| commit == OURS)
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
    fn only_applications_of_the_repository_with_its_paths_are_watched() {
        let target = Target {
            repository: "git@git.example.com:acme/infra.git".parse().expect("a URL"),
            branch: "main".to_owned(),
        };
        let from = |url: &str, path: &str, chart: &str| {
            application("shop", json!({ "source": { "repoURL": url, "path": path, "chart": chart } }), json!({}))
        };
        assert!(from("https://git.example.com/acme/infra", "", "").is_of(&target));
        assert!(!from("https://git.example.com/acme/other", "", "").is_of(&target));
        let deployed_from = ["", "apps", "apps/shop"].map(str::to_owned).into();
        let change = ImageChange { file: "apps/shop/x.yaml".to_owned(), deployed_from, ..ImageChange::default() };
        let reaches = |path: &str, chart: &str| {
            let all = [from("", path, chart)];
            all[0].reaches(&change, &all)
        };
        assert!(reaches("apps/shop", "") && reaches("./apps/", "") && reaches("", ""));
        assert!(!reaches("apps/cart", "") && !reaches("", "shop"));
    }

    #[test]
    fn words_explain_what_keeps_an_application_back() {
        let said = |spec: Value, status: Value| application("shop", spec, status).words(&|commit| commit == OURS);
        let out = json!({ "sync": { "status": "OutOfSync", "revision": OURS } });
        assert_eq!(said(json!({}), out.clone()), format!("it is OutOfSync at {OURS}{NOT_AUTOMATED}"));
        let automated = |enabled: Value| json!({ "syncPolicy": { "automated": enabled } });
        assert_eq!(said(automated(json!({ "prune": true })), out.clone()), format!("it is OutOfSync at {OURS}"));
        assert!(said(automated(json!({ "enabled": false })), out).ends_with(NOT_AUTOMATED));
        let problem = json!({ "type": "ComparisonError", "message": "kustomize build failed" });
        let status = json!({ "sync": { "status": "Unknown" }, "conditions": [problem] });
        assert_eq!(
            said(automated(json!({})), status),
            "it is Unknown at nothing; ComparisonError: kustomize build failed"
        );
        // The operation failed before it had a result.
        let status = json!({
            "sync": { "status": "OutOfSync", "revision": OURS },
            "operationState": { "phase": "Error", "message": "denied", "operation": { "sync": { "revision": OURS } } },
        });
        assert_eq!(said(automated(json!({})), status), "sync Error: denied");
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

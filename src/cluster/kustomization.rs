//! The status that Flux reports for a Kustomization (kustomize.toolkit.fluxcd.io/v1), and what it means for a commit.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::condition::Condition;
use super::config::ObjectRef;
use super::flux_object::FluxObject;
use super::helm_release;
use super::rollout::{ImageChange, LastApplied, Progress};

/// Reasons for not being ready that are not failures.
const WAITING: [&str; 3] = ["DependencyNotReady", "HealthCheckCanceled", "Progressing"];
/// The reason that it reports until it has fetched what it is to apply.
const NOT_FETCHED: &str = "ArtifactFailed";

/// The object as the API returns it.
pub type Resource = kube::core::Object<Spec, Status>;

/// The fields of `spec` that matter here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    path: String,
    components: Vec<String>,
    suspend: bool,
    source_ref: SourceRef,
}

/// The source that it applies.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SourceRef {
    kind: String,
    name: String,
    namespace: Option<String>,
}

/// The fields of `status` that matter here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    conditions: Vec<Condition>,
    last_applied_revision: String,
    last_attempted_revision: String,
    inventory: Option<Inventory>,
}

/// The objects that it applied.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Inventory {
    entries: Vec<InventoryEntry>,
}

/// An object that it applied.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct InventoryEntry {
    id: String,
}

/// A Kustomization.
pub type Kustomization = FluxObject<Spec, Status>;

impl FluxObject<Spec, Status> {
    /// Returns whether it applies a GitRepository. A reference without a namespace means the Kustomization's own.
    pub fn takes_from(&self, source: &ObjectRef) -> bool {
        let SourceRef { kind, name, namespace } = &self.spec.source_ref;
        let namespace = namespace.as_deref().filter(|namespace| !namespace.is_empty());
        kind == "GitRepository" && *name == source.name && namespace.unwrap_or(&self.name.namespace) == source.namespace
    }

    /// Returns whether it is suspended, so that it applies nothing.
    pub fn is_suspended(&self) -> bool {
        self.spec.suspend
    }

    /// Returns whether it applies a changed file, as far as the tree says.
    pub fn reaches(&self, change: &ImageChange) -> bool {
        self.folders().any(|folder| change.deployed_from.contains(&folder))
    }

    /// Returns the folders that it deploys: its path, and its components.
    fn folders(&self) -> impl Iterator<Item = String> {
        let path = &self.spec.path;
        let components = self.spec.components.iter().map(move |component| folder_of(&[path, component]));
        std::iter::once(folder_of(&[path])).chain(components)
    }

    /// Returns the HelmReleases that it applied.
    pub fn releases(&self) -> impl Iterator<Item = ObjectRef> {
        let entries = self.status.inventory.iter().flat_map(|inventory| &inventory.entries);
        entries.filter_map(|entry| helm_release::in_inventory(&entry.id))
    }

    /// Returns whether a file of the repository is below its path.
    pub fn holds(&self, file: &str) -> bool {
        is_below(&self.spec.path, file)
    }

    /// The last applied revision.
    pub fn applied(&self) -> &str {
        &self.status.last_applied_revision
    }

    /// Returns the last commit that it has applied. Flux records it only once all health checks have passed.
    pub fn last_applied(&self) -> Option<LastApplied> {
        let commit = commit_of(self.applied())?.to_owned();
        Some(LastApplied { commit, folders: self.folders().collect::<BTreeSet<String>>() })
    }

    /// Its progress with a commit; `reaches` returns whether another commit is or contains that commit.
    pub fn progress(&self, reaches: &dyn Fn(&str) -> bool) -> Progress {
        let is_reached = |revision: &str| commit_of(revision).is_some_and(reaches);
        if self.spec.suspend {
            return Progress::Suspended { what: format!("the Kustomization {}", self.name) };
        }
        let Some(ready) = self.ready().filter(|ready| ready.is_current(self.generation)) else {
            return Progress::Waiting;
        };
        match ready.status.as_str() {
            "True" if is_reached(&self.status.last_applied_revision) => {
                Progress::Applied { revision: self.status.last_applied_revision.clone() }
            }
            "False" if !WAITING.contains(&ready.reason.as_str()) => {
                // Flux records an attempted revision once it has fetched it; before that, only the message names it.
                let fetching = Condition::find(&self.status.conditions, "Reconciling");
                let fetching = fetching.filter(|_| ready.reason == NOT_FETCHED);
                let mut words = fetching.map_or("", |fetching| &fetching.message).split_whitespace();
                if is_reached(&self.status.last_attempted_revision) || words.any(is_reached) {
                    Progress::Failed { reason: ready.reason.clone(), message: ready.message.clone() }
                } else {
                    Progress::Waiting
                }
            }
            _ => Progress::Waiting,
        }
    }

    /// Returns its state, for a commit that it has not applied.
    pub fn words(&self) -> String {
        let at = if self.applied().is_empty() { "nothing" } else { self.applied() };
        let ready = self.ready().filter(|ready| ready.status != "True");
        let ready = ready.map(|ready| format!("; {}", ready.words())).unwrap_or_default();
        format!("it has applied {at}{ready}")
    }

    /// Returns why it could not fetch its files, if that is the problem.
    pub fn fetch_problem(&self) -> Option<String> {
        let ready = self.ready().filter(|ready| ready.status == "False" && ready.reason == NOT_FETCHED);
        ready.map(|ready| format!("{}: {}", self.name, ready.words()))
    }

    fn ready(&self) -> Option<&Condition> {
        Condition::find(&self.status.conditions, "Ready")
    }
}

/// The commit of a revision: `main@sha1:<commit>`, or `main/<commit>` as Flux wrote it before 2.0.
fn commit_of(revision: &str) -> Option<&str> {
    let (_, commit) = revision.rsplit_once([':', '/'])?;
    is_commit(commit).then_some(commit)
}

/// Returns whether a text is the full ID of a commit.
pub fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns whether a file of a repository is below a path.
pub fn is_below(path: &str, file: &str) -> bool {
    let path: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let parts: Vec<&str> = file.split('/').collect();
    parts.len() > path.len() && parts.starts_with(&path)
}

/// Joins paths to that of a folder of the repository, without `.` and `..`.
pub fn folder_of(paths: &[&str]) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in paths.iter().flat_map(|path| path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Returns whether a Kustomization applies a change, out of all that use the repository. A chart is applied by a release that
/// can be anywhere, so its files belong to the Kustomizations that have them below their paths, or else to all that are not
/// suspended.
pub fn applies<'k>(
    one: &Kustomization,
    change: &ImageChange,
    mut all: impl Iterator<Item = &'k Kustomization> + Clone,
) -> bool {
    if change.is_in_chart && !all.clone().any(|other| other.reaches(change)) {
        return one.holds(&change.file) || !one.is_suspended() && !all.any(|other| other.holds(&change.file));
    }
    one.reaches(change)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const OURS: &str = "1111111111111111111111111111111111111111";
    const LATER: &str = "2222222222222222222222222222222222222222";
    const EARLIER: &str = "0000000000000000000000000000000000000000";

    fn kustomization(spec: Value, status: Value) -> Kustomization {
        let object = json!({ "metadata": { "name": "apps", "namespace": "tenants" }, "spec": spec, "status": status });
        Kustomization::of("tenants", serde_json::from_value(object).expect("an object"))
    }

    fn progress(ready: (&str, &str), applied: &str, attempted: &str) -> Progress {
        let status = json!({
            "conditions": [
                { "type": "Reconciling", "status": "True", "reason": "ProgressingWithRetry", "message": format!("Fetching manifests for revision main@sha1:{OURS} with a timeout of 5m0s") },
                { "type": "Ready", "status": ready.0, "reason": ready.1, "message": "why" },
            ],
            "lastAppliedRevision": format!("main@sha1:{applied}"),
            "lastAttemptedRevision": format!("main@sha1:{attempted}"),
        });
        kustomization(json!({}), status).progress(&|commit| commit == OURS || commit == LATER)
    }

    #[test]
    fn a_commit_is_applied_when_it_or_a_later_one_is_ready() {
        for applied in [OURS, LATER] {
            let revision = format!("main@sha1:{applied}");
            assert_eq!(progress(("True", "ReconciliationSucceeded"), applied, applied), Progress::Applied { revision });
        }
        assert_eq!(progress(("True", "ReconciliationSucceeded"), EARLIER, EARLIER), Progress::Waiting);
        assert_eq!(progress(("Unknown", "Progressing"), EARLIER, OURS), Progress::Waiting);
        assert_eq!(kustomization(json!({}), json!({})).progress(&|_| true), Progress::Waiting);
        assert_eq!(commit_of(&format!("main/{OURS}")), Some(OURS));
        assert_eq!(commit_of("v1@sha1:short"), None);
    }

    #[test]
    fn a_suspended_kustomization_has_applied_nothing_and_a_changed_one_nothing_yet() {
        let status = json!({
            "conditions": [{ "type": "Ready", "status": "True", "reason": "ReconciliationSucceeded", "observedGeneration": 2 }],
            "lastAppliedRevision": format!("main@sha1:{OURS}"),
        });
        let suspended = kustomization(json!({ "suspend": true }), status.clone());
        assert!(matches!(suspended.progress(&|_| true), Progress::Suspended { .. }));
        let object = json!({ "metadata": { "name": "apps", "generation": 3 }, "spec": {}, "status": status });
        let changed = Kustomization::of("tenants", serde_json::from_value(object).expect("an object"));
        assert_eq!(changed.progress(&|_| true), Progress::Waiting);
    }

    #[test]
    fn paths_and_components_reach_what_is_deployed_from_them() {
        let change = ImageChange { deployed_from: ["apps/shop".to_owned()].into(), ..ImageChange::default() };
        let reaches = |spec: Value| kustomization(spec, json!({})).reaches(&change);
        assert!(reaches(json!({ "path": "./apps/shop/" })));
        assert!(reaches(json!({ "path": "./live", "components": ["../apps/shop"] })));
        assert!(!reaches(json!({ "path": "./apps" })) && !reaches(json!({ "path": "" })));
    }

    #[test]
    fn a_commit_has_failed_when_it_was_tried_and_something_is_wrong() {
        for reason in ["BuildFailed", "ReconciliationFailed", "HealthCheckFailed", "ArtifactFailed", "PruneFailed"] {
            let failed = Progress::Failed { reason: reason.to_owned(), message: "why".to_owned() };
            assert_eq!(progress(("False", reason), EARLIER, OURS), failed);
        }
        // An earlier failure with another commit is not a failure of this one.
        assert_eq!(progress(("False", "BuildFailed"), EARLIER, EARLIER), Progress::Waiting);
        assert_eq!(progress(("False", "DependencyNotReady"), EARLIER, OURS), Progress::Waiting);
        assert_eq!(progress(("False", "HealthCheckCanceled"), EARLIER, OURS), Progress::Waiting);
        // It could not be fetched, so it is not recorded as attempted.
        assert!(matches!(progress(("False", "ArtifactFailed"), EARLIER, EARLIER), Progress::Failed { .. }));
    }

    #[test]
    fn the_source_is_in_the_namespace_of_the_kustomization_unless_said() {
        let takes = |spec: Value| {
            kustomization(spec, json!({}))
                .takes_from(&ObjectRef { namespace: "flux-system".to_owned(), name: "infra".to_owned() })
        };
        let reference = |namespace: &str| json!({ "kind": "GitRepository", "name": "infra", "namespace": namespace });
        assert!(takes(json!({ "sourceRef": reference("flux-system") })));
        assert!(!takes(json!({ "sourceRef": reference("") })) && !takes(json!({ "sourceRef": reference("tenants") })));
        assert!(!takes(json!({ "sourceRef": { "kind": "GitRepository", "name": "infra" } })));
        // A suspended one applies nothing, but its files are nobody else's.
        assert!(takes(json!({ "sourceRef": reference("flux-system"), "suspend": true })));
        let bucket = json!({ "kind": "Bucket", "name": "infra", "namespace": "flux-system" });
        assert!(!takes(json!({ "sourceRef": bucket })));
    }

    #[test]
    fn a_path_holds_what_is_below_it() {
        let holds = |path: &str, file: &str| kustomization(json!({ "path": path }), json!({})).holds(file);
        assert!(holds("./apps/shop", "apps/shop/deployment.yaml") && holds("apps/shop/", "apps/shop/base/x.yaml"));
        assert!(holds("./", "x.yaml") && holds("", "a/b.yaml"));
        assert!(!holds("./apps/shop", "apps/shop2/x.yaml") && !holds("apps/shop", "apps/shop"));
    }
}

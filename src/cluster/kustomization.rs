//! The status that Flux reports for a Kustomization (kustomize.toolkit.fluxcd.io/v1), and what it means for a commit.

use serde::Deserialize;

use super::config::ObjectRef;

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
}

/// A condition.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: String,
    message: String,
}

/// A Kustomization.
#[derive(Debug, Clone)]
pub struct Kustomization {
    /// Its namespace and name.
    pub name: ObjectRef,
    spec: Spec,
    status: Status,
}

/// A Kustomization's progress with a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It has applied the commit or a later one.
    Applied {
        /// The applied revision.
        revision: String,
    },
    /// It failed to apply the commit or a later one.
    Failed {
        /// The reason, as one word.
        reason: String,
        /// The reason, as Flux explains it.
        message: String,
    },
    /// It has not started with the commit, or is applying it.
    Waiting,
}

impl Kustomization {
    /// The Kustomization of a namespace that the API returned.
    pub fn of(namespace: &str, resource: Resource) -> Kustomization {
        let name = resource.metadata.name.unwrap_or_default();
        let name = ObjectRef { namespace: namespace.to_owned(), name };
        Kustomization { name, spec: resource.spec, status: resource.status.unwrap_or_default() }
    }

    /// Returns whether it applies a GitRepository. A reference without a namespace means the Kustomization's own.
    pub fn takes_from(&self, source: &ObjectRef) -> bool {
        let SourceRef { kind, name, namespace } = &self.spec.source_ref;
        let namespace = namespace.as_deref().filter(|namespace| !namespace.is_empty());
        kind == "GitRepository"
            && *name == source.name
            && namespace.unwrap_or(&self.name.namespace) == source.namespace
            && !self.spec.suspend
    }

    /// Returns whether a file of the repository is below its path.
    pub fn holds(&self, file: &str) -> bool {
        is_below(&self.spec.path, file)
    }

    /// The last applied revision.
    pub fn applied(&self) -> &str {
        &self.status.last_applied_revision
    }

    /// Its progress with a commit; `reaches` returns whether another commit is or contains that commit.
    pub fn progress(&self, reaches: &dyn Fn(&str) -> bool) -> Progress {
        let is_reached = |revision: &str| commit_of(revision).is_some_and(reaches);
        let condition = |kind: &str| self.status.conditions.iter().find(|condition| condition.kind == kind);
        let Some(ready) = condition("Ready") else { return Progress::Waiting };
        match ready.status.as_str() {
            "True" if is_reached(&self.status.last_applied_revision) => {
                Progress::Applied { revision: self.status.last_applied_revision.clone() }
            }
            "False" if !WAITING.contains(&ready.reason.as_str()) => {
                // Flux records an attempted revision once it has fetched it; before that, only the message names it.
                let fetching = condition("Reconciling").filter(|_| ready.reason == NOT_FETCHED);
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

/// Returns whether a Kustomization deploys a file. A file belongs to those that have it below their paths; a file below no
/// path, such as one of a base, belongs to all.
pub fn is_responsible(one: &Kustomization, file: &str, all: &[&Kustomization]) -> bool {
    one.holds(file) || !all.iter().any(|other| other.holds(file))
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
        assert!(!takes(json!({ "sourceRef": reference("flux-system"), "suspend": true })));
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

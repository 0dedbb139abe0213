//! The status that Flux reports for a HelmRelease (helm.toolkit.fluxcd.io/v2), and whether it has released its current
//! values.

use serde::Deserialize;

use super::condition::Condition;
use super::config::ObjectRef;
use super::flux_object::FluxObject;
use super::rollout::Progress;

/// How the inventory of a Kustomization names the kind of a HelmRelease.
const INVENTORY_SUFFIX: &str = "_helm.toolkit.fluxcd.io_HelmRelease";
/// Reasons for not being ready that are not failures.
const WAITING: [&str; 4] = ["DependencyNotReady", "SourceNotReady", "Progressing", "ProgressingWithRetry"];

/// The object as the API returns it.
pub type Resource = kube::core::Object<Spec, Status>;

/// The fields of `spec` that matter here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Spec {
    suspend: bool,
}

/// The fields of `status` that matter here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    conditions: Vec<Condition>,
    observed_generation: i64,
}

/// A HelmRelease.
pub type HelmRelease = FluxObject<Spec, Status>;

impl FluxObject<Spec, Status> {
    /// Returns its progress with its current values; `revision` is the one that brought them.
    pub fn progress(&self, revision: &str) -> Progress {
        let ready = Condition::find(&self.status.conditions, "Ready");
        let Some(ready) = ready.filter(|ready| ready.is_current(self.generation)) else { return Progress::Waiting };
        let is_observed = self.generation.is_none_or(|current| self.status.observed_generation >= current);
        match ready.status.as_str() {
            _ if self.spec.suspend => Progress::Suspended { what: format!("the HelmRelease {}", self.name) },
            "True" if is_observed => Progress::Applied { revision: revision.to_owned() },
            // The generation counts as observed only after the last retry.
            "False" if !WAITING.contains(&ready.reason.as_str()) => Progress::Failed {
                reason: ready.reason.clone(),
                message: format!("HelmRelease {}: {}", self.name, ready.message),
            },
            _ => Progress::Waiting,
        }
    }

    /// Returns its state, for a commit that it has not released.
    pub fn words(&self) -> String {
        let ready = Condition::find(&self.status.conditions, "Ready");
        let words = ready.map_or_else(|| "it has not been reconciled yet".to_owned(), Condition::words);
        format!("HelmRelease {}: {words}", self.name)
    }
}

/// Returns the HelmRelease that an entry of an inventory (`NAMESPACE_NAME_GROUP_KIND`) names.
pub fn in_inventory(id: &str) -> Option<ObjectRef> {
    let (namespace, name) = id.strip_suffix(INVENTORY_SUFFIX)?.split_once('_')?;
    Some(ObjectRef { namespace: namespace.to_owned(), name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn progress(suspend: bool, ready: (&str, &str), of: i64, observed: i64) -> Progress {
        let ready = json!({ "type": "Ready", "status": ready.0, "reason": ready.1, "message": "why", "observedGeneration": of });
        let object = json!({
            "metadata": { "name": "shop", "generation": 3 }, "spec": { "suspend": suspend },
            "status": { "conditions": [ready], "observedGeneration": observed },
        });
        HelmRelease::of("apps", serde_json::from_value(object).expect("an object")).progress("main@sha1:c0ffee")
    }

    #[test]
    fn a_release_counts_at_its_own_generation() {
        let applied = Progress::Applied { revision: "main@sha1:c0ffee".to_owned() };
        assert_eq!(progress(false, ("True", "UpgradeSucceeded"), 3, 3), applied);
        assert_eq!(progress(false, ("True", "UpgradeSucceeded"), 2, 2), Progress::Waiting);
        assert_eq!(progress(false, ("Unknown", "Progressing"), 3, 2), Progress::Waiting);
        assert_eq!(progress(false, ("False", "SourceNotReady"), 3, 2), Progress::Waiting);
        // A failed upgrade is retried, and the generation counts as observed only afterwards.
        for reason in ["UpgradeFailed", "RollbackSucceeded", "MissingRollbackTarget"] {
            let message = "HelmRelease apps/shop: why".to_owned();
            assert_eq!(
                progress(false, ("False", reason), 3, 2),
                Progress::Failed { reason: reason.to_owned(), message }
            );
        }
        assert_eq!(progress(false, ("False", "UpgradeFailed"), 2, 2), Progress::Waiting, "an earlier one failed");
        assert!(matches!(progress(true, ("True", "UpgradeSucceeded"), 3, 3), Progress::Suspended { .. }));
    }

    #[test]
    fn inventories_name_releases() {
        let found = in_inventory("apps_shop_helm.toolkit.fluxcd.io_HelmRelease").expect("a release");
        assert_eq!(found.to_string(), "apps/shop");
        assert_eq!(in_inventory("apps_shop_apps_Deployment"), None);
    }
}

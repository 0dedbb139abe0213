//! Pods, as far as it matters which images run in them (v1 Pod).

use serde::Deserialize;

use kube::api::ObjectMeta;

/// The labels by which a controller tells the ReplicaSets of a workload apart, with the kind of that workload.
const HASHES: [(&str, &str); 2] = [("pod-template-hash", "Deployment"), ("rollouts-pod-template-hash", "Rollout")];

/// The object as the API returns it.
pub type Resource = kube::core::Object<Spec, Status>;

/// The fields of `spec` that matter here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    containers: Vec<ContainerSpec>,
    init_containers: Vec<ContainerSpec>,
}

/// A container as it was requested.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ContainerSpec {
    name: String,
    image: String,
}

/// The fields of `status` that matter here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    conditions: Vec<Condition>,
    container_statuses: Vec<ContainerStatus>,
    init_container_statuses: Vec<ContainerStatus>,
}

/// A condition.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

/// A container as it runs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ContainerStatus {
    name: String,
    #[serde(rename = "imageID")]
    image_id: String,
}

/// A pod that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// The kind and name of the workload that it belongs to, such as `Deployment shop`.
    pub workload: String,
    /// Its containers, including those that initialize it.
    pub containers: Vec<Container>,
}

/// A container of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// The image as the pod requests it.
    pub image: String,
    /// The image that runs, as the runtime names it: a repository with the digest of a manifest or an index, or the ID of an
    /// image that was not pulled.
    pub image_id: String,
}

impl Pod {
    /// The pod of a namespace that the API returned, if it is ready and not about to end.
    pub fn of(namespace: &str, resource: Resource) -> Option<Pod> {
        let status = resource.status.unwrap_or_default();
        let is_ready =
            status.conditions.iter().any(|condition| condition.kind == "Ready" && condition.status == "True");
        if !is_ready || resource.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let running: Vec<ContainerStatus> =
            status.container_statuses.into_iter().chain(status.init_container_statuses).collect();
        let container = |ContainerSpec { name, image }: ContainerSpec| {
            let status = running.iter().find(|status| status.name == name);
            Container { image_id: status.map(|status| status.image_id.clone()).unwrap_or_default(), name, image }
        };
        let Spec { containers, init_containers } = resource.spec;
        Some(Pod {
            namespace: namespace.to_owned(),
            workload: workload_of(&resource.metadata),
            containers: containers.into_iter().chain(init_containers).map(container).collect(),
        })
    }
}

/// Returns the kind and name of the workload that a pod belongs to. A ReplicaSet belongs to a Deployment if its name ends in
/// the hash of the pod's template.
fn workload_of(pod: &ObjectMeta) -> String {
    let owners = pod.owner_references.as_deref().unwrap_or_default();
    let Some(owner) = owners.iter().find(|owner| owner.controller == Some(true)).or(owners.first()) else {
        return format!("Pod {}", pod.name.as_deref().unwrap_or_default());
    };
    let label = |key: &str| pod.labels.as_ref().and_then(|labels| labels.get(key));
    let above = HASHES.iter().filter(|_| owner.kind == "ReplicaSet").find_map(|(key, kind)| {
        let name = owner.name.strip_suffix(label(key)?.as_str())?.strip_suffix('-')?;
        Some(format!("{kind} {name}"))
    });
    above.unwrap_or_else(|| format!("{} {}", owner.kind, owner.name))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(metadata: Value, ready: &str) -> Option<Pod> {
        let mut object = json!({
            "metadata": { "name": "shop-5d6e7f8-x1y2z", "namespace": "apps" },
            "spec": {
                "containers": [{ "name": "app", "image": "ghcr.io/acme/shop:v1" }],
                "initContainers": [{ "name": "migrate", "image": "ghcr.io/acme/shop:v1" }],
            },
            "status": {
                "phase": "Running",
                "conditions": [{ "type": "Ready", "status": ready }],
                "containerStatuses": [{ "name": "app", "ready": true, "image": "sha256:1", "imageID": "ghcr.io/acme/shop@sha256:2" }],
            },
        });
        object["metadata"].as_object_mut().expect("an object").extend(metadata.as_object().expect("one").clone());
        Pod::of("apps", serde_json::from_value(object).expect("a pod"))
    }

    #[test]
    fn only_ready_pods_that_stay_count() {
        let ready = pod(json!({}), "True").expect("ready");
        let containers: Vec<(&str, &str)> =
            ready.containers.iter().map(|container| (&*container.name, &*container.image_id)).collect();
        assert_eq!(containers, [("app", "ghcr.io/acme/shop@sha256:2"), ("migrate", "")]);
        assert_eq!(pod(json!({}), "False"), None);
        assert_eq!(pod(json!({ "deletionTimestamp": "2026-04-01T10:00:00Z" }), "True"), None);
    }

    #[test]
    fn pods_belong_to_the_workload_above_their_replica_set() {
        let owned = |kind: &str, name: &str, label: &str| {
            let owner = json!({ "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "1", "controller": true });
            pod(json!({ "ownerReferences": [owner], "labels": { label: "5d6e7f8" } }), "True").expect("ready").workload
        };
        assert_eq!(owned("ReplicaSet", "shop-5d6e7f8", "pod-template-hash"), "Deployment shop");
        assert_eq!(owned("ReplicaSet", "shop-5d6e7f8", "rollouts-pod-template-hash"), "Rollout shop");
        assert_eq!(owned("ReplicaSet", "shop-by-hand", "pod-template-hash"), "ReplicaSet shop-by-hand");
        assert_eq!(owned("StatefulSet", "db", "app"), "StatefulSet db");
        assert_eq!(pod(json!({}), "True").expect("ready").workload, "Pod shop-5d6e7f8-x1y2z");
    }
}

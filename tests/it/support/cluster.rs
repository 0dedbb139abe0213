//! A fake of the Kubernetes API, as far as it is used: objects with versions, optimistic concurrency, merge patches,
//! and faults. A real one is too large for a test.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use super::scripted::{self, Answer, Asked, Scripted};

pub const TOKEN: &str = "open-sesame-cluster";
pub const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/flux-system/leases/tagalong";
pub const SOURCE: &str = "/apis/source.toolkit.fluxcd.io/v1/namespaces/flux-system/gitrepositories/infra";
pub const KUSTOMIZATIONS: &str = "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux-system/kustomizations";
pub const HELM_RELEASES: &str = "/apis/helm.toolkit.fluxcd.io/v2/namespaces/apps/helmreleases";
pub const APPLICATIONS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";

const ACCESS_REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// A fault of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is rejected with a status.
    Status(u16),
    /// It gets no response.
    Silence,
    /// Someone else writes the object just before.
    SomeoneElse,
}

/// A fault of requests with a method (any if empty) and a path prefix, for this many times.
#[derive(Debug, Clone)]
struct Trouble {
    method: &'static str,
    path: &'static str,
    fault: Fault,
    left: usize,
}

#[derive(Default)]
pub struct State {
    objects: BTreeMap<String, Value>,
    version: u64,
    troubles: Vec<Trouble>,
    /// The number of pods in a page; 0 for the number that the client asks for.
    page: usize,
    /// Whether every page of pods is followed by the first one.
    is_endless: bool,
    /// The verbs and kinds that access reviews do not allow, such as `patch gitrepositories`.
    forbidden: Vec<&'static str>,
}

impl State {
    fn put(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(path.to_owned(), object.clone());
        object
    }
}

pub struct Cluster {
    server: Scripted,
    state: Arc<Mutex<State>>,
}

impl Cluster {
    /// Starts an API without objects.
    pub fn start() -> Cluster {
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        let server = Scripted::start(move |asked| answer(&mut shared.lock().expect("unpoisoned"), asked));
        Cluster { server, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("unpoisoned")
    }

    /// Writes a kubeconfig for this API.
    pub fn kubeconfig(&self, folder: &Path) -> PathBuf {
        let file = folder.join("kubeconfig");
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{ "name": "test", "cluster": { "server": format!("http://{}", self.server.host()) } }],
            "users": [{ "name": "test", "user": { "token": TOKEN } }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test", "namespace": "flux-system" } }],
        });
        fs::write(&file, text.to_string()).expect("written");
        file
    }

    /// An object in its current state.
    pub fn get(&self, path: &str) -> Option<Value> {
        self.state().objects.get(path).cloned()
    }

    /// Creates or replaces an object.
    pub fn put(&self, path: &str, object: Value) {
        self.state().put(path, object);
    }

    /// The holder of the Lease.
    pub fn holder(&self) -> String {
        let lease = self.get(LEASE).unwrap_or_default();
        lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
    }

    /// Puts the Lease in someone's hands; each call is a renewal.
    pub fn hold(&self, holder: &str, seconds: u32) {
        let version = self.state().version;
        let spec = json!({
            "holderIdentity": holder,
            "leaseDurationSeconds": seconds,
            // A clock that is years off, which does not matter.
            "acquireTime": "2001-01-01T00:00:00.000000Z",
            "renewTime": format!("2001-01-01T00:00:00.{version:06}Z"),
            "leaseTransitions": 4,
        });
        let metadata = json!({ "name": "tagalong", "namespace": "flux-system" });
        self.put(
            LEASE,
            json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec }),
        );
    }

    /// A Kustomization of the GitRepository `infra`, as kustomize-controller 1.9 reports it.
    pub fn kustomize(&self, name: &str, path: &str, ready: (&str, &str, &str), applied: &str, attempted: &str) {
        let condition = condition(ready, 1);
        let object = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": { "name": name, "namespace": "flux-system", "generation": 1 },
            "spec": { "path": path, "interval": "10m", "prune": true, "sourceRef": { "kind": "GitRepository", "name": "infra" } },
            "status": {
                "conditions": [condition],
                "lastAppliedRevision": format!("main@sha1:{applied}"),
                "lastAttemptedRevision": format!("main@sha1:{attempted}"),
                "inventory": { "entries": [
                    { "id": "apps_app_apps_Deployment", "v": "v1" },
                    { "id": "apps_app_helm.toolkit.fluxcd.io_HelmRelease", "v": "v2" },
                    { "id": "apps_other_helm.toolkit.fluxcd.io_HelmRelease", "v": "v2" },
                ] },
            },
        });
        self.put(&format!("{KUSTOMIZATIONS}/{name}"), object);
    }

    /// Changes an object as `kubectl patch` does.
    pub fn patch(&self, path: &str, patch: Value) {
        let mut state = self.state();
        let mut object = state.objects.get(path).cloned().expect("an object");
        merge(&mut object, &patch);
        state.put(path, object);
    }

    /// A HelmRelease of the namespace `apps`, as helm-controller 1.4 reports it: `observedGeneration` of the status stays
    /// behind while it retries a failed action, that of the condition does not.
    pub fn release(&self, name: &str, ready: (&str, &str, &str), generation: u64, of: u64, observed: u64) {
        let object = json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": { "name": name, "namespace": "apps", "generation": generation },
            "spec": { "interval": "10m", "chart": { "spec": { "chart": name } } },
            "status": {
                "conditions": [condition(ready, of)],
                "observedGeneration": observed,
                "history": [{ "name": name, "namespace": "apps", "version": 1, "status": "deployed", "chartVersion": "1.0.0" }],
            },
        });
        self.put(&format!("{HELM_RELEASES}/{name}"), object);
    }

    /// A pod of the Deployment `app` with one container: the image that it asks for and the one that it runs. More of it can be
    /// changed.
    pub fn pod(&self, namespace: &str, app: &str, images: (&str, &str), change: impl FnOnce(&mut Value)) {
        let owner = json!({ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{app}-5d6e7f8"), "uid": "1", "controller": true });
        let (image, id) = images;
        let mut object = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": format!("{app}-5d6e7f8-x1y2z"), "namespace": namespace,
                "labels": { "pod-template-hash": "5d6e7f8" }, "ownerReferences": [owner],
            },
            "spec": { "containers": [{ "name": "main", "image": image, "ports": [{ "containerPort": 80 }] }], "nodeName": "one" },
            "status": {
                "phase": "Running",
                "conditions": [{ "type": "PodScheduled", "status": "True" }, { "type": "Ready", "status": "True" }],
                "containerStatuses": [{ "name": "main", "ready": true, "restartCount": 0, "image": image, "imageID": id, "state": { "running": {} } }],
            },
        });
        change(&mut object);
        self.put(&format!("/api/v1/namespaces/{namespace}/pods/{app}"), object);
    }

    /// Returns pods in pages of this size, whatever the client asks for.
    pub fn set_page(&self, size: usize) {
        self.state().page = size;
    }

    /// Returns the first page of pods again and again.
    pub fn set_endless(&self, is_endless: bool) {
        self.state().is_endless = is_endless;
    }

    /// The queries of requests for a path.
    pub fn queries(&self, path: &str) -> Vec<String> {
        let targets = self.server.asked().into_iter().map(|asked| asked.target);
        targets.filter_map(|target| Some(target.strip_prefix(path)?.trim_start_matches('?').to_owned())).collect()
    }

    /// Injects a fault.
    pub fn trouble(&self, method: &'static str, path: &'static str, fault: Fault, times: usize) {
        self.state().troubles.push(Trouble { method, path, fault, left: times });
    }

    /// Lets access reviews forbid a verb on a kind of objects, such as `patch gitrepositories`.
    pub fn forbid(&self, what: &'static str) {
        self.state().forbidden.push(what);
    }

    /// Removes all faults.
    pub fn heal(&self) {
        self.state().troubles.clear();
    }

    /// The requests so far: methods and paths.
    pub fn asked(&self) -> Vec<String> {
        let path = |target: &str| target.split('?').next().unwrap_or_default().to_owned();
        self.server.asked().iter().map(|asked| format!("{} {}", asked.method, path(&asked.target))).collect()
    }
}

/// A condition `Ready` of one of Flux's objects, about one of its generations.
fn condition(ready: (&str, &str, &str), of: u64) -> Value {
    json!({
        "type": "Ready", "status": ready.0, "reason": ready.1, "message": ready.2,
        "observedGeneration": of, "lastTransitionTime": "2026-11-26T10:00:00Z",
    })
}

/// An error in the API's format.
fn refused(code: u16, reason: &str, message: &str) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    scripted::json(code, status, &[])
}

fn answer(state: &mut State, asked: &Asked) -> Answer {
    if asked.authorization.as_deref() != Some(&format!("Bearer {TOKEN}")) {
        return refused(401, "Unauthorized", "Unauthorized");
    }
    let path = asked.target.split('?').next().unwrap_or_default();
    let is_struck = |trouble: &&mut Trouble| {
        trouble.left > 0
            && path.starts_with(trouble.path)
            && (trouble.method.is_empty() || trouble.method == asked.method)
    };
    let fault = state.troubles.iter_mut().find(is_struck).map(|trouble| {
        trouble.left -= 1;
        trouble.fault
    });
    match fault {
        Some(Fault::Silence) => return None,
        Some(Fault::Status(code)) => {
            let message = format!("{path} is not for User \"system:serviceaccount:flux-system:tagalong\"");
            return refused(code, if code == 403 { "Forbidden" } else { "InternalError" }, &message);
        }
        Some(Fault::SomeoneElse) => {
            let object = state.objects.get(path).cloned().unwrap_or_default();
            state.put(path, object);
        }
        None => {}
    }
    let body: Value = serde_json::from_str(&asked.body).unwrap_or_default();
    let found = state.objects.get(path).cloned();
    match (asked.method.as_str(), found) {
        ("GET", Some(object)) => scripted::json(200, object, &[]),
        ("GET", None) if path.ends_with("/pods") => {
            let parameter = |name: &str| {
                let query = asked.target.split_once('?').map_or("", |(_, query)| query);
                let value = query.split('&').filter_map(|part| part.split_once('=')).find(|(key, _)| *key == name);
                value.and_then(|(_, value)| value.parse::<usize>().ok())
            };
            let size = if state.page > 0 { state.page } else { parameter("limit").unwrap_or(usize::MAX) };
            let below = state.objects.iter().filter(|(at, _)| at.starts_with(&format!("{path}/")));
            let all: Vec<Value> = below.map(|(_, one)| one.clone()).collect();
            let start = parameter("continue").unwrap_or(0).min(all.len());
            let end = start.saturating_add(size).min(all.len());
            let next = if state.is_endless { Some(0) } else { (end < all.len()).then_some(end) };
            let token = next.map(|at| at.to_string()).unwrap_or_default();
            let metadata = json!({ "resourceVersion": state.version.to_string(), "continue": token });
            let list = json!({ "apiVersion": "v1", "kind": "PodList", "metadata": metadata, "items": all[start..end] });
            scripted::json(200, list, &[])
        }
        ("GET", None) if [KUSTOMIZATIONS, HELM_RELEASES, APPLICATIONS].contains(&path) => {
            let selector = asked.target.split("labelSelector=").nth(1).and_then(|rest| rest.split('&').next());
            let label = selector.and_then(|selector| selector.split_once("%3D"));
            let is_selected = |one: &&Value| label.is_none_or(|(key, value)| one["metadata"]["labels"][key] == value);
            let below = state.objects.iter().filter(|(at, _)| at.starts_with(&format!("{path}/")));
            let items: Vec<Value> = below.map(|(_, one)| one).filter(is_selected).cloned().collect();
            let first = items.first().cloned().unwrap_or_default();
            let list = json!({
                "apiVersion": first["apiVersion"].as_str().unwrap_or("v1"),
                "kind": format!("{}List", first["kind"].as_str().unwrap_or_default()),
                "metadata": { "resourceVersion": state.version.to_string() }, "items": items,
            });
            scripted::json(200, list, &[])
        }
        ("POST", _) if path == ACCESS_REVIEWS => {
            let asked = &body["spec"]["resourceAttributes"];
            let what =
                format!("{} {}", asked["verb"].as_str().expect("a verb"), asked["resource"].as_str().expect("a kind"));
            let is_allowed = !state.forbidden.contains(&what.as_str());
            let review = json!({
                "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "metadata": {},
                "spec": body["spec"], "status": { "allowed": is_allowed },
            });
            scripted::json(201, review, &[])
        }
        ("POST", _) => {
            let path = format!("{path}/{}", body["metadata"]["name"].as_str().expect("a name"));
            match state.objects.contains_key(&path) {
                true => refused(409, "AlreadyExists", "it is there already"),
                false => scripted::json(201, state.put(&path, body), &[]),
            }
        }
        ("PUT", Some(object)) => {
            let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
            match version(&object) == version(&body) {
                true => scripted::json(200, state.put(path, body), &[]),
                false => refused(409, "Conflict", "the object has been modified"),
            }
        }
        ("PATCH", Some(mut object)) => {
            merge(&mut object, &body);
            scripted::json(200, state.put(path, object), &[])
        }
        _ => refused(404, "NotFound", &format!("{path} not found")),
    }
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.as_object_mut().expect("an object").remove(key)),
            value => merge(&mut target[key], value),
        }
    }
}

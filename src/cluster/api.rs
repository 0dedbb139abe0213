//! The Kubernetes API, as far as it is used here. Each request has a time limit, and is asked once: whoever asks knows
//! whether and when to ask again.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::http;

use super::config::ObjectRef;
use super::error::ClusterError;
use super::kustomization::{Kustomization, Resource};

/// How long one request may take.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// What says that we run in a pod.
const IN_CLUSTER: &str = "KUBERNETES_SERVICE_HOST";
/// What Flux takes for a wish to look now (`meta.ReconcileRequestAnnotation`).
const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

/// What the API is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiCall {
    /// A Lease is read.
    ReadLease(ObjectRef),
    /// A Lease is made.
    MakeLease(ObjectRef),
    /// A Lease is taken, renewed or left.
    WriteLease(ObjectRef),
    /// A GitRepository is annotated.
    Annotate(ObjectRef),
    /// The Kustomizations of a namespace are listed.
    List(String),
}

impl fmt::Display for ApiCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApiCall::ReadLease(lease) => write!(f, "read the Lease {lease}"),
            ApiCall::MakeLease(lease) => write!(f, "make the Lease {lease}"),
            ApiCall::WriteLease(lease) => write!(f, "write the Lease {lease}"),
            ApiCall::Annotate(source) => write!(f, "annotate the GitRepository {source}"),
            ApiCall::List(namespace) => write!(f, "list the Kustomizations in {namespace}"),
        }
    }
}

impl ApiCall {
    /// The rule of a Role that allows it.
    pub fn rule(&self) -> String {
        let (group, resource, name, verb, namespace) = match self {
            ApiCall::ReadLease(ObjectRef { namespace, name }) => {
                ("coordination.k8s.io", "leases", Some(name), "get", namespace)
            }
            ApiCall::MakeLease(ObjectRef { namespace, .. }) => {
                ("coordination.k8s.io", "leases", None, "create", namespace)
            }
            ApiCall::WriteLease(ObjectRef { namespace, name }) => {
                ("coordination.k8s.io", "leases", Some(name), "update", namespace)
            }
            ApiCall::Annotate(ObjectRef { namespace, name }) => {
                ("source.toolkit.fluxcd.io", "gitrepositories", Some(name), "patch", namespace)
            }
            ApiCall::List(namespace) => ("kustomize.toolkit.fluxcd.io", "kustomizations", None, "list", namespace),
        };
        let named = name.map(|name| format!(", resourceNames: [{name}]")).unwrap_or_default();
        format!(
            "{{ apiGroups: [{group}], resources: [{resource}]{named}, verbs: [{verb}] }} in the namespace {namespace}"
        )
    }

    /// The key of the configuration that leads to it.
    pub fn key(&self) -> &'static str {
        match self {
            ApiCall::ReadLease(_) | ApiCall::MakeLease(_) | ApiCall::WriteLease(_) => "cluster.leaderElection",
            ApiCall::Annotate(_) => "cluster.flux.gitRepository",
            ApiCall::List(_) => "cluster.flux",
        }
    }
}

/// The Kubernetes API.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

impl Cluster {
    /// The API of the cluster that this runs in, by the pod's service account; elsewhere the one that `KUBECONFIG` names.
    /// Connects to nothing yet.
    pub async fn find() -> Result<Cluster, ClusterError> {
        http::use_ring();
        let unusable = |reason: String| ClusterError::Access { reason };
        let mut config = if std::env::var_os(IN_CLUSTER).is_some() {
            Config::incluster().map_err(|error| unusable(http::root_cause(&error)))?
        } else {
            let file = Kubeconfig::from_env().map_err(|error| unusable(http::root_cause(&error)))?;
            let file = file.ok_or(ClusterError::NoCluster)?;
            let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
            config.map_err(|error| unusable(http::root_cause(&error)))?
        };
        config.default_retry = false;
        config.connect_timeout = Some(TIMEOUT);
        let client = Client::try_from(config).map_err(|error| unusable(http::root_cause(&error)))?;
        Ok(Cluster { client })
    }

    /// The namespace of the service account, or of the kubeconfig's context.
    pub fn namespace(&self) -> &str {
        self.client.default_namespace()
    }

    /// Reads a Lease, if there is one.
    pub async fn lease(&self, lease: &ObjectRef) -> Result<Option<Lease>, ClusterError> {
        let leases = self.leases(lease);
        within(ApiCall::ReadLease(lease.clone()), leases.get_opt(&lease.name)).await
    }

    /// Makes a Lease; an error if someone else was first.
    pub async fn make_lease(&self, lease: &ObjectRef, with: &Lease) -> Result<Lease, ClusterError> {
        let leases = self.leases(lease);
        within(ApiCall::MakeLease(lease.clone()), leases.create(&PostParams::default(), with)).await
    }

    /// Writes a Lease as it was read, but for what was changed; an error if it was written since.
    pub async fn write_lease(&self, lease: &ObjectRef, with: &Lease) -> Result<Lease, ClusterError> {
        let leases = self.leases(lease);
        within(ApiCall::WriteLease(lease.clone()), leases.replace(&lease.name, &PostParams::default(), with)).await
    }

    /// Asks Flux to look at a GitRepository now.
    pub async fn annotate(&self, source: &ObjectRef, now: Timestamp) -> Result<(), ClusterError> {
        let repositories: Api<DynamicObject> =
            self.custom("source.toolkit.fluxcd.io", "GitRepository", "gitrepositories", &source.namespace);
        let patch = json!({ "metadata": { "annotations": { REQUESTED_AT: now.to_string() } } });
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(&patch));
        let patched = repositories.patch_metadata(&source.name, &parameters, &patch);
        within(ApiCall::Annotate(source.clone()), patched).await.map(drop)
    }

    /// The Kustomizations of a namespace, as the API server has them in memory: nothing is read from etcd for it.
    pub async fn kustomizations(&self, namespace: &str) -> Result<Vec<Kustomization>, ClusterError> {
        let all: Api<Resource> =
            self.custom("kustomize.toolkit.fluxcd.io", "Kustomization", "kustomizations", namespace);
        let parameters = ListParams::default().match_any();
        let listed = within(ApiCall::List(namespace.to_owned()), all.list(&parameters)).await?;
        Ok(listed.items.into_iter().map(|resource| Kustomization::of(namespace, resource)).collect())
    }

    fn leases(&self, lease: &ObjectRef) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &lease.namespace)
    }

    fn custom<K>(&self, group: &str, kind: &str, plural: &str, namespace: &str) -> Api<K>
    where
        K: kube::Resource<DynamicType = ApiResource, Scope = kube::core::DynamicResourceScope> + DeserializeOwned,
    {
        let kind = GroupVersionKind::gvk(group, "v1", kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, plural);
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }
}

async fn within<T>(call: ApiCall, request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, ClusterError> {
    match tokio::time::timeout(TIMEOUT, request).await {
        Ok(answer) => answer.map_err(|error| failure(call, error)),
        Err(_) => Err(ClusterError::TimedOut { call, after: TIMEOUT }),
    }
}

fn failure(call: ApiCall, error: kube::Error) -> ClusterError {
    match error {
        kube::Error::Api(status) => {
            let (code, words) = (status.code, status.message);
            match code {
                401 | 403 => ClusterError::Denied { call, status: code, words },
                404 => ClusterError::NotFound { call, words },
                409 => ClusterError::Conflict { call },
                _ => ClusterError::Refused { call, status: code, words },
            }
        }
        kube::Error::SerdeError(error) => ClusterError::InvalidResponse { call, reason: error.to_string() },
        kube::Error::Auth(error) => ClusterError::Access { reason: http::root_cause(&error) },
        error => ClusterError::Unreachable { call, reason: http::root_cause(&error) },
    }
}

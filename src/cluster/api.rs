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

use super::config::Object;
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
pub enum Call {
    /// A Lease is read.
    ReadLease(Object),
    /// A Lease is made.
    MakeLease(Object),
    /// A Lease is taken, renewed or left.
    WriteLease(Object),
    /// A GitRepository is annotated.
    Annotate(Object),
    /// The Kustomizations of a namespace are listed.
    List(String),
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Call::ReadLease(lease) => write!(f, "read the Lease {lease}"),
            Call::MakeLease(lease) => write!(f, "make the Lease {lease}"),
            Call::WriteLease(lease) => write!(f, "write the Lease {lease}"),
            Call::Annotate(source) => write!(f, "annotate the GitRepository {source}"),
            Call::List(namespace) => write!(f, "list the Kustomizations in {namespace}"),
        }
    }
}

impl Call {
    /// The rule of a Role that allows it.
    pub fn rule(&self) -> String {
        let (group, resource, name, verb, namespace) = match self {
            Call::ReadLease(Object { namespace, name }) => {
                ("coordination.k8s.io", "leases", Some(name), "get", namespace)
            }
            Call::MakeLease(Object { namespace, .. }) => ("coordination.k8s.io", "leases", None, "create", namespace),
            Call::WriteLease(Object { namespace, name }) => {
                ("coordination.k8s.io", "leases", Some(name), "update", namespace)
            }
            Call::Annotate(Object { namespace, name }) => {
                ("source.toolkit.fluxcd.io", "gitrepositories", Some(name), "patch", namespace)
            }
            Call::List(namespace) => ("kustomize.toolkit.fluxcd.io", "kustomizations", None, "list", namespace),
        };
        let named = name.map(|name| format!(", resourceNames: [{name}]")).unwrap_or_default();
        format!(
            "{{ apiGroups: [{group}], resources: [{resource}]{named}, verbs: [{verb}] }} in the namespace {namespace}"
        )
    }

    /// The key of the configuration that leads to it.
    pub fn key(&self) -> &'static str {
        match self {
            Call::ReadLease(_) | Call::MakeLease(_) | Call::WriteLease(_) => "cluster.leaderElection",
            Call::Annotate(_) => "cluster.flux.gitRepository",
            Call::List(_) => "cluster.flux",
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
            Config::incluster().map_err(|error| unusable(http::innermost(&error)))?
        } else {
            let file = Kubeconfig::from_env().map_err(|error| unusable(http::innermost(&error)))?;
            let file = file.ok_or(ClusterError::NoCluster)?;
            let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
            config.map_err(|error| unusable(http::innermost(&error)))?
        };
        config.default_retry = false;
        config.connect_timeout = Some(TIMEOUT);
        let client = Client::try_from(config).map_err(|error| unusable(http::innermost(&error)))?;
        Ok(Cluster { client })
    }

    /// The namespace of the service account, or of the kubeconfig's context.
    pub fn namespace(&self) -> &str {
        self.client.default_namespace()
    }

    /// Reads a Lease, if there is one.
    pub async fn lease(&self, lease: &Object) -> Result<Option<Lease>, ClusterError> {
        let leases = self.leases(lease);
        within(Call::ReadLease(lease.clone()), leases.get_opt(&lease.name)).await
    }

    /// Makes a Lease; an error if someone else was first.
    pub async fn make_lease(&self, lease: &Object, with: &Lease) -> Result<Lease, ClusterError> {
        let leases = self.leases(lease);
        within(Call::MakeLease(lease.clone()), leases.create(&PostParams::default(), with)).await
    }

    /// Writes a Lease as it was read, but for what was changed; an error if it was written since.
    pub async fn write_lease(&self, lease: &Object, with: &Lease) -> Result<Lease, ClusterError> {
        let leases = self.leases(lease);
        within(Call::WriteLease(lease.clone()), leases.replace(&lease.name, &PostParams::default(), with)).await
    }

    /// Asks Flux to look at a GitRepository now.
    pub async fn annotate(&self, source: &Object, now: Timestamp) -> Result<(), ClusterError> {
        let repositories: Api<DynamicObject> =
            self.custom("source.toolkit.fluxcd.io", "GitRepository", "gitrepositories", &source.namespace);
        let patch = json!({ "metadata": { "annotations": { REQUESTED_AT: now.to_string() } } });
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(&patch));
        let patched = repositories.patch_metadata(&source.name, &parameters, &patch);
        within(Call::Annotate(source.clone()), patched).await.map(drop)
    }

    /// The Kustomizations of a namespace, as the API server has them in memory: nothing is read from etcd for it.
    pub async fn kustomizations(&self, namespace: &str) -> Result<Vec<Kustomization>, ClusterError> {
        let all: Api<Resource> =
            self.custom("kustomize.toolkit.fluxcd.io", "Kustomization", "kustomizations", namespace);
        let parameters = ListParams::default().match_any();
        let listed = within(Call::List(namespace.to_owned()), all.list(&parameters)).await?;
        Ok(listed.items.into_iter().map(|resource| Kustomization::of(namespace, resource)).collect())
    }

    fn leases(&self, lease: &Object) -> Api<Lease> {
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

async fn within<T>(call: Call, request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, ClusterError> {
    match tokio::time::timeout(TIMEOUT, request).await {
        Ok(answer) => answer.map_err(|error| failure(call, error)),
        Err(_) => Err(ClusterError::TimedOut { call, after: TIMEOUT }),
    }
}

fn failure(call: Call, error: kube::Error) -> ClusterError {
    match error {
        kube::Error::Api(status) => {
            let (code, words) = (status.code, status.message);
            match code {
                401 | 403 => ClusterError::Denied { call, status: code, words },
                404 => ClusterError::Missing { call, words },
                409 => ClusterError::Conflict { call },
                _ => ClusterError::Refused { call, status: code, words },
            }
        }
        kube::Error::SerdeError(error) => ClusterError::Broken { call, reason: error.to_string() },
        kube::Error::Auth(error) => ClusterError::Access { reason: http::innermost(&error) },
        error => ClusterError::Unreachable { call, reason: http::innermost(&error) },
    }
}

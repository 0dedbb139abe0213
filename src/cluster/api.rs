//! The parts of the Kubernetes API that are used. Each request has a timeout and is sent once: the caller decides
//! whether and when to retry.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::http;

use super::api_call::ApiCall;
use super::argocd::{self, Application};
use super::config::{Argocd, ObjectRef};
use super::error::ClusterError;
use super::git_repository::{self, Target};
use super::helm_release::{self, HelmRelease};
use super::kustomization::{Kustomization, Resource};
use super::pods::{self, Pod};

/// The timeout of a request.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// The number of pods in one response.
const PODS: u32 = 250;
/// The most of these responses that are read.
const MAX_PAGES: usize = 400;
/// The environment variable that is set in pods.
const IN_CLUSTER: &str = "KUBERNETES_SERVICE_HOST";
/// The annotation that requests a reconciliation from Flux (`meta.ReconcileRequestAnnotation`).
const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";
/// The annotation that requests a refresh from Argo CD, which removes it again.
const REFRESH: &str = "argocd.argoproj.io/refresh";

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
    /// The API of the cluster that this process runs in, with the pod's service account; outside a pod, the one that
    /// `KUBECONFIG` names. Does not connect yet.
    pub async fn find() -> Result<Cluster, ClusterError> {
        http::use_ring();
        if std::env::var_os(IN_CLUSTER).is_some() {
            return Cluster::of(Config::incluster().map_err(|error| unusable(&error))?);
        }
        let file = Kubeconfig::from_env().map_err(|error| unusable(&error))?;
        Cluster::in_kubeconfig(file.ok_or(ClusterError::NoCluster)?).await
    }

    /// The API of the current context of a kubeconfig. Does not connect yet.
    pub async fn in_kubeconfig(file: Kubeconfig) -> Result<Cluster, ClusterError> {
        http::use_ring();
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
        Cluster::of(config.map_err(|error| unusable(&error))?)
    }

    fn of(mut config: Config) -> Result<Cluster, ClusterError> {
        config.default_retry = false;
        config.connect_timeout = Some(TIMEOUT);
        Ok(Cluster { client: Client::try_from(config).map_err(|error| unusable(&error))? })
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

    /// Creates a Lease; an error if another client created it first.
    pub async fn create_lease(&self, lease: &ObjectRef, with: &Lease) -> Result<Lease, ClusterError> {
        let leases = self.leases(lease);
        within(ApiCall::CreateLease(lease.clone()), leases.create(&PostParams::default(), with)).await
    }

    /// Writes back a Lease that was read and changed; an error if it has been written since.
    pub async fn write_lease(&self, lease: &ObjectRef, with: &Lease) -> Result<Lease, ClusterError> {
        let leases = self.leases(lease);
        within(ApiCall::WriteLease(lease.clone()), leases.replace(&lease.name, &PostParams::default(), with)).await
    }

    /// Asks Flux to fetch a GitRepository now.
    pub async fn annotate(&self, source: &ObjectRef, now: Timestamp) -> Result<(), ClusterError> {
        let repositories: Api<DynamicObject> =
            self.custom("source.toolkit.fluxcd.io/v1", "GitRepository", "gitrepositories", &source.namespace);
        let patch = json!({ "metadata": { "annotations": { REQUESTED_AT: now.to_string() } } });
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(&patch));
        let patched = repositories.patch_metadata(&source.name, &parameters, &patch);
        within(ApiCall::Annotate(source.clone()), patched).await.map(drop)
    }

    /// Returns the state of a GitRepository, for a commit that did not arrive at `target`.
    pub async fn git_repository_words(&self, source: &ObjectRef, target: &Target) -> Result<String, ClusterError> {
        let repositories: Api<git_repository::Resource> =
            self.custom("source.toolkit.fluxcd.io/v1", "GitRepository", "gitrepositories", &source.namespace);
        let found = within(ApiCall::ReadSource(source.clone()), repositories.get(&source.name)).await?;
        Ok(git_repository::words(source, &found, target))
    }

    /// The HelmReleases of a namespace, from the API server's cache.
    pub async fn helm_releases(&self, namespace: &str) -> Result<Vec<HelmRelease>, ClusterError> {
        let all: Api<helm_release::Resource> =
            self.custom("helm.toolkit.fluxcd.io/v2", "HelmRelease", "helmreleases", namespace);
        let parameters = ListParams::default().match_any();
        let listed = within(ApiCall::ListReleases(namespace.to_owned()), all.list(&parameters)).await?;
        Ok(listed.items.into_iter().map(|resource| HelmRelease::of(namespace, resource)).collect())
    }

    /// The Kustomizations of a namespace, from the API server's cache: this reads nothing from etcd.
    pub async fn kustomizations(&self, namespace: &str) -> Result<Vec<Kustomization>, ClusterError> {
        let all: Api<Resource> =
            self.custom("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "kustomizations", namespace);
        let parameters = ListParams::default().match_any();
        let listed = within(ApiCall::List(namespace.to_owned()), all.list(&parameters)).await?;
        Ok(listed.items.into_iter().map(|resource| Kustomization::of(namespace, resource)).collect())
    }

    /// The applications of Argo CD that are selected, from the API server's cache.
    pub async fn applications(&self, argocd: &Argocd) -> Result<Vec<Application>, ClusterError> {
        let namespace = argocd.namespace.as_str();
        let all: Api<argocd::Resource> = self.custom("argoproj.io/v1alpha1", "Application", "applications", namespace);
        let parameters = ListParams { label_selector: argocd.selector.clone(), ..ListParams::default() }.match_any();
        let listed = within(ApiCall::ListApplications(namespace.to_owned()), all.list(&parameters)).await?;
        let applications = listed.items.into_iter().map(Application::of);
        Ok(applications.filter(|application| argocd.selects(&application.name)).collect())
    }

    /// Asks Argo CD to compare an application with its repository now.
    pub async fn refresh(&self, application: &ObjectRef) -> Result<(), ClusterError> {
        let applications: Api<DynamicObject> =
            self.custom("argoproj.io/v1alpha1", "Application", "applications", &application.namespace);
        let patch = json!({ "metadata": { "annotations": { REFRESH: "normal" } } });
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(&patch));
        let patched = applications.patch_metadata(&application.name, &parameters, &patch);
        within(ApiCall::Refresh(application.clone()), patched).await.map(drop)
    }

    /// The pods of a namespace that are ready. They are read in pages, so that many need little memory.
    pub async fn pods(&self, namespace: &str) -> Result<Vec<Pod>, ClusterError> {
        let all: Api<pods::Resource> = self.custom("v1", "Pod", "pods", namespace);
        let call = || ApiCall::ListPods(namespace.to_owned());
        let (mut ready, mut parameters) = (Vec::new(), ListParams::default().limit(PODS));
        for _ in 0..MAX_PAGES {
            let page = within(call(), all.list(&parameters)).await?;
            ready.extend(page.items.into_iter().filter_map(|resource| Pod::of(namespace, resource)));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = ListParams::default().limit(PODS).continue_token(&token),
                None => return Ok(ready),
            }
        }
        Err(ClusterError::InvalidResponse { call: call(), reason: format!("it has more than {MAX_PAGES} pages") })
    }

    /// Checks whether a call is allowed, without making it (Kubernetes, "Checking API access").
    pub async fn try_right(&self, call: &ApiCall) -> Result<(), ClusterError> {
        let right = call.right();
        let text = |text: &str| Some(text.to_owned());
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    group: text(right.group),
                    resource: text(right.resource),
                    name: right.name.map(str::to_owned),
                    verb: text(right.verb),
                    namespace: text(right.namespace),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let reviews: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let reviewed = within(call.clone(), reviews.create(&PostParams::default(), &review)).await?;
        let status = reviewed.status.unwrap_or_default();
        if status.allowed {
            return Ok(());
        }
        let message = status.reason.filter(|reason| !reason.is_empty());
        let message = message.unwrap_or_else(|| "no rule allows it".to_owned());
        Err(ClusterError::Denied { call: call.clone(), status: 403, message })
    }

    fn leases(&self, lease: &ObjectRef) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &lease.namespace)
    }

    fn custom<K>(&self, group_version: &str, kind: &str, plural: &str, namespace: &str) -> Api<K>
    where
        K: kube::Resource<DynamicType = ApiResource, Scope = kube::core::DynamicResourceScope> + DeserializeOwned,
    {
        let (group, version) = group_version.split_once('/').unwrap_or(("", group_version));
        let kind = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, plural);
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }
}

fn unusable(error: &dyn Error) -> ClusterError {
    ClusterError::Access { reason: http::root_cause(error) }
}

async fn within<T>(call: ApiCall, request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, ClusterError> {
    match tokio::time::timeout(TIMEOUT, request).await {
        Ok(result) => result.map_err(|error| failure(call, error)),
        Err(_) => Err(ClusterError::TimedOut { call, after: TIMEOUT }),
    }
}

fn failure(call: ApiCall, error: kube::Error) -> ClusterError {
    match error {
        kube::Error::Api(status) => {
            let (code, message) = (status.code, status.message);
            match code {
                401 | 403 => ClusterError::Denied { call, status: code, message },
                404 => ClusterError::NotFound { call, message },
                409 => ClusterError::Conflict { call },
                _ => ClusterError::Refused { call, status: code, message },
            }
        }
        kube::Error::SerdeError(error) => ClusterError::InvalidResponse { call, reason: error.to_string() },
        kube::Error::Auth(error) => ClusterError::Access { reason: http::root_cause(&error) },
        error => ClusterError::Unreachable { call, reason: http::root_cause(&error) },
    }
}

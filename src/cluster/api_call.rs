//! A request to the Kubernetes API, as error messages and their advice name it.

use std::fmt;

use super::config::ObjectRef;

/// A request to the Kubernetes API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiCall {
    /// Reads a Lease.
    ReadLease(ObjectRef),
    /// Creates a Lease.
    CreateLease(ObjectRef),
    /// Takes, renews or releases a Lease.
    WriteLease(ObjectRef),
    /// Annotates a GitRepository.
    Annotate(ObjectRef),
    /// Reads a GitRepository.
    ReadSource(ObjectRef),
    /// Lists the Kustomizations of a namespace.
    List(String),
    /// Lists the HelmReleases of a namespace.
    ListReleases(String),
    /// Lists the Applications of a namespace.
    ListApplications(String),
    /// Annotates an Application.
    Refresh(ObjectRef),
}

impl fmt::Display for ApiCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApiCall::ReadLease(lease) => write!(f, "read the Lease {lease}"),
            ApiCall::CreateLease(lease) => write!(f, "create the Lease {lease}"),
            ApiCall::WriteLease(lease) => write!(f, "write the Lease {lease}"),
            ApiCall::Annotate(source) => write!(f, "annotate the GitRepository {source}"),
            ApiCall::ReadSource(source) => write!(f, "read the GitRepository {source}"),
            ApiCall::List(namespace) => write!(f, "list the Kustomizations in {namespace}"),
            ApiCall::ListReleases(namespace) => write!(f, "list the HelmReleases in {namespace}"),
            ApiCall::ListApplications(namespace) => write!(f, "list the Applications in {namespace}"),
            ApiCall::Refresh(application) => write!(f, "annotate the Application {application}"),
        }
    }
}

impl ApiCall {
    /// The rule of a Role that allows this call.
    pub fn rule(&self) -> String {
        let (group, resource, name, verb, namespace) = match self {
            ApiCall::ReadLease(ObjectRef { namespace, name }) => {
                ("coordination.k8s.io", "leases", Some(name), "get", namespace)
            }
            ApiCall::CreateLease(ObjectRef { namespace, .. }) => {
                ("coordination.k8s.io", "leases", None, "create", namespace)
            }
            ApiCall::WriteLease(ObjectRef { namespace, name }) => {
                ("coordination.k8s.io", "leases", Some(name), "update", namespace)
            }
            ApiCall::Annotate(ObjectRef { namespace, name }) => {
                ("source.toolkit.fluxcd.io", "gitrepositories", Some(name), "patch", namespace)
            }
            ApiCall::ReadSource(ObjectRef { namespace, name }) => {
                ("source.toolkit.fluxcd.io", "gitrepositories", Some(name), "get", namespace)
            }
            ApiCall::List(namespace) => ("kustomize.toolkit.fluxcd.io", "kustomizations", None, "list", namespace),
            ApiCall::ListReleases(namespace) => ("helm.toolkit.fluxcd.io", "helmreleases", None, "list", namespace),
            ApiCall::ListApplications(namespace) => ("argoproj.io", "applications", None, "list", namespace),
            // Which ones there are is not known in advance.
            ApiCall::Refresh(ObjectRef { namespace, .. }) => ("argoproj.io", "applications", None, "patch", namespace),
        };
        let named = name.map(|name| format!(", resourceNames: [{name}]")).unwrap_or_default();
        format!(
            "{{ apiGroups: [{group}], resources: [{resource}]{named}, verbs: [{verb}] }} in the namespace {namespace}"
        )
    }

    /// The configuration key that causes this call.
    pub fn key(&self) -> &'static str {
        match self {
            ApiCall::ReadLease(_) | ApiCall::CreateLease(_) | ApiCall::WriteLease(_) => "cluster.leaderElection",
            ApiCall::Annotate(_) | ApiCall::ReadSource(_) => "cluster.flux.gitRepository",
            ApiCall::List(_) | ApiCall::ListReleases(_) => "cluster.flux",
            ApiCall::ListApplications(_) | ApiCall::Refresh(_) => "cluster.argocd",
        }
    }

    /// The file with an example of that Role.
    pub fn example(&self) -> &'static str {
        match self {
            ApiCall::ListApplications(_) | ApiCall::Refresh(_) => "deploy/argocd-access/role.yaml",
            _ => "deploy/cluster-access/role.yaml",
        }
    }

    /// The product whose objects it is about, unless they are Kubernetes' own.
    pub fn product(&self) -> &'static str {
        match self {
            ApiCall::ListApplications(_) | ApiCall::Refresh(_) => "Argo CD",
            _ => "Flux",
        }
    }
}

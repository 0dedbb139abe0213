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
    /// Lists the pods of a namespace.
    ListPods(String),
}

/// The right that a call needs, in the terms of Kubernetes' RBAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Right<'c> {
    /// The group of the API.
    pub group: &'static str,
    /// The kind of objects, in the plural.
    pub resource: &'static str,
    /// The name of the object, if it is about a single one.
    pub name: Option<&'c str>,
    /// What is done to it.
    pub verb: &'static str,
    /// Its namespace.
    pub namespace: &'c str,
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
            ApiCall::ListPods(namespace) => write!(f, "list the pods in {namespace}"),
        }
    }
}

impl ApiCall {
    /// The right that this call needs.
    pub fn right(&self) -> Right<'_> {
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
            ApiCall::ListPods(namespace) => ("", "pods", None, "list", namespace),
        };
        Right { group, resource, name: name.map(String::as_str), verb, namespace }
    }

    /// The rule of a Role that allows this call.
    pub fn rule(&self) -> String {
        let Right { group, resource, name, verb, namespace } = self.right();
        let group = if group.is_empty() { "\"\"" } else { group };
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
            ApiCall::ListPods(_) => "cluster.pods",
        }
    }

    /// The file with an example of that Role.
    pub fn example(&self) -> &'static str {
        match self {
            ApiCall::ListApplications(_) | ApiCall::Refresh(_) => "deploy/argocd-access/role.yaml",
            ApiCall::ListPods(_) => "deploy/pods-access/role.yaml",
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

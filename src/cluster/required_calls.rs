//! The calls that a configuration causes, so that their rights can be tried before they are needed.

use super::api_call::ApiCall;
use super::config::{Config, ObjectName, ObjectRef};

/// Returns the calls that a configuration causes; `namespace` is the one of the service account.
pub fn required_calls(config: &Config, namespace: &str) -> Vec<ApiCall> {
    let mut calls = Vec::new();
    if let Some(election) = &config.election {
        let namespace = election.namespace.as_ref().map_or(namespace, |name| name.as_str()).to_owned();
        let lease = ObjectRef { namespace, name: election.lease.to_string() };
        calls.extend([
            ApiCall::ReadLease(lease.clone()),
            ApiCall::CreateLease(lease.clone()),
            ApiCall::WriteLease(lease),
        ]);
    }
    if let Some(flux) = &config.flux {
        calls.extend(flux.receiver.is_none().then(|| ApiCall::Annotate(flux.source.clone())));
        calls.push(ApiCall::ReadSource(flux.source.clone()));
        calls.extend(flux.namespaces.iter().map(|namespace| ApiCall::List(namespace.to_string())));
        calls.extend(flux.namespaces.iter().map(|namespace| ApiCall::ListReleases(namespace.to_string())));
    }
    if let Some(argocd) = &config.argocd {
        let application =
            |name: &ObjectName| ObjectRef { namespace: argocd.namespace.to_string(), name: name.to_string() };
        calls.push(ApiCall::ListApplications(argocd.namespace.to_string()));
        calls.extend(argocd.names.iter().map(|name| ApiCall::Refresh(application(name))));
    }
    let namespaces = config.pods.iter().flat_map(|pods| &pods.namespaces);
    calls.extend(namespaces.map(|namespace| ApiCall::ListPods(namespace.to_string())));
    calls
}

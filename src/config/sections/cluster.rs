//! The section `cluster`.

use std::time::Duration;

use crate::cluster::config::{
    Argocd, Config, Election, ElectionTiming, Flux, ObjectName, ObjectRef, OnFailure, Pods, Receiver,
};

use crate::config::reader::{Environment, Section};

/// The time within which a commit must be applied, unless configured.
const TIMEOUT: Duration = Duration::from_secs(600);
/// The shortest time between two looks at pods, unless configured.
const PODS_INTERVAL: Duration = Duration::from_secs(60);
/// The name of the Lease, unless configured.
const LEASE: &str = "tagalong";
/// The namespace of Flux, unless configured.
const NAMESPACE: &str = "flux-system";
/// The namespace of Argo CD, unless configured.
const ARGOCD_NAMESPACE: &str = "argocd";
/// The file in which Linux shows the name of the machine.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// Reads the section.
pub fn read(mut section: Section<'_>, environment: Environment<'_>) -> Config {
    let (leader_election, of_flux) = (section.section("leaderElection"), section.section("flux"));
    let (of_argocd, of_pods) = (section.section("argocd"), section.section("pods"));
    if ["leaderElection", "flux", "argocd", "pods"].iter().all(|key| section.lacks(key)) {
        section.error(
            "`leaderElection`, `flux`, `argocd` or `pods` is required, for example `leaderElection: { lease: tagalong }`",
        );
    }
    let on_failure = section.choice("onFailure", &[("report", OnFailure::Report), ("rollback", OnFailure::RollBack)]);
    if on_failure == Some(OnFailure::RollBack) && section.lacks("flux") && section.lacks("argocd") {
        section.error("`onFailure: rollback` requires `flux` or `argocd`, which report failures");
    }
    section.finish();
    Config {
        on_failure: on_failure.unwrap_or_default(),
        election: leader_election.and_then(|section| election(section, environment)),
        flux: of_flux.and_then(flux),
        argocd: of_argocd.and_then(argocd),
        pods: of_pods.and_then(pods),
    }
}

fn election(mut section: Section<'_>, environment: Environment<'_>) -> Option<Election> {
    let lease = section.parsed::<ObjectName>("lease").or_else(|| LEASE.parse().ok());
    let namespace = section.parsed("namespace");
    let usual = ElectionTiming::default();
    let timing = ElectionTiming {
        lease_duration: section.duration("leaseDuration").unwrap_or(usual.lease_duration),
        renew_deadline: section.duration("renewDeadline").unwrap_or(usual.renew_deadline),
        retry_period: section.duration("retryPeriod").unwrap_or(usual.retry_period),
    };
    let timing = timing.checked().map_err(|error| section.error(error)).ok();
    section.finish();
    Some(Election { lease: lease?, namespace, identity: identity(environment), timing: timing? })
}

/// Returns the identity of this replica: POD_NAME, else the name of the machine, which in a pod is that of the pod.
fn identity(environment: Environment<'_>) -> String {
    let machine = || std::fs::read_to_string(HOST_NAME).ok().map(|name| name.trim().to_owned());
    let name = environment("POD_NAME").filter(|name| !name.is_empty()).or_else(machine);
    name.unwrap_or_else(|| LEASE.to_owned())
}

fn flux(mut section: Section<'_>) -> Option<Flux> {
    let source = section.section("gitRepository").and_then(source);
    if section.lacks("gitRepository") {
        section.error("`gitRepository` is required: the GitRepository that follows the branch, for example `{ name: flux-system }`");
    }
    let namespaces =
        section.each_with("namespaces", |text| text.parse::<ObjectName>().map_err(|error| error.to_string()));
    let receiver = section.section("receiver").map(receiver);
    let timeout = section.duration("timeout").unwrap_or(TIMEOUT);
    section.finish();
    let source = source?;
    let namespaces = if namespaces.is_empty() { source.namespace.parse().into_iter().collect() } else { namespaces };
    // An incomplete receiver has been reported already.
    Some(Flux { source, namespaces, receiver: receiver.flatten(), timeout })
}

fn argocd(mut section: Section<'_>) -> Option<Argocd> {
    let namespace = section.parsed("namespace").or_else(|| ARGOCD_NAMESPACE.parse().ok());
    let names = section.each_with("applications", |text| text.parse::<ObjectName>().map_err(|error| error.to_string()));
    let selector = section.parsed_with("selector", |text| match text.trim() {
        "" => Err("the selector is empty; write labels such as team=shop".to_owned()),
        text => Ok(text.to_owned()),
    });
    if !section.lacks("applications") && !section.lacks("selector") {
        section.error("`applications` and `selector` exclude each other");
    }
    let timeout = section.duration("timeout").unwrap_or(TIMEOUT);
    section.finish();
    Some(Argocd { namespace: namespace?, names, selector, timeout })
}

fn pods(mut section: Section<'_>) -> Option<Pods> {
    let namespaces =
        section.each_with("namespaces", |text| text.parse::<ObjectName>().map_err(|error| error.to_string()));
    if section.lacks("namespaces") {
        section.error("`namespaces` is required: those whose pods are read, for example `[apps]`");
    }
    let interval = section.duration("interval").unwrap_or(PODS_INTERVAL);
    section.finish();
    (!namespaces.is_empty()).then_some(Pods { namespaces, interval })
}

fn source(mut section: Section<'_>) -> Option<ObjectRef> {
    let name = section.parsed::<ObjectName>("name");
    let namespace =
        section.parsed::<ObjectName>("namespace").map_or_else(|| NAMESPACE.to_owned(), |name| name.to_string());
    if section.lacks("name") {
        section.error("`name` is required");
    }
    section.finish();
    Some(ObjectRef { namespace, name: name?.to_string() })
}

fn receiver(mut section: Section<'_>) -> Option<Receiver> {
    let url_file = section.path("urlFile");
    if section.lacks("urlFile") {
        section.error("`urlFile` is required: a file with the full URL of the Receiver");
    }
    let secret_file = section.path("secretFile");
    section.finish();
    Some(Receiver { url_file: url_file?, secret_file })
}

//! The Helm chart deploys what the kustomizations deploy.

use std::fs;
use std::path::Path;
use std::process::Command;

use ::tagalong::config::load::Config;
use ::tagalong::config::overrides::Overrides;
use serde_json::{Value, json};

use crate::support::manifests::{deploy, the};
use crate::support::prometheus::promtool;
use crate::support::{self, yaml};

/// Renders the chart with helm, which `TAGALONG_TEST_HELM` may name; `None` if it is not installed.
fn rendered(settings: &[&str]) -> Option<Vec<Value>> {
    let helm = std::env::var("TAGALONG_TEST_HELM").unwrap_or_else(|_| "helm".to_owned());
    let mut command = Command::new(helm);
    command.args(["template", "tagalong"]).arg(deploy("chart"));
    command.args(["--namespace", "flux-system", "--kube-version", "1.33.0"]);
    for setting in settings {
        command.args(["--set", setting]);
    }
    let Ok(run) = command.output() else {
        support::skipped("helm is not here");
        return None;
    };
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    Some(yaml::documents(&String::from_utf8_lossy(&run.stdout)))
}

fn of_kind<'a>(all: &'a [Value], kind: &str) -> &'a Value {
    all.iter().find(|document| document["kind"] == kind).unwrap_or_else(|| panic!("there is no {kind}"))
}

/// A document without what differs on purpose: the labels of a release, and where the image and configuration come from.
fn comparable(document: &Value) -> Value {
    let mut document = document.clone();
    if let Some(metadata) = document["metadata"].as_object_mut() {
        metadata.retain(|key, _| key == "name");
    }
    if let Some(rules) = document["subjects"].as_array_mut() {
        rules.iter_mut().for_each(|subject| drop(subject.as_object_mut().map(|subject| subject.remove("namespace"))));
    }
    for labels in ["/spec/selector", "/spec/podSelector", "/spec/template/metadata"] {
        document.pointer_mut(labels).map(Value::take);
    }
    for place in ["/spec/template/spec/containers/0/image", "/spec/template/spec/containers/0/imagePullPolicy"] {
        document.pointer_mut(place).map(Value::take);
    }
    let container = document.pointer_mut("/spec/template/spec/containers/0").and_then(Value::as_object_mut);
    container.map(|container| container.remove("imagePullPolicy"));
    if let Some(name) = document.pointer_mut("/spec/template/spec/volumes/0/configMap/name") {
        *name = json!("tagalong-config");
    }
    document
}

#[test]
fn it_renders_the_objects_of_the_kustomizations() {
    let Some(plain) = rendered(&[]) else { return };
    assert_eq!(plain.len(), 6, "{plain:?}");
    for kind in ["Deployment", "Service", "ServiceAccount", "NetworkPolicy", "PodDisruptionBudget"] {
        assert_eq!(comparable(of_kind(&plain, kind)), comparable(&the(kind, "tagalong")), "{kind}");
    }
    let enabled = ["clusterAccess.enabled=true", "serviceMonitor.enabled=true", "prometheusRule.enabled=true"];
    let all = rendered(&enabled).expect("helm is here");
    assert_eq!(all.len(), 10, "{all:?}");
    for kind in ["Role", "RoleBinding", "ServiceMonitor", "PrometheusRule"] {
        assert_eq!(comparable(of_kind(&all, kind)), comparable(&the(kind, "tagalong")), "{kind}");
    }
    let pod = &of_kind(&all, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(
        (&of_kind(&all, "Deployment")["spec"]["replicas"], &pod["automountServiceAccountToken"]),
        (&json!(2), &json!(true))
    );
    let env = pod["containers"][0]["env"].as_array().expect("variables");
    assert!(env.iter().any(|variable| variable["name"] == "POD_NAME"), "{env:?}");
}

#[test]
fn identities_of_clouds_have_their_annotations_labels_and_addresses() {
    let settings = [
        r"serviceAccount.annotations.azure\.workload\.identity/client-id=an-id",
        r"podLabels.azure\.workload\.identity/use=yes",
        "networkPolicy.egress[0].to[0].ipBlock.cidr=169.254.170.23/32",
        "secrets.registry=",
    ];
    let Some(all) = rendered(&settings) else { return };
    let annotations = &of_kind(&all, "ServiceAccount")["metadata"]["annotations"];
    assert_eq!(annotations["azure.workload.identity/client-id"], "an-id");
    let pod = &of_kind(&all, "Deployment")["spec"]["template"];
    assert_eq!(pod["metadata"]["labels"]["azure.workload.identity/use"], "yes");
    assert!(pod["metadata"]["labels"]["app.kubernetes.io/name"].is_string(), "{pod}");
    let volumes = pod["spec"]["volumes"].as_array().expect("volumes");
    assert!(!volumes.iter().any(|volume| volume["name"] == "registry"), "{volumes:?}");
    let egress = of_kind(&all, "NetworkPolicy")["spec"]["egress"].as_array().expect("rules").last().expect("a rule");
    assert_eq!(egress["to"][0]["ipBlock"]["cidr"], "169.254.170.23/32");
}

#[test]
fn access_to_other_namespaces_is_that_of_the_kustomizations() {
    let settings = [
        "clusterAccess.enabled=true",
        "clusterAccess.podNamespaces={shop,blog}",
        "clusterAccess.argocdNamespace=argocd",
    ];
    let Some(all) = rendered(&settings) else { return };
    let unnamed = |document: &Value| {
        let mut document = document.clone();
        document["metadata"].take();
        document.pointer_mut("/roleRef/name").map(Value::take);
        document
    };
    for (namespace, own, name) in [
        ("shop", "tagalong-pods", "tagalong-pods"),
        ("blog", "tagalong-pods", "tagalong-pods"),
        ("argocd", "tagalong-argocd", "tagalong"),
    ] {
        let folder = if namespace == "argocd" { "argocd-access" } else { "pods-access" };
        let of_folder = yaml::documents(&fs::read_to_string(deploy(folder).join("role.yaml")).expect("a role"));
        for kind in ["Role", "RoleBinding"] {
            let here = |document: &&Value| document["kind"] == kind && document["metadata"]["namespace"] == namespace;
            let found: Vec<&Value> = all.iter().filter(here).collect();
            let [found] = found[..] else { panic!("{namespace} {kind}: {found:?}") };
            let there = of_folder.iter().find(|other| other["kind"] == kind).expect("an object");
            assert_eq!(unnamed(found), unnamed(there), "{namespace}");
            assert_eq!((&found["metadata"]["name"], &there["metadata"]["name"]), (&json!(own), &json!(name)));
            assert!(kind == "Role" || found["roleRef"]["name"] == own, "{found}");
        }
    }
    // Without access to the cluster there is no token that these could be for.
    let none = rendered(&settings[1..]).expect("helm is here");
    assert_eq!(none.len(), 6, "{none:?}");
}

#[test]
fn its_alerts_are_those_of_the_monitoring_folder() {
    let [own, other] = ["chart/files/prometheus-rule.yaml", "monitoring/prometheus-rule.yaml"]
        .map(|file| fs::read_to_string(deploy(file)).expect("alerts"));
    if std::env::var_os("TAGALONG_TEST_UPDATE").is_some() {
        fs::write(deploy("chart/files/prometheus-rule.yaml"), &other).expect("written");
    } else {
        assert!(own == other, "the chart has other alerts; TAGALONG_TEST_UPDATE=1 copies them");
    }
    let Some(all) = rendered(&["prometheusRule.enabled=true"]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/deploy/alerts.yaml");
    fs::copy(tests, folder.path().join("alerts.yaml")).expect("copied");
    let rules = of_kind(&all, "PrometheusRule")["spec"].to_string();
    fs::write(folder.path().join("rules.json"), rules).expect("written");
    promtool(folder.path(), &["test", "rules", "alerts.yaml"], "");
}

#[test]
fn its_configuration_is_valid_and_volumes_follow_the_names_of_secrets() {
    let Some(all) = rendered(&["secrets.age=", "secrets.webhook=", "secrets.registryTls=client", "signatures="]) else {
        return;
    };
    let config = of_kind(&all, "ConfigMap")["data"]["tagalong.yaml"].as_str().expect("a configuration").to_owned();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tagalong.yaml");
    fs::write(&file, &config).expect("written");
    let overrides = Overrides { file: Some(file), ..Overrides::default() };
    let environment = |name: &str| (name == "XDG_CACHE_HOME").then(|| "/var/cache".to_owned());
    Config::load(&overrides, &environment).unwrap_or_else(|error| panic!("{error}"));
    let pod = &of_kind(&all, "Deployment")["spec"]["template"]["spec"];
    for list in [&pod["volumes"], &pod["containers"][0]["volumeMounts"]] {
        let names: Vec<&str> = list.as_array().into_iter().flatten().filter_map(|one| one["name"].as_str()).collect();
        assert_eq!(names, ["config", "git", "registry", "registry-tls", "cache"]);
    }
}

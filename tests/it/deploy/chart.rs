//! The Helm chart deploys what the kustomizations deploy.

use std::fs;
use std::process::Command;

use ::tagalong::config::load::Config;
use ::tagalong::config::overrides::Overrides;
use serde_json::{Value, json};

use crate::support::manifests::{deploy, the};
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
    let all = rendered(&["clusterAccess.enabled=true", "serviceMonitor.enabled=true"]).expect("helm is here");
    assert_eq!(all.len(), 9, "{all:?}");
    for kind in ["Role", "RoleBinding", "ServiceMonitor"] {
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
fn its_configuration_is_valid_and_volumes_follow_the_names_of_secrets() {
    let Some(all) = rendered(&["secrets.age=", "secrets.webhook=", "secrets.registryTls=client"]) else { return };
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

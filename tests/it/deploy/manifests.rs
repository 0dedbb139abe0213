//! What `deploy/` promises: manifests that the Kubernetes API accepts, a restricted pod, files where the configuration
//! expects them, secrets that decrypt.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use ::tagalong::config::load::Config;
use ::tagalong::config::overrides::Overrides;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::support;
use crate::support::manifests::{deploy, everything, the};
use crate::support::{sops, tagalong, yaml};

/// Kinds from custom resource definitions, which no crate has types for.
const CUSTOM: [&str; 2] = ["ServiceMonitor", "PrometheusRule"];

/// The parts of a document that the API would drop or reject: `k8s-openapi` parses it as the API's own types, and what
/// it does not write back was not a field.
fn refused(document: &Value) -> Vec<String> {
    let kind = document["kind"].as_str().unwrap_or_default();
    match (document["apiVersion"].as_str().unwrap_or_default(), kind) {
        ("apps/v1", "Deployment") => lost_by::<Deployment>(document),
        ("v1", "ConfigMap") => lost_by::<ConfigMap>(document),
        ("v1", "Service") => lost_by::<Service>(document),
        ("v1", "ServiceAccount") => lost_by::<ServiceAccount>(document),
        ("networking.k8s.io/v1", "NetworkPolicy") => lost_by::<NetworkPolicy>(document),
        ("policy/v1", "PodDisruptionBudget") => lost_by::<PodDisruptionBudget>(document),
        ("rbac.authorization.k8s.io/v1", "Role") => lost_by::<Role>(document),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => lost_by::<RoleBinding>(document),
        ("v1", "Secret") => {
            // Flux decrypts the file and removes the SOPS metadata.
            let mut decrypted = document.clone();
            decrypted.as_object_mut().expect("a mapping").remove("sops");
            lost_by::<Secret>(&decrypted)
        }
        _ if CUSTOM.contains(&kind) => Vec::new(),
        (version, _) => vec![format!("{version} {kind} is not known")],
    }
}

fn lost_by<T: DeserializeOwned + Serialize>(document: &Value) -> Vec<String> {
    match serde_json::from_value::<T>(document.clone()) {
        Err(error) => vec![error.to_string()],
        Ok(typed) => {
            let mut lost = Vec::new();
            compare("", document, &serde_json::to_value(typed).expect("JSON"), &mut lost);
            lost
        }
    }
}

/// Adds the paths that are in `given` but not in `kept`.
fn compare(path: &str, given: &Value, kept: &Value, lost: &mut Vec<String>) {
    match (given, kept) {
        (Value::Object(given), Value::Object(kept)) => {
            for (key, value) in given {
                compare(&format!("{path}.{key}"), value, kept.get(key).unwrap_or(&Value::Null), lost);
            }
        }
        (Value::Array(given), Value::Array(kept)) if given.len() == kept.len() => {
            for (index, (given, kept)) in given.iter().zip(kept).enumerate() {
                compare(&format!("{path}[{index}]"), given, kept, lost);
            }
        }
        _ if given == kept => {}
        // An empty selector means everything and is not written out.
        (Value::Object(given), Value::Null) if given.is_empty() => {}
        _ => lost.push(path.trim_start_matches('.').to_owned()),
    }
}

/// Violations of the Pod Security Standard "restricted", and of a read-only root filesystem, by a pod.
fn offences(pod: &Value) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut want = |holds: bool, what| {
        if !holds {
            found.push(what)
        }
    };
    for host in ["hostNetwork", "hostPID", "hostIPC"] {
        want(pod[host].is_null(), "it shares the host's namespaces");
    }
    let whole = &pod["securityContext"];
    want(whole["seccompProfile"]["type"] == "RuntimeDefault", "system calls are not limited");
    want(whole["runAsNonRoot"] == true, "it may run as root");
    want(whole["runAsUser"].as_u64().is_some_and(|user| user > 0), "its user is no number, or root");
    for container in pod["containers"].as_array().expect("containers") {
        let own = &container["securityContext"];
        want(own["allowPrivilegeEscalation"] == false, "privileges can be gained");
        want(own["privileged"] != true, "it is privileged");
        want(own["readOnlyRootFilesystem"] == true, "its root can be written");
        want(own["runAsNonRoot"] != false, "it may run as root");
        want(own["capabilities"]["drop"] == json!(["ALL"]), "capabilities are kept");
        want(own["capabilities"]["add"].is_null(), "capabilities are added");
        want(own["seccompProfile"].is_null(), "system calls are limited otherwise");
        want(
            container["ports"].as_array().is_none_or(|all| all.iter().all(|port| port["hostPort"].is_null())),
            "it takes ports of the host",
        );
        want(container["resources"]["limits"]["memory"].is_string(), "its memory has no limit");
        want(container["resources"]["requests"]["cpu"].is_string(), "it asks for no processor time");
    }
    for volume in pod["volumes"].as_array().expect("volumes") {
        let kinds = ["configMap", "secret", "emptyDir", "projected"];
        want(kinds.iter().any(|kind| !volume[kind].is_null()), "a volume is of a kind that is not allowed");
        want(
            volume["emptyDir"].is_null() || volume["emptyDir"]["sizeLimit"].is_string(),
            "a folder may grow without end",
        );
    }
    found
}

#[test]
fn the_api_accepts_every_manifest() {
    let all = everything();
    for kind in [
        "Deployment",
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "Service",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Secret",
    ] {
        assert!(all.iter().any(|(_, document)| document["kind"] == kind), "there is no {kind}");
    }
    for (file, document) in &all {
        assert_eq!(refused(document), [""; 0], "{}", file.display());
    }
    let mut wrong = the("Deployment", "tagalong");
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = json!({ "httpGet": {} });
    wrong["spec"]["template"]["spec"]["containers"][0]["volumeMounts"][0]["readonly"] = json!(true);
    assert_eq!(refused(&wrong).len(), 2, "{:?}", refused(&wrong));
    wrong["spec"]["replicas"] = json!("one");
    assert_eq!(refused(&wrong).len(), 1, "{:?}", refused(&wrong));
}

#[test]
fn the_pod_is_restricted() {
    let pod = the("Deployment", "tagalong")["spec"]["template"]["spec"].clone();
    assert_eq!(offences(&pod), [""; 0]);
    let breaks: [(&str, Value); 9] = [
        ("/securityContext/runAsNonRoot", json!(false)),
        ("/securityContext/runAsUser", json!(0)),
        ("/securityContext/seccompProfile/type", json!("Unconfined")),
        ("/containers/0/securityContext/privileged", json!(true)),
        ("/containers/0/securityContext/allowPrivilegeEscalation", json!(true)),
        ("/containers/0/securityContext/readOnlyRootFilesystem", json!(false)),
        ("/containers/0/securityContext/capabilities", json!({ "drop": ["ALL"], "add": ["NET_ADMIN"] })),
        ("/containers/0/resources/limits", json!({})),
        ("/volumes/0", json!({ "name": "config", "hostPath": { "path": "/etc" } })),
    ];
    for (place, value) in breaks {
        let mut broken = pod.clone();
        *broken.pointer_mut(place).unwrap_or_else(|| panic!("{place} is there")) = value;
        assert_eq!(offences(&broken).len(), 1, "{place}");
    }
}

#[test]
fn permissions_are_no_more_than_what_is_used() {
    let role = the("Role", "tagalong");
    let rights: Vec<(String, String, Vec<&str>)> = role["rules"]
        .as_array()
        .expect("rules")
        .iter()
        .map(|rule| {
            (
                yaml::texts(&rule["resources"]).join(","),
                yaml::texts(&rule["resourceNames"]).join(","),
                yaml::texts(&rule["verbs"]),
            )
        })
        .collect();
    let expected = [
        ("leases", "", vec!["create"]),
        ("leases", "tagalong", vec!["get", "update"]),
        ("gitrepositories", "flux-system", vec!["get", "patch"]),
        ("kustomizations", "", vec!["list"]),
        ("helmreleases", "", vec!["list"]),
    ];
    assert_eq!(rights, expected.map(|(resource, name, verbs)| (resource.to_owned(), name.to_owned(), verbs)));
    let binding = the("RoleBinding", "tagalong");
    assert_eq!((&binding["roleRef"]["kind"], &binding["roleRef"]["name"]), (&json!("Role"), &json!("tagalong")));
    assert_eq!(binding["subjects"].as_array().map(Vec::len), Some(1));
    assert_eq!(binding["subjects"][0]["name"], the("ServiceAccount", "tagalong")["metadata"]["name"]);
    // Without the component there are none of them.
    let pod = the("Deployment", "tagalong")["spec"]["template"]["spec"].clone();
    assert_eq!(
        (&pod["automountServiceAccountToken"], &the("ServiceAccount", "tagalong")["automountServiceAccountToken"]),
        (&json!(false), &json!(false))
    );
}

#[test]
fn cluster_access_comes_only_from_its_component() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("access");
    fs::create_dir_all(&folder).expect("a folder");
    // kustomize does not accept absolute paths.
    let up = folder.canonicalize().expect("a folder").components().skip(1).map(|_| "..").collect::<Vec<_>>().join("/");
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "flux-system",
        "resources": [format!("{up}{}", deploy("flux-system").display())],
        "components": [format!("{up}{}", deploy("cluster-access").display())],
    });
    fs::write(folder.join("kustomization.yaml"), kustomization.to_string()).expect("written");
    let Some(all) = kustomize(&folder) else { return };
    let find = |kind: &str| all.iter().find(|document| document["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"));
    let pod = &find("Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], true);
    assert_eq!(find("Deployment")["spec"]["replicas"], 2);
    let env = pod["containers"][0]["env"].as_array().expect("variables");
    let name = env.iter().find(|variable| variable["name"] == "POD_NAME").expect("the name of the pod");
    assert_eq!(name["valueFrom"]["fieldRef"]["fieldPath"], "metadata.name");
    assert_eq!(offences(pod), [""; 0]);
    assert_eq!(
        (&find("Role")["metadata"]["namespace"], &find("RoleBinding")["metadata"]["namespace"]),
        (&json!("flux-system"), &json!("flux-system"))
    );
}

#[test]
fn access_to_argo_cd_is_for_the_same_account_and_allows_reading_and_refreshing() {
    let text = fs::read_to_string(deploy("argocd-access/role.yaml")).expect("a file");
    let documents = yaml::documents(&text);
    let [role, binding] = &documents[..] else { panic!("{documents:?}") };
    assert_eq!((refused(role), refused(binding)), (Vec::new(), Vec::new()));
    let rule = json!({ "apiGroups": ["argoproj.io"], "resources": ["applications"], "verbs": ["list", "patch"] });
    assert_eq!(role["rules"], json!([rule]));
    let own = the("RoleBinding", "tagalong");
    assert_eq!((&binding["subjects"], &binding["roleRef"]["kind"]), (&own["subjects"], &json!("Role")));
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    // Where it is applied, kustomize must not move the account as well.
    let Some(rendered) = kustomize(&deploy("argocd-access")) else { return };
    let binding = rendered.iter().find(|document| document["kind"] == "RoleBinding").expect("a RoleBinding");
    assert_eq!(binding["metadata"]["namespace"], "argocd");
    assert_eq!(binding["subjects"][0]["namespace"], "flux-system");
}

#[test]
fn access_to_pods_is_for_the_same_account_and_allows_listing_alone() {
    let text = fs::read_to_string(deploy("pods-access/role.yaml")).expect("a file");
    let documents = yaml::documents(&text);
    let [role, binding] = &documents[..] else { panic!("{documents:?}") };
    assert_eq!((refused(role), refused(binding)), (Vec::new(), Vec::new()));
    let rule = json!({ "apiGroups": [""], "resources": ["pods"], "verbs": ["list"] });
    assert_eq!(role["rules"], json!([rule]));
    let own = the("RoleBinding", "tagalong");
    assert_eq!((&binding["subjects"], &binding["roleRef"]["kind"]), (&own["subjects"], &json!("Role")));
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    let Some(rendered) = kustomize(&deploy("pods-access")) else { return };
    let binding = rendered.iter().find(|document| document["kind"] == "RoleBinding").expect("a RoleBinding");
    assert_eq!(binding["metadata"]["namespace"], "apps");
    assert_eq!(binding["subjects"][0]["namespace"], "flux-system");
}

#[test]
fn references_between_manifests_resolve() {
    let deployment = the("Deployment", "tagalong");
    let (labels, pod) =
        (&deployment["spec"]["template"]["metadata"]["labels"], &deployment["spec"]["template"]["spec"]);
    let selectors = [
        deployment["spec"]["selector"]["matchLabels"].clone(),
        the("Service", "tagalong")["spec"]["selector"].clone(),
        the("NetworkPolicy", "tagalong")["spec"]["podSelector"]["matchLabels"].clone(),
        the("PodDisruptionBudget", "tagalong")["spec"]["selector"]["matchLabels"].clone(),
    ];
    for selector in selectors {
        let wanted = selector.as_object().expect("labels");
        assert!(!wanted.is_empty() && wanted.iter().all(|(key, value)| labels[key] == *value), "{selector}");
    }
    let container = &pod["containers"][0];
    let port = &container["ports"][0]["name"];
    assert_eq!(the("Service", "tagalong")["spec"]["ports"][0]["targetPort"], *port);
    assert_eq!(the("NetworkPolicy", "tagalong")["spec"]["ingress"][0]["ports"][0]["port"], *port);
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], *port, "{probe}");
    }
    assert_eq!(pod["serviceAccountName"], the("ServiceAccount", "tagalong")["metadata"]["name"]);
    let (mounts, volumes) =
        (container["volumeMounts"].as_array().expect("mounts"), pod["volumes"].as_array().expect("volumes"));
    assert_eq!(mounts.len(), volumes.len());
    assert!(mounts.iter().all(|mount| volumes.iter().any(|volume| volume["name"] == mount["name"])), "{mounts:?}");
}

/// The names of the mounted ConfigMaps' and Secrets' keys, by mount path.
fn mounted() -> BTreeMap<String, String> {
    let pod = the("Deployment", "tagalong")["spec"]["template"]["spec"].clone();
    let volumes = pod["volumes"].as_array().expect("volumes").clone();
    let mounts = pod["containers"][0]["volumeMounts"].as_array().expect("mounts").clone();
    let source = |name: &Value| {
        let volume = volumes.iter().find(|volume| volume["name"] == *name).expect("a volume");
        let name = volume["secret"]["secretName"].as_str().or(volume["configMap"]["name"].as_str());
        name.unwrap_or_default().to_owned()
    };
    mounts
        .iter()
        .map(|mount| (mount["mountPath"].as_str().expect("a path").to_owned(), source(&mount["name"])))
        .collect()
}

/// All strings in a value that are absolute paths.
fn paths_in(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if text.starts_with('/') => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| paths_in(item, found)),
        Value::Object(map) => map.values().for_each(|item| paths_in(item, found)),
        _ => {}
    }
}

#[test]
fn the_configuration_loads_and_finds_its_files() {
    let mounted = mounted();
    for folder in ["flux-system", "example"] {
        let file = deploy(folder).join("tagalong.yaml");
        let overrides = Overrides { file: Some(file.clone()), ..Overrides::default() };
        // The container's environment has no home.
        let environment = |name: &str| (name == "XDG_CACHE_HOME").then(|| "/var/cache".to_owned());
        let config = Config::load(&overrides, &environment).unwrap_or_else(|error| panic!("{error}"));
        let cache = config.repo().expect("a repository").cache_dir.display().to_string();
        assert_eq!(mounted.get(&cache).map(String::as_str), Some(""), "the cache has no folder of its own");

        let mut paths = Vec::new();
        paths_in(&yaml::file(&file), &mut paths);
        assert!(paths.len() >= 4, "{paths:?}");
        for path in paths {
            let (folder, source) = mounted
                .iter()
                .find(|(folder, _)| Path::new(&path).starts_with(folder))
                .unwrap_or_else(|| panic!("{path} is not mounted"));
            // Flux's own Secret, which is not part of this folder.
            if source == "sops-age" {
                assert_eq!(path, *folder);
                continue;
            }
            let key = path.strip_prefix(folder).expect("below").trim_start_matches('/');
            assert!(the("Secret", source)["stringData"][key].is_string(), "{source} has no {key}");
        }
    }
}

#[test]
fn the_example_secrets_decrypt_with_the_example_key() {
    let home = tempfile::tempdir().expect("a folder");
    let example = deploy("example").display().to_string();
    let key = deploy("example/throwaway.agekey").display().to_string();
    let verify = |key: &str| {
        tagalong::run(home.path(), &["secrets", "verify", "--dir", &example, "--age-key-file", key, "--output", "json"])
    };
    let found = verify(&key).ok().json();
    let secrets = fs::read_dir(deploy("example/secrets")).expect("a folder").count();
    assert_eq!(
        (&found["ok"], &found["failed"], &found["plaintext"]),
        (&json!(secrets), &json!(0), &json!(0)),
        "{found}"
    );
    assert!(secrets >= 2);

    let (_, other) = sops::new_key();
    let file = home.path().join("other.agekey");
    fs::write(&file, other).expect("written");
    assert_eq!(verify(&file.display().to_string()).code, 3);
}

/// Runs kubectl, or reports that it is not installed.
fn kustomize(folder: &Path) -> Option<Vec<Value>> {
    let output = match Command::new("kubectl").arg("kustomize").arg(folder).output() {
        Ok(output) => output,
        Err(_) => {
            support::skipped("kubectl is not here");
            return None;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(yaml::documents(&String::from_utf8_lossy(&output.stdout)))
}

#[test]
fn kubectl_renders_what_the_api_accepts() {
    for folder in ["flux-system", "example"] {
        let Some(all) = kustomize(&deploy(folder)) else { return };
        for document in &all {
            assert_eq!(refused(document), [""; 0], "{document}");
            assert_eq!(document["metadata"]["namespace"], "flux-system", "{document}");
        }
        let deployment = all.iter().find(|document| document["kind"] == "Deployment").expect("a Deployment");
        let pod = &deployment["spec"]["template"]["spec"];
        assert_eq!(offences(pod), [""; 0]);
        let config = pod["volumes"]
            .as_array()
            .and_then(|all| all.iter().find(|volume| volume["name"] == "config"))
            .expect("a volume");
        let maps: Vec<&Value> = all
            .iter()
            .filter(|document| document["kind"] == "ConfigMap" && !document["data"]["tagalong.yaml"].is_null())
            .collect();
        assert_eq!(maps.len(), 1, "{folder}");
        assert_eq!(
            config["configMap"]["name"], maps[0]["metadata"]["name"],
            "the configuration is mounted by its hashed name"
        );
        let text = fs::read_to_string(deploy(folder).join("tagalong.yaml")).expect("text");
        assert_eq!(maps[0]["data"]["tagalong.yaml"], text.as_str(), "{folder}");
        if folder == "example" {
            assert_eq!(pod["containers"][0]["image"], "registry.example.com/org/tagalong:0.1.0");
        }
    }
}

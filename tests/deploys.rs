//! What `deploy/` promises: manifests that the Kubernetes API takes, a pod that can do little, files where the
//! configuration looks for them, secrets that open.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ::tagalong::config::load::{Config, Overrides};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use support::agent::Agent;
use support::git::{Origin, Sshd};
use support::process::wait_until;
use support::registry::{Kind, PASSWORD, Registry, USER};
use support::{sops, tagalong, yaml};

/// Kinds that custom resource definitions bring, so that no crate knows them.
const CUSTOM: [&str; 2] = ["ServiceMonitor", "PrometheusRule"];

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path)
}

/// All documents that a kustomization takes in, with their files.
fn taken_in(folder: &Path) -> Vec<(PathBuf, Value)> {
    let kustomization = yaml::file(&folder.join("kustomization.yaml"));
    let mut found = Vec::new();
    for name in [&kustomization["resources"], &kustomization["components"]].into_iter().flat_map(yaml::texts) {
        let path = folder.join(name);
        if path.is_dir() {
            found.extend(taken_in(&path));
        } else {
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            found.extend(yaml::documents(&text).into_iter().map(|document| (path.clone(), document)));
        }
    }
    found
}

/// All documents that the manifests hold.
fn everything() -> Vec<(PathBuf, Value)> {
    [taken_in(&deploy("example")), taken_in(&deploy("cluster-access"))].concat()
}

/// The one document of a kind and name.
#[track_caller]
fn the(kind: &str, name: &str) -> Value {
    let all = everything();
    let mut found = all
        .into_iter()
        .map(|(_, document)| document)
        .filter(|document| document["kind"] == kind && document["metadata"]["name"] == name);
    let one = found.next().unwrap_or_else(|| panic!("there is no {kind} {name}"));
    assert!(found.next().is_none(), "{kind} {name} is there twice");
    one
}

/// What the API would drop or refuse of a document: `k8s-openapi` reads it as the API's own types, and what it does not
/// write again was no field of them.
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
            // Flux decrypts, and takes the metadata of SOPS away.
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

/// Adds the paths of what `given` holds and `kept` does not.
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
        // An empty selector means everything, and is written as nothing.
        (Value::Object(given), Value::Null) if given.is_empty() => {}
        _ => lost.push(path.trim_start_matches('.').to_owned()),
    }
}

/// What the Pod Security Standard "restricted" (and a read-only root besides) has against a pod.
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
fn the_api_takes_every_manifest() {
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
fn rights_are_no_more_than_what_is_used() {
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
        ("leases", "tagalong", vec!["get", "update", "patch"]),
        ("gitrepositories", "flux-system", vec!["get", "patch"]),
        ("kustomizations", "", vec!["get", "list", "watch"]),
    ];
    assert_eq!(rights, expected.map(|(resource, name, verbs)| (resource.to_owned(), name.to_owned(), verbs)));
    let binding = the("RoleBinding", "tagalong");
    assert_eq!((&binding["roleRef"]["kind"], &binding["roleRef"]["name"]), (&json!("Role"), &json!("tagalong")));
    assert_eq!(binding["subjects"].as_array().map(Vec::len), Some(1));
    assert_eq!(binding["subjects"][0]["name"], the("ServiceAccount", "tagalong")["metadata"]["name"]);
    // Whoever does not ask for them has none of them.
    let pod = the("Deployment", "tagalong")["spec"]["template"]["spec"].clone();
    assert_eq!(
        (&pod["automountServiceAccountToken"], &the("ServiceAccount", "tagalong")["automountServiceAccountToken"]),
        (&json!(false), &json!(false))
    );
}

#[test]
fn access_to_the_cluster_is_given_by_its_component() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("access");
    fs::create_dir_all(&folder).expect("a folder");
    // kustomize takes no absolute paths.
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
    assert_eq!(offences(pod), [""; 0]);
    assert_eq!(
        (&find("Role")["metadata"]["namespace"], &find("RoleBinding")["metadata"]["namespace"]),
        (&json!("flux-system"), &json!("flux-system"))
    );
}

#[test]
fn names_lead_to_what_is_there() {
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

/// What is mounted, by path: the keys of the ConfigMap's or the Secret's name.
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

/// All texts of a value that are absolute paths.
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
        // The environment of the container: no home.
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
            // The Secret of Flux's own, which is not part of this folder.
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
fn the_example_secrets_open_with_the_key_beside_them() {
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

/// The rules of the PrometheusRule, and the expressions of the dashboard.
fn expressions() -> (Value, Vec<String>) {
    let rules = the("PrometheusRule", "tagalong")["spec"].clone();
    let text = fs::read_to_string(deploy("monitoring/dashboard.json")).expect("a dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let of_panels = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let of_rules =
        rules["groups"].as_array().expect("groups").iter().flat_map(|group| group["rules"].as_array().expect("rules"));
    let all = of_panels.chain(of_rules).map(|holder| holder["expr"].as_str().expect("an expression").to_owned());
    let all: Vec<String> = all.collect();
    (rules, all)
}

#[test]
fn alerts_say_what_is_wrong_and_parse() {
    let (rules, expressions) = expressions();
    assert!(expressions.len() >= 20, "{expressions:?}");
    for rule in rules["groups"][0]["rules"].as_array().expect("rules") {
        assert!(rule["annotations"]["summary"].is_string(), "{rule}");
        assert!(
            ["critical", "warning", "info"].contains(&rule["labels"]["severity"].as_str().expect("a severity")),
            "{rule}"
        );
    }
    let monitor = the("ServiceMonitor", "tagalong");
    let service = the("Service", "tagalong");
    assert_eq!(monitor["spec"]["endpoints"][0]["port"], service["spec"]["ports"][0]["name"]);

    // promtool knows the language; the expressions of the dashboard are made recording rules for it.
    let folder = tempfile::tempdir().expect("a folder");
    let mut groups = rules["groups"].as_array().expect("groups").clone();
    let recorded: Vec<Value> =
        expressions.iter().enumerate().map(|(n, expr)| json!({ "record": format!("r{n}"), "expr": expr })).collect();
    groups.push(json!({ "name": "dashboard", "rules": recorded }));
    let file = folder.path().join("rules.json");
    fs::write(&file, json!({ "groups": groups }).to_string()).expect("written");
    match Command::new("promtool").args(["check", "rules"]).arg(&file).output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(_) => support::skipped("promtool is not here"),
    }
}

/// Everything that reads as a metric of ours in an expression.
fn metrics_in(expression: &str) -> Vec<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("tagalong_")).map(str::to_owned).collect()
}

#[test]
fn the_agent_runs_as_deployed_and_measures_what_is_watched() {
    // What the files of the example stand for, on this machine.
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let registry = Registry::start(&at("registry"), Kind::TlsHtpasswd);
    let sshd = Sshd::start(&at("sshd"));
    let image = |name: &str, tag: &str| format!("image: {}/org/{name}:{tag}\n", registry.host());
    let (shop, gone) = (image("shop", "1a11111"), image("gone", "1a11111"));
    let origin = Origin::create(&at("infra.git"), &[("apps/shop/app.yaml", &shop), ("apps/gone/app.yaml", &gone)]);
    registry.push("org/shop", "1a11111", "2026-04-01T10:00:00Z");
    registry.push("org/shop", "2b22222", "2026-04-02T10:00:00Z");
    let host = registry.host();
    let auth = json!({ "auths": { host.clone(): { "username": USER, "password": PASSWORD } } }).to_string();
    let mounts = [
        ("etc/git/identity", fs::read_to_string(sshd.key()).expect("a key")),
        ("etc/git/known_hosts", fs::read_to_string(sshd.known_hosts()).expect("hosts")),
        ("etc/registry/.dockerconfigjson", auth),
        ("etc/age/age.agekey", fs::read_to_string(deploy("example/throwaway.agekey")).expect("a key")),
    ];
    for (file, text) in mounts {
        fs::create_dir_all(at(file).parent().expect("a folder")).expect("a folder");
        fs::write(at(file), text).expect("written");
    }
    let here = at("etc").display().to_string();
    let mut config = fs::read_to_string(deploy("example/tagalong.yaml")).expect("a configuration");
    for (theirs, ours) in [
        ("/etc/tagalong", here.as_str()),
        ("ssh://git@git.example.com/org/infra.git", &sshd.url(&origin)),
        ("registry.example.com", &host),
        ("agent:\n", "agent:\n  listen: 127.0.0.1:0\n"),
    ] {
        assert!(config.contains(theirs), "{theirs}");
        config = config.replace(theirs, ours);
    }
    fs::create_dir_all(at("etc/config")).expect("a folder");
    fs::write(at("etc/config/tagalong.yaml"), config).expect("written");

    // The container's own arguments and environment.
    let deployment = the("Deployment", "tagalong");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let mut command = tagalong::command(folder.path());
    command.env_remove("HOME").args(yaml::texts(&container["args"])).env("SSL_CERT_FILE", registry.ca_file());
    for variable in container["env"].as_array().expect("variables") {
        let value = variable["value"].as_str().expect("text").replace("/etc/tagalong", &here);
        let value = value.replace("/var/cache", &at("cache").display().to_string());
        command.env(variable["name"].as_str().expect("text"), value);
    }
    let agent = Agent::spawn(command);
    let probe = |name: &str| agent.get(container[name]["httpGet"]["path"].as_str().expect("a path")).status;
    assert_eq!(probe("livenessProbe"), 200);
    wait_until("the agent is ready", || probe("readinessProbe") == 200);
    assert_eq!(origin.read("apps/shop/app.yaml"), image("shop", "2b22222"), "{}", agent.log());

    let measured = agent.get("/metrics").body;
    let (_, expressions) = expressions();
    for expression in expressions {
        let metrics = metrics_in(&expression);
        assert!(!metrics.is_empty(), "{expression}");
        for metric in metrics {
            let is_there = measured
                .lines()
                .any(|line| line.strip_prefix(&metric).is_some_and(|rest| rest.starts_with(['{', ' '])));
            assert!(is_there, "{metric} is watched and not measured:\n{measured}");
        }
    }
}

#[test]
fn ports_and_times_fit_those_of_the_agent() {
    let pod = the("Deployment", "tagalong")["spec"]["template"]["spec"].clone();
    let defaults = ::tagalong::agent::config::Config::default();
    let port = defaults.listen.expect("it listens").port();
    assert_eq!(pod["containers"][0]["ports"][0]["containerPort"], port);
    assert!(pod["terminationGracePeriodSeconds"].as_u64().expect("seconds") > defaults.grace.as_secs());
    let containerfile = fs::read_to_string(deploy("../Containerfile")).expect("a Containerfile");
    assert!(containerfile.lines().any(|line| line == format!("EXPOSE {port}")));
}

/// kubectl, or a word that it is not here.
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
fn kubectl_renders_what_the_api_takes() {
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

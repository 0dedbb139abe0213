//! The agent, started the way `deploy/` does, exports the metrics that the alerts and the dashboard use.

use std::fs;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::agent::Agent;
use crate::support::cluster::{Cluster, SOURCE};
use crate::support::git::{Origin, Sshd, git};
use crate::support::manifests::{deploy, the};
use crate::support::process::wait_until;
use crate::support::registry::{Kind, PASSWORD, Registry, USER};
use crate::support::{prometheus, tagalong, yaml};

use super::monitoring;

const SECRET: &str = "what-the-forge-signs-with";

/// Metrics that are measured only where there are stages, drifts or client certificates; the tests about these read them.
const NOT_HERE: [&str; 7] = [
    "tagalong_releases",
    "tagalong_release_waiting_seconds",
    "tagalong_promotions_total",
    "tagalong_break_glass_unacknowledged",
    "tagalong_drifted_pods",
    "tagalong_registry_client_certificate_not_before_timestamp_seconds",
    "tagalong_registry_client_certificate_not_after_timestamp_seconds",
];

/// The metrics of tagalong in an expression.
fn metrics_in(expression: &str) -> Vec<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("tagalong_")).map(str::to_owned).collect()
}

/// The example's files with local servers in place of its hosts, and the agent as the Deployment starts it.
struct Deployed {
    registry: Registry,
    _sshd: Sshd,
    origin: Origin,
    cluster: Cluster,
    agent: Agent,
    container: Value,
    folder: tempfile::TempDir,
}

impl Deployed {
    fn start() -> Deployed {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let registry = Registry::start(&at("registry"), Kind::TlsHtpasswd);
        let sshd = Sshd::start(&at("sshd"));
        let host = registry.host();
        let (shop, gone) = (image(&host, "shop", "1a11111"), image(&host, "gone", "1a11111"));
        let origin = Origin::create(&at("infra.git"), &[("apps/shop/app.yaml", &shop), ("apps/gone/app.yaml", &gone)]);
        registry.push("org/shop", "1a11111", "2026-04-01T10:00:00Z");
        registry.push("org/shop", "2b22222", "2026-04-02T10:00:00Z");
        let auth = json!({ "auths": { host.clone(): { "username": USER, "password": PASSWORD } } }).to_string();
        let mounts = [
            ("etc/git/identity", fs::read_to_string(sshd.key()).expect("a key")),
            ("etc/git/known_hosts", fs::read_to_string(sshd.known_hosts()).expect("hosts")),
            ("etc/registry/.dockerconfigjson", auth),
            ("etc/webhook/secret", SECRET.to_owned()),
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
            ("gitRepository: { name: flux-system,", "gitRepository: { name: infra,"),
        ] {
            assert!(config.contains(theirs), "{theirs}");
            config = config.replace(theirs, ours);
        }
        fs::create_dir_all(at("etc/config")).expect("a folder");
        fs::write(at("etc/config/tagalong.yaml"), config).expect("written");

        // A cluster with Flux.
        let cluster = Cluster::start();
        cluster.put(SOURCE, json!({ "metadata": { "name": "infra" } }));

        // The container's own arguments and environment.
        let deployment = the("Deployment", "tagalong");
        let container = deployment["spec"]["template"]["spec"]["containers"][0].clone();
        let mut command = tagalong::command(folder.path());
        command.env_remove("HOME").args(yaml::texts(&container["args"])).env("SSL_CERT_FILE", registry.ca_file());
        for variable in container["env"].as_array().expect("variables") {
            let value = variable["value"].as_str().expect("text").replace("/etc/tagalong", &here);
            let value = value.replace("/var/cache", &at("cache").display().to_string());
            command.env(variable["name"].as_str().expect("text"), value);
        }
        command.env("KUBECONFIG", cluster.kubeconfig(folder.path()));
        let agent = Agent::spawn(command);
        Deployed { registry, _sshd: sshd, origin, cluster, agent, container, folder }
    }

    fn probe(&self, name: &str) -> u16 {
        self.agent.get(self.container[name]["httpGet"]["path"].as_str().expect("a path")).status
    }

    /// Lets Flux apply the tip of the branch.
    fn apply(&self) {
        let (ready, commit) = (("True", "ReconciliationSucceeded", "Applied revision"), self.origin.tip());
        self.cluster.kustomize("apps", "./apps", ready, &commit, &commit);
    }

    /// Whether the branch deploys the shop with a tag.
    fn runs(&self, tag: &str) -> bool {
        self.origin.read("apps/shop/app.yaml") == image(&self.registry.host(), "shop", tag)
    }

    /// Sends the forge's webhook about a push.
    fn tell(&self, tag: &str) {
        let body = json!({ "action": "created", "sender": { "login": "ci" }, "package": {
            "owner": { "login": "org" }, "type": "container", "name": "shop", "version": tag,
            "html_url": format!("https://{}/org/-/packages/container/shop/{tag}", self.registry.host()) } });
        let body = body.to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key");
        mac.update(body.as_bytes());
        let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let page = self.agent.ask("POST", "/webhooks/gitea", &format!("X-Gitea-Signature: {signature}\r\n"), &body);
        assert_eq!(page.status, 202, "{page:?}");
    }
}

fn image(host: &str, name: &str, tag: &str) -> String {
    format!("image: {host}/org/{name}:{tag}\n")
}

#[test]
fn the_agent_runs_as_deployed_and_exports_the_metrics_in_use() {
    let deployed = Deployed::start();
    let agent = &deployed.agent;
    assert_eq!(deployed.probe("livenessProbe"), 200);
    wait_until("the agent is ready", || deployed.probe("readinessProbe") == 200);
    assert!(deployed.runs("2b22222"), "{}", agent.log());

    deployed.apply();
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"applied\"} 1");
    let measured = agent.get("/metrics").body;
    prometheus::check(agent);
    for expression in monitoring::expressions() {
        let metrics = metrics_in(&expression);
        assert!(!metrics.is_empty(), "{expression}");
        for metric in metrics.into_iter().filter(|metric| !NOT_HERE.contains(&metric.as_str())) {
            let is_there = measured
                .lines()
                .any(|line| line.strip_prefix(&metric).is_some_and(|rest| rest.starts_with(['{', ' '])));
            assert!(is_there, "{metric} is watched and not measured:\n{measured}");
        }
    }
}

#[test]
fn from_a_push_to_a_rollback_to_the_fix() {
    let deployed = Deployed::start();
    let (agent, origin) = (&deployed.agent, &deployed.origin);
    wait_until("the agent is ready", || deployed.probe("readinessProbe") == 200);
    assert!(deployed.runs("2b22222"), "{}", agent.log());
    deployed.apply();
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"applied\"} 1");

    // CI pushes, the forge sends a webhook, the agent commits, Flux applies.
    deployed.registry.push("org/shop", "3c33333", "2026-04-03T10:00:00Z");
    deployed.tell("3c33333");
    wait_until("the push is deployed", || deployed.runs("3c33333"));
    let commit = origin.tip();
    assert!(origin.message().starts_with("deploy: shop 2b22222 -> 3c33333\n"), "{}", origin.message());
    let name = format!("{}/org/shop", deployed.registry.host());
    agent.wait_for_metric(&format!("tagalong_updates_total{{image=\"{name}\"}} 2"));
    deployed.apply();
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"applied\"} 2");
    let page = agent.get("/").body;
    assert!(page.contains("3c33333") && page.contains(&commit[..7]), "{page}");

    // The build is bad: someone reverts the commit, and repeated events change nothing.
    let work = deployed.folder.path().join("work");
    git(deployed.folder.path(), &["clone", "--quiet", "infra.git", "work"]);
    git(&work, &["revert", "--no-edit", "HEAD"]);
    git(&work, &["push", "--quiet", "origin", "HEAD:main"]);
    let reverted = origin.tip();
    let held = format!("tagalong_image_kept_back{{image=\"{name}\",reason=\"held\"}} 1");
    deployed.tell("3c33333");
    agent.wait_for_metric(&held);
    assert!(deployed.runs("2b22222"));
    assert_eq!(origin.tip(), reverted);
    let page = agent.get("/").body;
    assert!(page.contains("held"), "{page}");

    // The fix is deployed at once, and nothing is held anymore.
    deployed.registry.push("org/shop", "4d44444", "2026-04-04T10:00:00Z");
    deployed.tell("4d44444");
    wait_until("the newer build is deployed", || deployed.runs("4d44444"));
    agent.wait_for_metric(&format!("tagalong_updates_total{{image=\"{name}\"}} 3"));
    assert!(!agent.get("/metrics").body.contains(&held));
    deployed.apply();
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"applied\"} 3");
    origin.is_sound();

    // Then the pod is replaced, as pods are: its successor need not wait for the lease.
    let Deployed { agent, cluster, .. } = deployed;
    let (code, log) = agent.stop();
    assert_eq!((code, cluster.holder()), (0, String::new()), "{log}");
}

#[test]
fn ports_and_times_match_the_agent() {
    let pod = the("Deployment", "tagalong")["spec"]["template"]["spec"].clone();
    let defaults = ::tagalong::agent::config::Config::default();
    let port = defaults.listen.expect("it listens").port();
    assert_eq!(pod["containers"][0]["ports"][0]["containerPort"], port);
    assert!(pod["terminationGracePeriodSeconds"].as_u64().expect("seconds") > defaults.grace.as_secs());
    let containerfile = fs::read_to_string(deploy("../Containerfile")).expect("a Containerfile");
    assert!(containerfile.lines().any(|line| line == format!("EXPOSE {port}")));
}

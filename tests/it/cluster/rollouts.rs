//! The outcome of a commit in the cluster is reported: Flux is notified, and watched until it has applied the commit,
//! failed, or taken too long. Whatever it does, cycles continue.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::agent::Agent;
use crate::support::cluster::{Cluster, Fault, KUSTOMIZATIONS, SOURCE, TOKEN};
use crate::support::infra::Stage;
use crate::support::process::wait_until;
use crate::support::scripted::{self, Scripted};
use crate::support::tagalong;

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";
const NEWER: &str = "2026-04-03T10:00:00Z";
const BEFORE: &str = "0000000000000000000000000000000000000000";

const READY: (&str, &str, &str) = ("True", "ReconciliationSucceeded", "Applied revision");
const BUSY: (&str, &str, &str) = ("Unknown", "Progressing", "Reconciliation in progress");

/// An app, a GitRepository with a Kustomization for it, and a channel that gets all events.
struct Scene {
    stage: Stage,
    cluster: Cluster,
    channel: Scripted,
}

impl Scene {
    fn new() -> Scene {
        let stage = Stage::new(&[("apps/app/x.yaml", "image: HOST/org/app:aaaaaa1\n")]);
        stage.registry.push("org/app", "aaaaaa1", OLD);
        let cluster = Cluster::start();
        let name = json!({ "name": "infra", "namespace": "flux-system", "annotations": { "kept": "yes" } });
        cluster.put(
            SOURCE,
            json!({ "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": name }),
        );
        cluster.kustomize("apps", "./apps", READY, BEFORE, BEFORE);
        // It always fails, and has nothing to do with the app.
        let broken = ("False", "BuildFailed", "no such folder");
        cluster.kustomize("else", "./infrastructure", broken, BEFORE, BEFORE);
        let channel = Scripted::start(|_| scripted::json(200, json!({}), &[]));
        Scene { stage, cluster, channel }
    }

    /// An agent with `cluster.flux` and more keys of that section.
    fn agent(&self, flux: &str) -> Agent {
        let text = fs::read_to_string(self.stage.config()).expect("there");
        let url = self.file("url", &format!("http://{}/news\n", self.channel.host()));
        let text = format!(
            "{text}notify:\n- webhook: {{ urlFile: {} }}\ncluster:\n  flux: {{ gitRepository: {{ name: infra }}{flux} }}\n",
            url.display()
        );
        let config = self.file("flux.yaml", &text);
        let mut command = tagalong::command(self.stage.home());
        command.args(["run", "--log-format", "json", "--config"]).arg(config);
        command.env("KUBECONFIG", self.cluster.kubeconfig(self.stage.home()));
        Agent::spawn(command)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.stage.home().join(name);
        fs::write(&file, text).expect("written");
        file
    }

    /// Pushes an image and waits for its commit.
    fn deploy(&self, tag: &str, built: &str) -> String {
        self.stage.registry.push("org/app", tag, built);
        wait_until(&format!("{tag} is deployed"), || {
            self.stage.origin.read("apps/app/x.yaml").ends_with(&format!("{tag}\n"))
        });
        self.stage.origin.tip()
    }

    /// The time of the last request to Flux, from the GitRepository's annotation.
    fn requested(&self) -> Option<String> {
        let source = self.cluster.get(SOURCE).expect("a GitRepository");
        assert_eq!(source["metadata"]["annotations"]["kept"], "yes", "{source}");
        source["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"].as_str().map(str::to_owned)
    }

    /// The events of a kind that the channel got.
    fn told(&self, kind: &str) -> Vec<Value> {
        let bodies =
            self.channel.asked().into_iter().filter_map(|asked| serde_json::from_str::<Value>(&asked.body).ok());
        bodies.filter(|body| body["kind"] == kind).collect()
    }

    /// Waits until the channel has got this many events of a kind, and returns the last one.
    fn wait_for_word(&self, kind: &str, count: usize) -> Value {
        wait_until(&format!("{kind} is told"), || self.told(kind).len() >= count);
        self.told(kind).pop().expect("told")
    }
}

/// The agent's status of the image as JSON.
fn rollout(agent: &Agent) -> Value {
    let status: Value = serde_json::from_str(&agent.get("/status").body).expect("JSON");
    status["images"][0]["rollouts"][0].clone()
}

#[test]
fn an_applied_commit_is_reported_with_its_duration() {
    let scene = Scene::new();
    let agent = scene.agent("");
    let commit = scene.deploy("aaaaaa2", NEW);
    wait_until("Flux is asked to look", || scene.requested().is_some());
    let at = scene.requested().expect("asked");
    assert!(at.parse::<jiff::Timestamp>().is_ok() && at.ends_with('Z'), "{at}");
    wait_until("the agent knows of its commit", || agent.get("/").body.contains("waiting for Flux"));
    scene.cluster.kustomize("apps", "./apps", BUSY, BEFORE, &commit);
    scene.cluster.kustomize("apps", "./apps", READY, &commit, &commit);
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"applied\"} 1");
    agent.wait_for_metric("tagalong_reconcile_duration_seconds_count 1");
    agent.wait_for_metric("tagalong_rollout_lag_seconds_count 1");
    agent.wait_for_metric("tagalong_flux_trouble{part=\"watching\"} 0");
    let said = rollout(&agent);
    assert_eq!((&said["outcome"], &said["commit"]), (&"applied".into(), &commit.as_str().into()), "{said}");
    assert_eq!((&said["kustomization"], &said["to"]), (&"flux-system/apps".into(), &"aaaaaa2".into()), "{said}");
    assert!(said["seconds"].is_number() && said["at"].is_string(), "{said}");
    let page = agent.get("/").body;
    assert!(page.contains("applied by <code>flux-system/apps</code>"), "{page}");
    let word = scene.wait_for_word("reconciled", 1);
    assert_eq!((&word["commit"], &word["tag"]), (&commit.as_str().into(), &"aaaaaa2".into()), "{word}");
    assert!(word["title"].as_str().expect("a title").starts_with("app aaaaaa2 was applied after "), "{word}");
    assert!(scene.told("reconcile-failed").is_empty());

    // Nothing is pending, so no requests are sent anymore.
    let lists = |cluster: &Cluster| cluster.asked().iter().filter(|asked| asked.ends_with("kustomizations")).count();
    let before = lists(&scene.cluster);
    wait_until("some cycles are done", || agent.log().matches("cycle finished").count() > 10);
    assert_eq!(lists(&scene.cluster), before);
    let (code, log) = agent.stop();
    assert!(code == 0 && !log.contains(TOKEN), "{log}");
}

#[test]
fn a_failed_commit_is_reported_with_commit_and_image_and_so_is_its_recovery() {
    let scene = Scene::new();
    let agent = scene.agent("");
    let commit = scene.deploy("aaaaaa2", NEW);
    let words = "cannot get sops data key: no identity matched any of the recipients";
    scene.cluster.kustomize("apps", "./apps", ("False", "BuildFailed", words), BEFORE, &commit);
    let word = scene.wait_for_word("reconcile-failed", 1);
    assert_eq!((&word["commit"], &word["detail"]), (&commit.as_str().into(), &words.into()), "{word}");
    let title = word["title"].as_str().expect("a title");
    assert_eq!(title, "app aaaaaa2 could not be applied by flux-system/apps (BuildFailed)");
    assert_eq!(word["image"], scene.stage.image("app").as_str(), "{word}");
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"failed\"} 1");
    assert_eq!(rollout(&agent)["detail"], format!("BuildFailed: {words}").as_str());
    agent.wait_for(words);

    scene.cluster.kustomize("apps", "./apps", READY, &commit, &commit);
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"applied\"} 1");
    scene.wait_for_word("recovered", 1);
    assert_eq!((scene.told("reconcile-failed").len(), rollout(&agent)["outcome"].as_str()), (1, Some("applied")));
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_commit_not_applied_in_time_is_reported_and_dependencies_are_waited_for() {
    let scene = Scene::new();
    let agent = scene.agent(", timeout: 3s");
    let commit = scene.deploy("aaaaaa2", NEW);
    let waits = ("False", "DependencyNotReady", "dependency 'flux-system/infra' is not ready");
    scene.cluster.kustomize("apps", "./apps", waits, BEFORE, &commit);
    let word = scene.wait_for_word("reconcile-failed", 1);
    assert!(
        word["title"].as_str().expect("a title").starts_with("app aaaaaa2 was not applied by flux-system/apps within"),
        "{word}"
    );
    assert!(word["detail"].as_str().expect("a detail").contains(&format!("main@sha1:{BEFORE}")), "{word}");
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"overdue\"} 1");
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_later_revision_counts_as_applying_an_earlier_commit() {
    let scene = Scene::new();
    let agent = scene.agent("");
    scene.deploy("aaaaaa2", NEW);
    // Flux was slower than the next push, by a person.
    let later = scene.stage.origin.commit("something else", &[("README.md", "hello\n")]);
    scene.cluster.kustomize("apps", "./apps", READY, &later, &later);
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"applied\"} 1");
    // An image that moves again is not waited for twice.
    scene.deploy("aaaaaa3", NEWER);
    scene.stage.registry.push("org/app", "aaaaaa4", "2026-04-04T10:00:00Z");
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"superseded\"} 1");
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_receiver_is_called_with_a_signature_instead() {
    let scene = Scene::new();
    let receiver = Scripted::start(|_| scripted::json(200, json!({}), &[]));
    let url = scene.file("receiver", &format!("http://{}/hook/open-sesame-path\n", receiver.host()));
    let key = scene.file("hmac", "key\n");
    let files = format!(", receiver: {{ urlFile: {}, secretFile: {} }}", url.display(), key.display());
    let agent = scene.agent(&files);
    let commit = scene.deploy("aaaaaa2", NEW);
    wait_until("the receiver is told", || !receiver.asked().is_empty());
    let asked = receiver.asked().remove(0);
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/hook/open-sesame-path"));
    // printf '{}' | openssl dgst -sha256 -hmac key
    let signature = "sha256=a777724d943eb48dc69bca8a4a6d57a04db3f9ec7e1de4e581e860265bdf3032";
    assert_eq!((asked.body.as_str(), asked.signature.as_deref()), ("{}", Some(signature)));
    scene.cluster.kustomize("apps", "./apps", READY, &commit, &commit);
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"applied\"} 1");
    assert_eq!(scene.requested(), None);
    // The path is a secret, whatever goes wrong.
    fs::write(&url, "http://127.0.0.1:1/hook/open-sesame-path\n").expect("written");
    scene.deploy("aaaaaa3", NEWER);
    agent.wait_for("cannot notify Flux's Receiver at 127.0.0.1:1");
    agent.wait_for_metric("tagalong_flux_trouble{part=\"asking\"} 1");
    let page = agent.get("/").body;
    let (code, log) = agent.stop();
    assert!(code == 0 && !log.contains("open-sesame") && !page.contains("open-sesame"), "{log}");
}

#[test]
fn missing_permissions_are_reported_with_the_rules_to_add() {
    let scene = Scene::new();
    scene.cluster.trouble("PATCH", SOURCE, Fault::Status(403), 1);
    scene.cluster.trouble("GET", KUSTOMIZATIONS, Fault::Status(403), 2);
    let agent = scene.agent("");
    let commit = scene.deploy("aaaaaa2", NEW);
    agent.wait_for(
        "resources: [gitrepositories], resourceNames: [infra], verbs: [patch] } in the namespace flux-system",
    );
    agent.wait_for("resources: [kustomizations], verbs: [list] } in the namespace flux-system");
    assert_eq!(agent.log().matches("cannot watch Flux apply commits").count(), 1, "{}", agent.log());
    // Once permitted, it works without another push.
    wait_until("Flux is asked to look", || scene.requested().is_some());
    scene.cluster.kustomize("apps", "./apps", READY, &commit, &commit);
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"applied\"} 1");
    agent.wait_for_metric("tagalong_flux_trouble{part=\"watching\"} 0");
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_silent_cluster_delays_nothing() {
    let scene = Scene::new();
    scene.cluster.trouble("", "/", Fault::Silence, usize::MAX);
    let agent = scene.agent("");
    scene.deploy("aaaaaa2", NEW);
    wait_until("Flux is asked", || !scene.cluster.asked().is_empty());
    scene.deploy("aaaaaa3", NEWER);
    let (code, log) = agent.stop();
    assert_eq!(code, 0, "{log}");
}

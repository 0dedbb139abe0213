//! The outcome of a commit in the cluster is reported: Flux is notified, and watched until it has applied the commit,
//! failed, or taken too long. Whatever it does, cycles continue.

use std::fs;

use serde_json::json;

use super::scene::{BEFORE, BUSY, NEW, NEWER, READY, Scene, rollout, wait_for_query};
use crate::support::cluster::{Cluster, Fault, KUSTOMIZATIONS, SOURCE, TOKEN};
use crate::support::process::wait_until;
use crate::support::scripted::{self, Scripted};

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
fn a_commit_not_applied_in_time_is_reported_with_the_reasons_and_so_is_what_flux_says_later() {
    let scene = Scene::new();
    // source-controller's words (GitRepository v1, "Conditions").
    let failed = json!({ "type": "Ready", "status": "False", "reason": "GitOperationFailed", "message": "failed to checkout and determine revision" });
    scene.cluster.patch(
        SOURCE,
        json!({
            "spec": { "url": "ssh://git@git.example.com/acme/elsewhere.git", "ref": { "branch": "live" }, "suspend": true },
            "status": { "conditions": [failed] },
        }),
    );
    let waits = ("False", "DependencyNotReady", "dependency 'flux-system/infra' is not ready");
    scene.cluster.kustomize("apps", "./apps", waits, BEFORE, BEFORE);
    let agent = scene.agent(", timeout: 5s");
    let commit = scene.deploy("aaaaaa2", NEW);
    let word = scene.wait_for_word("reconcile-failed", 1);
    let title = word["title"].as_str().expect("a title");
    assert!(title.starts_with("app aaaaaa2 was not applied by flux-system/apps within"), "{word}");
    let detail = word["detail"].as_str().expect("a detail");
    for reason in [
        &format!("it has applied main@sha1:{BEFORE}; DependencyNotReady: dependency 'flux-system/infra' is not ready"),
        "GitRepository flux-system/infra: it is suspended; GitOperationFailed: failed to checkout",
        "it reads ssh://git@git.example.com/acme/elsewhere.git, but commits are pushed to ssh://",
        "it follows the branch live, but commits are pushed to the branch main",
    ] {
        assert!(detail.contains(reason), "{detail}");
    }
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"overdue\"} 1");
    // The Kustomization has the same timeout, so its own verdict comes a moment later.
    let failed = ("False", "HealthCheckFailed", "timeout waiting for: [Deployment/apps/app status: 'InProgress']");
    scene.cluster.kustomize("apps", "./apps", failed, BEFORE, &commit);
    assert_eq!(scene.wait_for_word("reconcile-failed", 2)["detail"], failed.2);
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"failed\"} 1");
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"overdue\"} 1");
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_source_that_may_not_be_read_only_leaves_out_its_words() {
    let scene = Scene::new();
    scene.cluster.trouble("GET", SOURCE, Fault::Status(403), usize::MAX);
    scene.cluster.kustomize("apps", "./apps", BUSY, BEFORE, BEFORE);
    let agent = scene.agent(", timeout: 3s");
    scene.deploy("aaaaaa2", NEW);
    let word = scene.wait_for_word("reconcile-failed", 1);
    assert_eq!(
        word["detail"],
        format!("it has applied main@sha1:{BEFORE}; Progressing: Reconciliation in progress").as_str()
    );
    agent.wait_for("resources: [gitrepositories], resourceNames: [infra], verbs: [get] } in the namespace flux-system");
    agent.wait_for_metric("tagalong_flux_trouble{part=\"watching\"} 0");
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn what_a_suspended_kustomization_covers_is_not_applied_by_others() {
    let scene = Scene::new();
    let agent = scene.agent("");
    let commit = scene.deploy("aaaaaa2", NEW);
    // Flux keeps the last status of a suspended object.
    scene.cluster.patch(&format!("{KUSTOMIZATIONS}/apps"), json!({ "spec": { "suspend": true } }));
    scene.cluster.kustomize("infra", "./infra", READY, &commit, &commit);
    let word = scene.wait_for_word("reconcile-failed", 1);
    assert_eq!(word["title"], "app aaaaaa2 was not applied by flux-system/apps, which is suspended", "{word}");
    let detail = format!("the Kustomization flux-system/apps is suspended; it has applied main@sha1:{BEFORE}");
    assert_eq!((&word["detail"], rollout(&agent)["outcome"].as_str()), (&detail.as_str().into(), Some("suspended")));
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"suspended\"} 1");
    wait_for_query(&scene.cluster, KUSTOMIZATIONS);
    assert_eq!((scene.told("reconciled").len(), scene.told("reconcile-failed").len()), (0, 1));

    scene.cluster.kustomize("apps", "./apps", READY, &commit, &commit);
    scene.wait_for_word("reconciled", 1);
    scene.wait_for_word("recovered", 1);
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn what_no_path_reaches_is_not_applied_by_others() {
    let scene = Scene::new();
    let agent = scene.agent("");
    let commit = scene.deploy("aaaaaa2", NEW);
    // A Kustomization with this path reports what it has attempted only in the message (kustomize-controller 1.9).
    let missing = "kustomization path not found: stat /tmp/kustomization-1/app: no such file or directory";
    scene.cluster.kustomize("apps", "./app", ("False", "ArtifactFailed", missing), BEFORE, BEFORE);
    let fetching = format!("Fetching manifests for revision main@sha1:{commit} with a timeout of 9m0s");
    let ready = json!({ "type": "Ready", "status": "False", "reason": "ArtifactFailed", "message": missing });
    let reconciling =
        json!({ "type": "Reconciling", "status": "True", "reason": "ProgressingWithRetry", "message": fetching });
    let status = json!({ "status": { "conditions": [reconciling, ready] } });
    scene.cluster.patch(&format!("{KUSTOMIZATIONS}/apps"), status);
    for other in ["else", "infra"] {
        scene.cluster.kustomize(other, "./infra", READY, &commit, &commit);
    }
    let word = scene.wait_for_word("reconcile-failed", 1);
    assert_eq!(word["title"], "app aaaaaa2 is not deployed by anything in the cluster", "{word}");
    let detail = format!(
        "no Kustomization in flux-system of the GitRepository flux-system/infra deploys apps/app/x.yaml; flux-system/apps: ArtifactFailed: {missing}"
    );
    assert_eq!(word["detail"], detail.as_str());
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"unclaimed\"} 1");
    assert_eq!((scene.told("reconciled").len(), rollout(&agent)["outcome"].as_str()), (0, Some("unclaimed")));
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_base_is_applied_by_those_that_include_it() {
    let scene = Scene::with(&[
        ("base/x.yaml", "image: HOST/org/app:aaaaaa1\n"),
        ("base/kustomization.yaml", "resources: [x.yaml]\n"),
        ("apps/live/kustomization.yaml", "resources: [../../base]\n"),
        ("infra/kustomization.yaml", "resources: []\n"),
    ]);
    scene.cluster.kustomize("apps", "./apps", BUSY, BEFORE, BEFORE);
    let agent = scene.agent("");
    let commit = scene.deploy("aaaaaa2", NEW);
    scene.cluster.kustomize("infra", "./infra", READY, &commit, &commit);
    wait_for_query(&scene.cluster, KUSTOMIZATIONS);
    assert!(scene.told("reconciled").is_empty());
    scene.cluster.kustomize("apps", "./apps", READY, &commit, &commit);
    let word = scene.wait_for_word("reconciled", 1);
    assert!(word["detail"].as_str().expect("a detail").starts_with("flux-system/apps has applied"), "{word}");
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"applied\"} 1");
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
    let url = scene.write("receiver", &format!("http://{}/hook/open-sesame-path\n", receiver.host()));
    let key = scene.write("hmac", "key\n");
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

//! The outcome of a commit at Argo CD is reported like that at Flux: applications are refreshed, and watched until they have
//! synchronized the commit and are healthy.

use serde_json::{Value, json};

use super::scene::{BEFORE, NEW, NEWER, Scene, rollout, wait_for_query};
use crate::support::cluster::{APPLICATIONS, Fault, TOKEN};
use crate::support::process::wait_until;

const AUTOMATED: &str = "{\"automated\": {\"prune\": true}}";
const REFRESH: &str = "argocd.argoproj.io/refresh";

/// An Application, in the form in which argocd-application-controller 3.1 writes it (argoproj.io/v1alpha1).
fn application(scene: &Scene, name: &str, source: Value, status: Value) {
    let object = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": { "name": name, "namespace": "argocd", "labels": { "team": "shop" } },
        "spec": {
            "project": "default", "destination": { "server": "https://kubernetes.default.svc" }, "source": source,
            "syncPolicy": serde_json::from_str::<Value>(AUTOMATED).expect("JSON"),
        },
        "status": status,
    });
    scene.cluster.put(&format!("{APPLICATIONS}/{name}"), object);
}

/// The status of an application: what it was compared with and how that came out, its health, and its last operation.
fn status(sync: (&str, &str), health: &str, operation: Option<(&str, &str, &str)>) -> Value {
    let operation = operation.map(|(phase, message, revision)| {
        json!({
            "phase": phase, "message": message, "startedAt": "2026-11-26T10:00:00Z",
            "operation": { "sync": { "revision": revision }, "initiatedBy": { "automated": true } },
            "syncResult": { "revision": revision, "resources": [] },
        })
    });
    json!({
        "sync": { "status": sync.0, "revision": sync.1, "comparedTo": {} },
        "health": { "status": health, "lastTransitionTime": "2026-11-26T10:00:00Z" },
        "operationState": operation, "reconciledAt": "2026-11-26T10:00:00Z",
    })
}

/// Applications for the app, for another folder, and for another repository.
fn scene() -> (Scene, Value) {
    let scene = Scene::new();
    let url = scene.stage.sshd.url(&scene.stage.origin);
    let ours = json!({ "repoURL": url, "path": "apps/app", "targetRevision": "main" });
    application(&scene, "app", ours.clone(), status(("Synced", BEFORE), "Healthy", None));
    let other = json!({ "repoURL": url, "path": "infra" });
    application(&scene, "infra", other, status(("Synced", BEFORE), "Healthy", None));
    let foreign = json!({ "repoURL": "https://git.example.com/acme/foreign.git", "path": "apps/app" });
    application(&scene, "foreign", foreign, status(("Synced", BEFORE), "Healthy", None));
    (scene, ours)
}

fn refreshed(scene: &Scene, name: &str) -> bool {
    let application = scene.cluster.get(&format!("{APPLICATIONS}/{name}")).expect("an application");
    application["metadata"]["annotations"][REFRESH] == "normal"
}

#[test]
fn an_application_is_refreshed_and_its_commit_applied_once_it_is_healthy() {
    let (scene, ours) = scene();
    let agent = scene.agent_with("argocd: { selector: team=shop }");
    let commit = scene.deploy("aaaaaa2", NEW);
    wait_until("the application is refreshed", || refreshed(&scene, "app"));
    assert!(!refreshed(&scene, "infra") && !refreshed(&scene, "foreign"));
    wait_until("the page says so", || agent.get("/").body.contains("waiting for Argo CD"));
    // It has compared the commit, and what is healthy is what was there before; then it synchronizes.
    application(&scene, "app", ours.clone(), status(("OutOfSync", &commit), "Healthy", None));
    wait_for_query(&scene.cluster, APPLICATIONS);
    let running = Some(("Running", "waiting for healthy state of apps/Deployment/app", commit.as_str()));
    application(&scene, "app", ours.clone(), status(("OutOfSync", &commit), "Healthy", running));
    wait_for_query(&scene.cluster, APPLICATIONS);
    let done = Some(("Succeeded", "successfully synced (all tasks run)", commit.as_str()));
    application(&scene, "app", ours.clone(), status(("Synced", &commit), "Progressing", done));
    wait_for_query(&scene.cluster, APPLICATIONS);
    assert!(scene.told("reconciled").is_empty());
    application(&scene, "app", ours, status(("Synced", &commit), "Healthy", done));
    let word = scene.wait_for_word("reconciled", 1);
    assert_eq!(word["detail"], format!("argocd/app has applied {commit}").as_str(), "{word}");
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"applied\"} 1");
    agent.wait_for_metric("tagalong_argocd_trouble{part=\"watching\"} 0");
    let said = rollout(&agent);
    assert_eq!((&said["application"], &said["kustomization"]), (&json!("argocd/app"), &Value::Null), "{said}");
    assert!(scene.told("reconcile-failed").is_empty());
    let (code, log) = agent.stop();
    assert!(code == 0 && !log.contains(TOKEN), "{log}");
}

#[test]
fn a_failed_operation_and_a_degraded_application_are_reported_with_their_words() {
    let (scene, ours) = scene();
    let agent = scene.agent_with("argocd: { applications: [app] }");
    let commit = scene.deploy("aaaaaa2", NEW);
    let words = "one or more objects failed to apply, reason: Deployment.apps \"app\" is invalid";
    let failed = Some(("Failed", words, commit.as_str()));
    application(&scene, "app", ours.clone(), status(("OutOfSync", &commit), "Healthy", failed));
    let word = scene.wait_for_word("reconcile-failed", 1);
    assert_eq!(word["title"], "app aaaaaa2 could not be applied by argocd/app (sync Failed)", "{word}");
    assert_eq!((&word["detail"], rollout(&agent)["outcome"].as_str()), (&json!(words), Some("failed")));

    let commit = scene.deploy("aaaaaa3", NEWER);
    let done = Some(("Succeeded", "successfully synced (all tasks run)", commit.as_str()));
    let mut degraded = status(("Synced", &commit), "Degraded", done);
    degraded["health"]["message"] = json!("Deployment \"app\" exceeded its progress deadline");
    application(&scene, "app", ours.clone(), degraded);
    let word = scene.wait_for_word("reconcile-failed", 2);
    assert_eq!(word["title"], "app aaaaaa3 could not be applied by argocd/app (Degraded)", "{word}");
    assert_eq!(word["detail"], "Deployment \"app\" exceeded its progress deadline");
    application(&scene, "app", ours, status(("Synced", &commit), "Healthy", done));
    scene.wait_for_word("recovered", 1);
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"applied\"} 1");
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn an_application_that_is_synchronized_by_hand_is_overdue_for_that_reason() {
    let (scene, ours) = scene();
    let agent = scene.agent_with("argocd: { timeout: 5s }");
    let commit = scene.deploy("aaaaaa2", NEW);
    application(&scene, "app", ours, status(("OutOfSync", &commit), "Healthy", None));
    scene.cluster.patch(&format!("{APPLICATIONS}/app"), json!({ "spec": { "syncPolicy": { "automated": null } } }));
    let word = scene.wait_for_word("reconcile-failed", 1);
    let detail = format!("it is OutOfSync at {commit}; not synced automatically: spec.syncPolicy.automated is not set");
    assert_eq!(word["detail"], detail.as_str(), "{word}");
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"overdue\"} 1");
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn what_no_application_deploys_is_unclaimed() {
    let (scene, _) = scene();
    let agent = scene.agent_with("argocd: { applications: [infra, foreign] }");
    let commit = scene.deploy("aaaaaa2", NEW);
    let url = scene.stage.sshd.url(&scene.stage.origin);
    application(
        &scene,
        "infra",
        json!({ "repoURL": url, "path": "infra" }),
        status(("Synced", &commit), "Healthy", None),
    );
    let word = scene.wait_for_word("reconcile-failed", 1);
    assert_eq!(word["detail"], "no selected Application in argocd deploys apps/app/x.yaml", "{word}");
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"unclaimed\"} 1");
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn missing_permissions_are_reported_with_the_rules_to_add() {
    let (scene, ours) = scene();
    scene.cluster.trouble("PATCH", APPLICATIONS, Fault::Status(403), 2);
    let agent = scene.agent_with("argocd: { selector: team=shop }");
    let commit = scene.deploy("aaaaaa2", NEW);
    agent.wait_for("resources: [applications], verbs: [patch] } in the namespace argocd, as in deploy/argocd-access");
    assert_eq!(agent.log().matches("cannot refresh applications").count(), 1, "{}", agent.log());
    // Once permitted, it works without another push.
    wait_until("the application is refreshed", || refreshed(&scene, "app"));
    let done = Some(("Succeeded", "successfully synced (all tasks run)", commit.as_str()));
    application(&scene, "app", ours, status(("Synced", &commit), "Healthy", done));
    scene.wait_for_word("reconciled", 1);
    agent.wait_for_metric("tagalong_argocd_trouble{part=\"asking\"} 0");
    assert_eq!(agent.stop().0, 0);
}

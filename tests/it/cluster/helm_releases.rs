//! A commit that changes a HelmRelease is applied once Helm has released it, not once the object is in the cluster.

use super::scene::{NEW, READY, Scene, wait_for_query};
use crate::support::cluster::{Fault, HELM_RELEASES};

/// A HelmRelease in `apps/app`, whose Kustomization has another one as well.
fn scene() -> Scene {
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: { name: app, namespace: apps }\nspec:\n  values:\n    image:\n      repository: HOST/org/app\n      tag: aaaaaa1\n";
    let scene = Scene::with(&[("apps/app/x.yaml", release)]);
    scene.cluster.release("app", UPGRADED, 1, 1, 1);
    // It always fails, and has nothing to do with the app.
    scene.cluster.release("other", ("False", "UpgradeFailed", "no"), 1, 1, 1);
    scene
}

const UPGRADED: (&str, &str, &str) = ("True", "UpgradeSucceeded", "Helm upgrade succeeded for release apps/app.v2");

#[test]
fn a_commit_is_applied_once_the_release_is_ready_at_its_generation() {
    let scene = scene();
    let agent = scene.agent("");
    let commit = scene.deploy("aaaaaa2", NEW);
    // The object is in the cluster, and the controller has not noticed yet.
    scene.cluster.release("app", UPGRADED, 2, 1, 1);
    scene.cluster.kustomize("apps", "./apps", READY, &commit, &commit);
    wait_for_query(&scene.cluster, HELM_RELEASES);
    scene.cluster.release("app", ("Unknown", "Progressing", "Running 'upgrade' action"), 2, 2, 1);
    wait_for_query(&scene.cluster, HELM_RELEASES);
    assert!(scene.told("reconciled").is_empty());
    scene.cluster.release("app", UPGRADED, 2, 2, 2);
    scene.wait_for_word("reconciled", 1);
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"applied\"} 1");
    assert!(scene.told("reconcile-failed").is_empty());
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_failed_upgrade_is_reported_with_the_words_of_helm_and_so_is_its_recovery() {
    let scene = scene();
    let agent = scene.agent("");
    let commit = scene.deploy("aaaaaa2", NEW);
    scene.cluster.kustomize("apps", "./apps", READY, &commit, &commit);
    let words = "Helm upgrade failed for release apps/app with chart app@1.0.0: context deadline exceeded";
    scene.cluster.release("app", ("False", "UpgradeFailed", words), 2, 2, 1);
    let word = scene.wait_for_word("reconcile-failed", 1);
    assert_eq!(word["title"], "app aaaaaa2 could not be applied by flux-system/apps (UpgradeFailed)", "{word}");
    assert_eq!(word["detail"], format!("HelmRelease apps/app: {words}").as_str());
    assert!(scene.told("reconciled").is_empty());
    scene.cluster.release("app", UPGRADED, 2, 2, 2);
    scene.wait_for_word("reconciled", 1);
    assert_eq!((scene.told("reconcile-failed").len(), agent.stop().0), (1, 0));
}

#[test]
fn a_release_that_does_not_finish_is_named() {
    let scene = scene();
    let agent = scene.agent(", timeout: 5s");
    let commit = scene.deploy("aaaaaa2", NEW);
    let words = "HelmChart 'flux-system/apps-app' is not ready: no artifact available";
    scene.cluster.release("app", ("False", "SourceNotReady", words), 2, 2, 1);
    scene.cluster.kustomize("apps", "./apps", READY, &commit, &commit);
    let word = scene.wait_for_word("reconcile-failed", 1);
    let detail = format!("it has applied main@sha1:{commit}; HelmRelease apps/app: SourceNotReady: {words}");
    assert_eq!(word["detail"], detail.as_str(), "{word}");
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"overdue\"} 1");
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn releases_that_may_not_be_read_are_left_out_and_the_rule_is_named_once() {
    let scene = scene();
    scene.cluster.trouble("GET", HELM_RELEASES, Fault::Status(403), usize::MAX);
    let agent = scene.agent("");
    let commit = scene.deploy("aaaaaa2", NEW);
    agent.wait_for("resources: [helmreleases], verbs: [list] } in the namespace apps");
    wait_for_query(&scene.cluster, HELM_RELEASES);
    scene.cluster.release("app", ("Unknown", "Progressing", "Running 'upgrade' action"), 2, 2, 1);
    scene.cluster.kustomize("apps", "./apps", READY, &commit, &commit);
    scene.wait_for_word("reconciled", 1);
    assert_eq!(agent.log().matches("less is known about commits").count(), 1, "{}", agent.log());
    agent.wait_for_metric("tagalong_flux_trouble{part=\"watching\"} 0");
    assert_eq!(agent.stop().0, 0);
}

//! The outcome of a commit is reported once, whichever process pushed it: what is pending follows from git.

use serde_json::json;

use super::scene::{BEFORE, BUSY, NEW, NEWER, READY, Scene, wait_for_query};
use crate::support::cluster::KUSTOMIZATIONS;
use crate::support::process::wait_until;

const FLUX: &str = "flux: { gitRepository: { name: infra } }";

#[test]
fn a_restarted_agent_reports_what_its_predecessor_could_not_and_nothing_twice() {
    let scene = Scene::new();
    // It is killed right after its push.
    let agent = scene.agent("");
    let commit = scene.deploy("aaaaaa2", NEW);
    drop(agent);
    scene.cluster.kustomize("apps", "./apps", BUSY, BEFORE, &commit);
    let agent = scene.agent("");
    wait_for_query(&scene.cluster, KUSTOMIZATIONS);
    scene.cluster.kustomize("apps", "./apps", READY, &commit, &commit);
    let word = scene.wait_for_word("reconciled", 1);
    assert_eq!((&word["commit"], &word["tag"]), (&commit.as_str().into(), &"aaaaaa2".into()), "{word}");
    agent.wait_for_metric("tagalong_reconcile_duration_seconds_count 1");
    assert_eq!(agent.stop().0, 0);

    let agent = scene.agent("");
    let before = scene.cluster.asked().len();
    wait_until("the cluster is queried", || {
        scene.cluster.asked()[before..].iter().any(|asked| asked.ends_with("kustomizations"))
    });
    // A later commit is reported, so everything about the earlier one has been.
    let commit = scene.deploy("aaaaaa3", NEWER);
    scene.cluster.kustomize("apps", "./apps", READY, &commit, &commit);
    let word = scene.wait_for_word("reconciled", 2);
    assert_eq!((&word["commit"], scene.told("reconciled").len()), (&commit.as_str().into(), 2), "{word}");
    agent.wait_for_metric("tagalong_reconcile_total{outcome=\"superseded\"} 0");
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_failure_that_nobody_lived_to_report_is_reported_after_a_restart() {
    let scene = Scene::new();
    let agent = scene.agent("");
    let commit = scene.deploy("aaaaaa2", NEW);
    drop(agent);
    let words = "Deployment.apps \"app\" is invalid";
    scene.cluster.kustomize("apps", "./apps", ("False", "ReconciliationFailed", words), BEFORE, &commit);
    let agent = scene.agent("");
    let word = scene.wait_for_word("reconcile-failed", 1);
    assert_eq!((&word["commit"], &word["detail"]), (&json!(commit), &json!(words)), "{word}");
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_replica_that_takes_over_reports_what_the_last_leader_pushed() {
    let scene = Scene::new();
    let cluster = |seconds: u32| {
        format!("leaderElection: {{ leaseDuration: {seconds}s, renewDeadline: 3s, retryPeriod: 200ms }}\n  {FLUX}")
    };
    let first = scene.replica("pod-a", &cluster(4));
    first.wait_for("cycle finished");
    let second = scene.replica("pod-b", &cluster(4));
    let commit = scene.deploy("aaaaaa2", NEW);
    drop(first);
    second.wait_for("cycle finished");
    scene.cluster.kustomize("apps", "./apps", BUSY, BEFORE, &commit);
    wait_for_query(&scene.cluster, KUSTOMIZATIONS);
    scene.cluster.kustomize("apps", "./apps", READY, &commit, &commit);
    let word = scene.wait_for_word("reconciled", 1);
    assert_eq!(word["commit"], commit.as_str(), "{word}");
    second.wait_for_metric("tagalong_reconcile_total{outcome=\"applied\"} 1");
    assert_eq!(second.stop().0, 0);
}

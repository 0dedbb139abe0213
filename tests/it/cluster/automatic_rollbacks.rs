//! With `cluster.onFailure: rollback`, a commit that Flux or Argo CD could not apply is taken back, once and only if what it
//! replaced is known to have worked. What was done follows from git.

use serde_json::{Value, json};

use super::scene::{BEFORE, NEW, NEWER, READY, Scene, wait_for_query};
use crate::support::agent::Agent;
use crate::support::cluster::{APPLICATIONS, KUSTOMIZATIONS};
use crate::support::process::wait_until;

const ROLLBACK: &str = "flux: { gitRepository: { name: infra } }\n  onFailure: rollback";
const FILE: &str = "apps/app/x.yaml";
const UNHEALTHY: (&str, &str, &str) =
    ("False", "HealthCheckFailed", "timeout waiting for: [Deployment/apps/app\nstatus: 'InProgress']");
const NEWEST: &str = "2026-04-04T10:00:00Z";

/// A scene whose Kustomization has applied the branch.
fn healthy() -> (Scene, String) {
    let scene = Scene::new();
    let first = scene.stage.origin.tip();
    scene.cluster.kustomize("apps", "./apps", READY, &first, &first);
    (scene, first)
}

fn deploys(scene: &Scene, tag: &str) -> bool {
    scene.stage.origin.read(FILE).contains(&format!("{tag}\n"))
}

/// Waits for the rollback to a tag, and returns its commit.
fn wait_for_rollback(scene: &Scene, tag: &str) -> String {
    wait_until("the commit is taken back", || deploys(scene, tag));
    scene.stage.origin.tip()
}

/// Lets some cycles go by, and checks that the branch stays where it is.
fn nothing_more(scene: &Scene, agent: &Agent, tip: &str) {
    let before = agent.cycles();
    wait_until("some cycles are done", || agent.cycles() > before + 3);
    assert_eq!(scene.stage.origin.tip(), tip, "{}", agent.log());
}

/// Waits until the agent says why it does not take a commit back.
fn wait_for_refusal(agent: &Agent, why: &str) {
    agent.wait_for("a commit that could not be applied is not taken back");
    assert!(agent.log().contains(why), "{}", agent.log());
}

#[test]
fn a_failing_commit_is_taken_back_with_a_hold_and_the_next_tag_is_deployed() {
    let (scene, first) = healthy();
    let agent = scene.agent_with(ROLLBACK);
    let failing = scene.deploy("aaaaaa2", NEW);
    scene.cluster.kustomize("apps", "./apps", UNHEALTHY, &first, &failing);
    let rollback = wait_for_rollback(&scene, "aaaaaa1");
    let (message, image) = (scene.stage.origin.message(), scene.stage.image("app"));
    let reason = format!(
        "Tagalong-Reason: Kustomization flux-system/apps failed with {}: HealthCheckFailed: timeout waiting for: \
         [Deployment/apps/app status: 'InProgress']\n",
        &failing[..7]
    );
    assert!(message.starts_with("rollback: app aaaaaa2 -> aaaaaa1\n"), "{message}");
    for line in [&format!("Tagalong-Rollback: {image} aaaaaa2"), "Tagalong-Actor: tagalong\n", &reason] {
        assert!(message.contains(line), "{line}: {message}");
    }
    scene.wait_for_word("updated", 2);
    scene.wait_for_word("reconcile-failed", 1);
    nothing_more(&scene, &agent, &rollback);
    scene.cluster.kustomize("apps", "./apps", READY, &rollback, &rollback);
    scene.wait_for_word("reconciled", 1);
    let held = scene.stage.tagalong(&["explain", &image]);
    assert!(held.stdout.contains("aaaaaa2") && held.stdout.contains("held"), "{}", held.stdout);
    let newer = scene.deploy("aaaaaa3", NEWER);
    scene.cluster.kustomize("apps", "./apps", READY, &newer, &newer);
    scene.wait_for_word("reconciled", 2);
    nothing_more(&scene, &agent, &newer);
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn by_default_a_failing_commit_is_only_reported() {
    let (scene, first) = healthy();
    let agent = scene.agent("");
    let failing = scene.deploy("aaaaaa2", NEW);
    scene.cluster.kustomize("apps", "./apps", UNHEALTHY, &first, &failing);
    scene.wait_for_word("reconcile-failed", 1);
    nothing_more(&scene, &agent, &failing);
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_commit_on_top_of_a_failure_is_not_taken_back() {
    let (scene, first) = healthy();
    // A person has broken something else that the same Kustomization deploys.
    let broken = scene.stage.origin.commit("break it", &[("apps/other/y.yaml", "kind: Nothing\n")]);
    scene.cluster.kustomize("apps", "./apps", UNHEALTHY, &first, &broken);
    let agent = scene.agent_with(ROLLBACK);
    let failing = scene.deploy("aaaaaa2", NEW);
    scene.cluster.kustomize("apps", "./apps", UNHEALTHY, &first, &failing);
    scene.wait_for_word("reconcile-failed", 1);
    agent.wait_for("is not taken back");
    nothing_more(&scene, &agent, &failing);
    assert_eq!(agent.stop().0, 0);

    // Git alone says so after a restart, when the earlier failure can no longer be seen.
    let agent = scene.agent_with(ROLLBACK);
    wait_for_refusal(&agent, "apps/other/y.yaml had changed before");
    nothing_more(&scene, &agent, &failing);
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_kustomization_that_failed_without_any_commit_is_not_the_fault_of_the_next_one() {
    let (scene, first) = healthy();
    scene.cluster.kustomize("apps", "./apps", UNHEALTHY, &first, &first);
    let agent = scene.agent_with(ROLLBACK);
    let failing = scene.deploy("aaaaaa2", NEW);
    wait_for_query(&scene.cluster, KUSTOMIZATIONS);
    scene.cluster.kustomize("apps", "./apps", UNHEALTHY, &first, &failing);
    wait_for_refusal(&agent, "it is not known that the version before was healthy");
    nothing_more(&scene, &agent, &failing);
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_rollback_that_fails_as_well_is_final_even_after_a_restart() {
    let (scene, first) = healthy();
    let agent = scene.agent_with(ROLLBACK);
    let failing = scene.deploy("aaaaaa2", NEW);
    scene.cluster.kustomize("apps", "./apps", UNHEALTHY, &first, &failing);
    let rollback = wait_for_rollback(&scene, "aaaaaa1");
    scene.cluster.kustomize("apps", "./apps", UNHEALTHY, &first, &rollback);
    wait_for_refusal(&agent, "it is a rollback itself");
    nothing_more(&scene, &agent, &rollback);
    assert_eq!(agent.stop().0, 0);

    let agent = scene.agent_with(ROLLBACK);
    wait_for_refusal(&agent, "it is a rollback itself");
    nothing_more(&scene, &agent, &rollback);
    // A newer tag fails in the same way; the version before it was never applied since.
    let newer = scene.deploy("aaaaaa3", NEWEST);
    scene.cluster.kustomize("apps", "./apps", UNHEALTHY, &first, &newer);
    wait_until("the newer commit is reported", || agent.log().matches("is not taken back").count() >= 2);
    nothing_more(&scene, &agent, &newer);
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_restart_before_the_rollback_does_not_lose_it() {
    let (scene, first) = healthy();
    let agent = scene.agent_with(ROLLBACK);
    let failing = scene.deploy("aaaaaa2", NEW);
    drop(agent);
    scene.cluster.kustomize("apps", "./apps", UNHEALTHY, &first, &failing);
    let agent = scene.agent_with(ROLLBACK);
    let rollback = wait_for_rollback(&scene, "aaaaaa1");
    nothing_more(&scene, &agent, &rollback);
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_commit_that_a_person_deployed_is_not_taken_back() {
    let (scene, first) = healthy();
    scene.stage.registry.push("org/app", "aaaaaa2", NEW);
    let set = scene.stage.tagalong(&["set", &format!("{}:aaaaaa2", scene.stage.image("app"))]);
    assert_eq!(set.code, 0, "{}", set.stderr);
    let failing = scene.stage.origin.tip();
    scene.cluster.kustomize("apps", "./apps", UNHEALTHY, &first, &failing);
    let agent = scene.agent_with(ROLLBACK);
    wait_for_refusal(&agent, "it is not an update by policies");
    nothing_more(&scene, &agent, &failing);
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_rollback_that_cannot_be_verified_is_an_error_and_changes_nothing() {
    let (scene, first) = healthy();
    let agent = scene.agent_with(ROLLBACK);
    let failing = scene.deploy("aaaaaa2", NEW);
    scene.stage.registry.untag("org/app", "aaaaaa1");
    scene.cluster.kustomize("apps", "./apps", UNHEALTHY, &first, &failing);
    agent.wait_for("automatic rollback failed");
    let word = scene.wait_for_word("reconcile-failed", 2);
    assert!(word["title"].as_str().expect("a title").starts_with("the automatic rollback failed: "), "{word}");
    nothing_more(&scene, &agent, &failing);
    assert_eq!(agent.stop().0, 0);
}

/// An application of the app, synchronized with `history` before and then with `failing`, which made it unhealthy.
fn degraded(scene: &Scene, history: &str, failing: &str, since: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": { "name": "app", "namespace": "argocd" },
        "spec": { "source": { "repoURL": scene.stage.sshd.url(&scene.stage.origin), "path": "apps/app" } },
        "status": {
            "sync": { "status": "Synced", "revision": failing },
            "health": { "status": "Degraded", "message": "exceeded its progress deadline", "lastTransitionTime": since },
            "history": [{ "id": 0, "revision": history }, { "id": 1, "revision": failing }],
            "operationState": {
                "phase": "Succeeded", "startedAt": "2026-11-26T10:00:00Z", "syncResult": { "revision": failing },
            },
        },
    })
}

#[test]
fn a_degraded_application_is_taken_back_unless_it_was_degraded_before() {
    for (since, is_taken_back) in [("2026-11-26T09:00:00Z", false), ("2026-11-26T10:05:00Z", true)] {
        let scene = Scene::new();
        let first = scene.stage.origin.tip();
        let agent = scene.agent_with("argocd: { applications: [app] }\n  onFailure: rollback");
        let failing = scene.deploy("aaaaaa2", NEW);
        scene.cluster.put(&format!("{APPLICATIONS}/app"), degraded(&scene, &first, &failing, since));
        if is_taken_back {
            let rollback = wait_for_rollback(&scene, "aaaaaa1");
            assert!(scene.stage.origin.message().contains("Tagalong-Reason: Application argocd/app failed with"));
            nothing_more(&scene, &agent, &rollback);
        } else {
            wait_for_refusal(&agent, "it is not known that the version before was healthy");
            nothing_more(&scene, &agent, &failing);
        }
        assert_eq!(agent.stop().0, 0);
    }
}

#[test]
fn what_was_never_applied_is_not_gone_back_to() {
    let scene = Scene::new();
    let agent = scene.agent_with(ROLLBACK);
    let failing = scene.deploy("aaaaaa2", NEW);
    scene.cluster.kustomize("apps", "./apps", UNHEALTHY, BEFORE, &failing);
    wait_for_refusal(&agent, "it is not known that the version before was healthy");
    nothing_more(&scene, &agent, &failing);
    assert_eq!(agent.stop().0, 0);
}

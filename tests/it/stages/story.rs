//! The life of a release: it soaks, is approved, waits for its window, and enters; and what people do past all that.

use serde_json::Value;

use super::scene::{Scene, why};
use crate::support::git::git;

const STAGES: &str = "stages:\n- { name: beta, paths: ['beta/**'] }\n\
    - { name: live, paths: ['live/**'], from: beta, soak: 1h, windows: [market], approval: { by: signature } }\n\
    windows:\n- name: market\n  timeZone: America/New_York\n  closed: [{ days: mon-fri, from: '09:30', to: '16:00' }]\n";

/// A release in beta since 10:00 on a Wednesday.
fn in_beta() -> Scene {
    let mut scene = Scene::new(STAGES);
    scene.stage.registry.push("org/app", "aaaaaa2", "2026-04-02T10:00:00Z");
    scene.set_clock(0, "10:00");
    scene.sync().ok();
    assert_eq!((scene.held("beta").as_str(), scene.held("live").as_str()), ("aaaaaa2", "aaaaaa1"));
    scene
}

#[test]
fn an_approved_release_waits_for_the_window_and_enters_when_it_opens() {
    let mut scene = in_beta();
    scene.set_clock(0, "10:30");
    let (reason, detail) = why(&scene.sync().ok(), "live");
    assert!(reason == "soaking" && detail.contains("soaking in beta until"), "{detail}");
    scene.set_clock(0, "12:00");
    let (reason, detail) = why(&scene.sync().ok(), "live");
    assert!(reason == "approval" && detail.contains("0 of 1 approvals by signature"), "{detail}");
    assert!(detail.contains("the window market is closed (mon-fri 09:30-16:00)"), "{detail}");
    scene.set_clock(0, "14:00");
    let missing = scene.run(&["promote", "live"]);
    assert!(missing.code == 3 && missing.stdout.contains("0 of 1 approvals"), "{missing:#?}");
    scene.run_as("ada", &["approve", "live"]).ok();
    let again = scene.run_as("ada", &["approve", "live"]).fails_with(2);
    assert!(again.stderr.contains("no release waits for an approval"), "{again:#?}");
    scene.set_clock(0, "15:59");
    let (reason, detail) = why(&scene.sync().ok(), "live");
    assert!(reason == "window" && !detail.contains("approval"), "{detail}");
    scene.set_clock(0, "16:00");
    scene.sync().ok();
    assert_eq!(scene.held("live"), "aaaaaa2");
    let message = scene.stage.origin.message();
    for expected in [
        "promote: app aaaaaa2 to live\n",
        "Tagalong-Evidence: soak ",
        "Tagalong-Approved: ada@example.com by signature",
    ] {
        assert!(message.contains(expected), "{expected}\n{message}");
    }
    assert_eq!(scene.unproved(), []);
    let history = scene.run(&["history", "--stage", "live", "--output", "json"]).ok().json();
    let only = &history[0];
    assert_eq!((&only["act"], &only["from"], &only["to"]), (&"promote".into(), &"aaaaaa1".into(), &"aaaaaa2".into()));
    let kinds: Vec<&Value> = only["evidence"].as_array().expect("a list").iter().map(|item| &item["kind"]).collect();
    assert_eq!(kinds, ["soak", "approval"]);
    let csv = scene.run(&["history", "--output", "csv"]).ok().stdout;
    assert!(
        csv.starts_with("at,commit,stage,file,path,image,from,to,digest,actor,actorProof,act,reason,evidence,signature,signer,signingKey,signatureReason\n"),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 3, "{csv}");
}

#[test]
fn approvals_that_do_not_count_are_named_with_the_reason() {
    let mut scene = in_beta();
    scene.set_clock(0, "17:00");
    let board = scene.run(&["stages", "--output", "json"]).ok().json();
    let live = board.as_array().expect("cells").iter().find(|cell| cell["stage"] == "live").expect("a cell").clone();
    let order =
        format!("approve\n\nTagalong-Approve: live {} (aaaaaa2)\n", live["next"]["id"].as_str().expect("an ID"));
    let unsigned = scene.stage.origin.commit(&order, &[]);
    let home = scene.stage.home();
    git(home, &["clone", "--quiet", "infra.git", "person"]);
    let work = home.join("person");
    let key = format!("user.signingKey={}", home.join("eve").display());
    git(&work, &["-c", "gpg.format=ssh", "-c", &key, "commit", "-S", "--quiet", "--allow-empty", "-m", &order]);
    git(&work, &["push", "--quiet", "origin", "HEAD:main"]);
    let signed = scene.stage.origin.tip();
    let fingerprint = std::process::Command::new("ssh-keygen").arg("-lf").arg(home.join("eve.pub")).output();
    let fingerprint = String::from_utf8(fingerprint.expect("ssh-keygen starts").stdout).expect("text");
    let fingerprint = fingerprint.split(' ').nth(1).expect("a fingerprint");
    let expected = format!(
        "0 of 1 approvals by signature for aaaaaa2; the approval in commit {} does not count: not signed; \
         the approval in commit {} does not count: signed with an unknown key ({fingerprint})",
        &unsigned[..7],
        &signed[..7]
    );
    // From the commits, and from what the run before has saved.
    for _ in 0..2 {
        let (reason, detail) = why(&scene.sync().ok(), "live");
        assert_eq!((reason.as_str(), detail.as_str()), ("approval", expected.as_str()));
    }
    let agent = scene.agent();
    agent.wait_for("cycle finished");
    let page = agent.get("/stages").body;
    assert!(page.contains("does not count: not signed"), "{page}");
    // One that counts is enough.
    scene.run_as("ada", &["approve", "live"]).ok();
    scene.sync().ok();
    assert_eq!(scene.held("live"), "aaaaaa2");
}

#[test]
fn an_approval_is_for_one_release_and_for_what_is_in_the_stage_before() {
    let mut scene = in_beta();
    scene.set_clock(0, "12:00");
    let unknown = scene.run_as("ada", &["approve", "live", "aaaaaa9"]).fails_with(2);
    assert!(unknown.stderr.contains("no release is known by the name `aaaaaa9`"), "{unknown:#?}");
    scene.run_as("ada", &["approve", "live", "aaaaaa2"]).ok();
    // A newer release soaks as well, and nobody has approved it: it does not keep the other one back.
    scene.stage.registry.push("org/app", "aaaaaa3", "2026-04-03T10:00:00Z");
    scene.set_clock(0, "13:00");
    scene.sync().ok();
    assert_eq!(scene.held("beta"), "aaaaaa3");
    scene.set_clock(0, "16:00");
    scene.sync().ok();
    assert_eq!(scene.held("live"), "aaaaaa2");
    let (reason, detail) = why(&scene.sync().ok(), "live");
    assert!(reason == "approval" && detail.contains("aaaaaa3"), "{detail}");
}

#[test]
fn what_people_do_by_hand_is_found_by_the_audit() {
    let mut scene = in_beta();
    scene.edit("live", "aaaaaa9");
    scene.set_clock(0, "17:00");
    let lacks = ["upstream: aaaaaa9 was not in beta", "window market", "approval: 0 of 1 by signature"];
    let found = scene.unproved();
    assert_eq!((found.len(), found[0].0.as_str()), (1, "aaaaaa9"));
    for (found, expected) in found[0].1.iter().zip(lacks) {
        assert!(found.starts_with(expected), "{found}");
    }
    // Returning to what was there before needs no proof.
    scene.edit("live", "aaaaaa1");
    assert_eq!(scene.unproved().len(), 1);
    let text = scene.run(&["audit"]);
    assert!(text.code == 3 && text.stdout.contains("lacks upstream: aaaaaa9 was not in beta"), "{text:#?}");
    let later = scene.run(&["audit", "--since", "2100-01-01"]).ok();
    assert!(later.stdout.starts_with("0 moves"), "{later:#?}");
}

#[test]
fn the_glass_is_broken_only_by_whom_the_agents_own_file_names() {
    let mut scene = in_beta();
    scene.set_clock(0, "10:10");
    let tip = scene.stage.origin.tip();
    for who in ["eve", "ada"] {
        let refused = scene.run_as(who, &["promote", "live", "aaaaaa2", "--break-glass"]).fails_with(2);
        assert!(refused.stderr.contains("trust.breakGlass"), "{refused:#?}");
    }
    let without = scene.run(&["promote", "live", "--break-glass"]).fails_with(2);
    assert!(without.stderr.contains("--reason"), "{without:#?}");
    // What is not skipped still counts.
    let waits = scene.run_as("carl", &["promote", "live", "aaaaaa2", "--break-glass", "--skip", "windows,approval"]);
    assert!(waits.code == 3 && waits.stdout.contains("soaking in beta"), "{waits:#?}");
    assert_eq!(scene.stage.origin.tip(), tip);
    scene.run_as("carl", &["promote", "live", "aaaaaa2", "--break-glass", "--skip", "windows,soak,approval"]).ok();
    assert_eq!(scene.held("live"), "aaaaaa2");
    let message = scene.stage.origin.message();
    for expected in
        ["Tagalong-Break-Glass: windows,soak,approval\n", "Tagalong-Actor: carl\n", "Tagalong-Reason: it has to be\n"]
    {
        assert!(message.contains(expected), "{expected}\n{message}");
    }
    let lacking = || scene.unproved().into_iter().map(|(_, lacks)| lacks.join("; ")).collect::<Vec<_>>();
    assert_eq!(lacking(), ["acknowledgement by somebody else"]);
    let marked = scene.run(&["stages"]).ok();
    assert!(marked.stderr.contains("carl@example.com skipped windows, soak, approval"), "{marked:#?}");
    scene.run_as("carl", &["acknowledge", "live"]).ok();
    assert_eq!(lacking(), ["acknowledgement by somebody else"], "he cannot acknowledge it himself");
    scene.run_as("ada", &["acknowledge", "live"]).ok();
    assert_eq!(lacking(), [""; 0]);
    assert!(!scene.run(&["stages"]).ok().stderr.contains("skipped"));
    let history = scene.run(&["history", "--stage", "live", "--output", "json"]).ok().json();
    let entry = &history[0];
    assert_eq!((&entry["act"], &entry["actorProof"]), (&"break-glass".into(), &"signature".into()));
    assert_eq!(entry["actor"], "carl@example.com");
}

#[test]
fn broken_glass_deploys_what_no_stage_has_held_but_nothing_incomplete() {
    let mut scene = in_beta();
    scene.set_clock(0, "10:10");
    let image = scene.stage.image("app");
    let missing = scene.run_as("carl", &["promote", "live", &format!("{image}:aaaaaa8"), "--break-glass"]);
    assert!(missing.code != 0 && scene.held("live") == "aaaaaa1", "{missing:#?}");
    scene.stage.registry.push("org/app", "bbbbbb8", "2026-04-01T11:00:00Z");
    let done = scene.run_as("carl", &["promote", "live", &format!("{image}:bbbbbb8"), "--break-glass"]).ok();
    assert_eq!(scene.held("live"), "bbbbbb8");
    assert!(done.stderr.contains("no stage before live has ever held"), "{done:#?}");
    // Automation goes on from there only with what arrives in beta later.
    scene.set_clock(0, "17:00");
    scene.run_as("ada", &["approve", "live", "aaaaaa2"]).ok();
    scene.sync().ok();
    assert_eq!(scene.held("live"), "bbbbbb8");
}

#[test]
fn a_job_that_sets_a_tag_skips_no_stage() {
    let scene = Scene::new(STAGES);
    scene.stage.registry.push("org/app", "aaaaaa2", "2026-04-02T10:00:00Z");
    let reference = format!("{}:aaaaaa2", scene.stage.image("app"));
    let run = scene.run(&["set", &reference]).ok();
    assert_eq!((scene.held("beta").as_str(), scene.held("live").as_str()), ("aaaaaa2", "aaaaaa1"));
    assert!(run.stderr.contains("the stage live receives its releases from another one"), "{run:#?}");
    scene.run(&["set", &reference, "--stage", "prod"]).fails_with(2);
    scene.run(&["set", &reference, "--stage", "live"]).ok();
    assert_eq!(scene.held("live"), "aaaaaa2");
    let history = scene.run(&["history", "--stage", "live", "--output", "json"]).ok().json();
    assert_eq!(history[0]["act"], "set");
}

#[test]
fn stages_are_rolled_back_one_by_one() {
    let mut scene = in_beta();
    scene.set_clock(0, "16:30");
    scene.run_as("ada", &["approve", "live", "aaaaaa2"]).ok();
    scene.sync().ok();
    assert_eq!(scene.held("live"), "aaaaaa2");
    let image = scene.stage.image("app");
    let which = scene.run(&["rollback", &image, "--reason", "errors"]).fails_with(2);
    assert!(which.stderr.contains("is in several stages: beta, live"), "{which:#?}");
    let unknown = scene.run(&["rollback", &image, "--reason", "errors", "--stage", "prod"]).fails_with(2);
    assert!(unknown.stderr.contains("there is no stage named `prod`"), "{unknown:#?}");
    scene.run(&["rollback", &image, "--reason", "errors", "--stage", "live"]).ok();
    assert_eq!((scene.held("beta").as_str(), scene.held("live").as_str()), ("aaaaaa2", "aaaaaa1"));
    let (reason, _) = why(&scene.sync().ok(), "live");
    assert_eq!((scene.held("live").as_str(), reason.as_str()), ("aaaaaa1", "held"));
    assert_eq!(scene.unproved(), []);
    assert!(git(&scene.stage.origin.path, &["log", "-1", "--format=%s"]).starts_with("rollback: app"));
}

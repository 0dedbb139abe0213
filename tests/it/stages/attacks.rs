//! What people, clocks and other agents do to stages, with a real registry, sshd and git.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::promotion::{PLAIN, at, held, sync, with_images};
use super::scene::why;
use crate::support::agent::Agent;
use crate::support::git::git;
use crate::support::infra::Stage;
use crate::support::tagalong::{self, finished};

const NEWER: &str = "2026-04-03T10:00:00Z";

/// Changes a clone and pushes that as a person whose clock is ahead by some hours.
fn push_as_person(stage: &Stage, hours: i64, change: impl FnOnce(&std::path::Path)) {
    let work = tempfile::tempdir_in(stage.home()).expect("a folder");
    git(work.path(), &["clone", "--quiet", &stage.origin.path.display().to_string(), "."]);
    change(work.path());
    git(work.path(), &["add", "--all"]);
    let date = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours);
    let mut command = Command::new("git");
    command.current_dir(work.path()).args(["commit", "--quiet", "--allow-empty", "-m", "a person's work"]);
    command.envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.com")]);
    command.envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.com")]);
    assert!(command.env("GIT_COMMITTER_DATE", date.to_string()).status().expect("git starts").success());
    git(work.path(), &["push", "--quiet", "origin", "HEAD:main"]);
}

/// What the moves lack that the audit finds, with the tags that they moved to.
fn unproved(stage: &Stage, stages: &str) -> Vec<(String, String)> {
    let audit = at(stage, stages, 0, &["audit", "--output", "json"]).json();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let found = audit["unproved"].as_array().expect("a list").iter();
    found.map(|found| (text(&found["to"]), text(&found["lacks"][0]))).collect()
}

#[test]
fn a_clock_that_is_ahead_lengthens_no_stay() {
    let stages = PLAIN.replace("from: beta }", "from: beta, soak: 2h }");
    let stage = with_images();
    sync(&stage, &stages, 0).ok();
    push_as_person(&stage, 8, |work| fs::write(work.join("README.md"), "hello\n").expect("written"));
    stage.registry.push("org/app", "aaaaaa3", NEWER);
    sync(&stage, &stages, 0).ok();
    assert_eq!(held(&stage), "aaaaaa3 aaaaaa1 aaaaaa1");
    // aaaaaa2 was in beta for seconds, although the commit that replaced it comes after one from eight hours later.
    let run = sync(&stage, &stages, 9).ok();
    assert_eq!(held(&stage), "aaaaaa3 aaaaaa1 aaaaaa1", "{run:#?}");
    sync(&stage, &stages, 11).ok();
    assert_eq!(held(&stage), "aaaaaa3 aaaaaa3 aaaaaa1");
}

#[test]
fn a_file_that_changes_its_stage_is_a_move() {
    let stage = with_images();
    let extra = format!("image: {}:aaaaaa9\n", stage.image("app"));
    stage.origin.commit("more", &[("beta/extra.yaml", &extra)]);
    push_as_person(&stage, 0, |work| {
        fs::rename(work.join("beta/extra.yaml"), work.join("live/extra.yaml")).expect("moved")
    });
    assert_eq!(unproved(&stage, PLAIN), [("aaaaaa9".to_owned(), "upstream: aaaaaa9 was not in paper".to_owned())]);
    // Within its stage it is none.
    push_as_person(&stage, 0, |work| {
        fs::rename(work.join("live/extra.yaml"), work.join("live/other.yaml")).expect("moved")
    });
    assert_eq!(unproved(&stage, PLAIN).len(), 1);
}

#[test]
fn an_edit_that_calls_itself_a_rollback_is_found() {
    let stage = with_images();
    let image = stage.image("app");
    let message = format!(
        "x\n\nTagalong-Update: live/app.yaml image {image} aaaaaa1 -> aaaaaa9\nTagalong-Rollback: {image} aaaaaa1 -> aaaaaa9\n"
    );
    stage.origin.commit(&message, &[("live/app.yaml", &format!("image: {image}:aaaaaa9\n"))]);
    assert_eq!(unproved(&stage, PLAIN).len(), 1);
    stage.origin.commit("back", &[("live/app.yaml", &format!("image: {image}:aaaaaa1\n"))]);
    assert_eq!(unproved(&stage, PLAIN).len(), 1, "it returns to what was there");
}

#[test]
fn what_was_taken_back_in_the_first_stage_does_not_reach_the_last() {
    let stage = with_images();
    sync(&stage, PLAIN, 0).ok();
    sync(&stage, PLAIN, 0).ok();
    assert_eq!(held(&stage), "aaaaaa2 aaaaaa2 aaaaaa1");
    let old = format!("image: {}:aaaaaa1\n", stage.image("app"));
    stage.origin.commit("Revert \"deploy: app\"", &[("beta/app.yaml", &old)]);
    let run = sync(&stage, PLAIN, 0).ok();
    assert_eq!(held(&stage), "aaaaaa1 aaaaaa2 aaaaaa1");
    let (reason, detail) = why(&run, "live");
    assert!(reason == "held" && detail.contains("aaaaaa2 was taken back in beta"), "{detail}");
}

#[test]
fn a_rollback_in_one_stage_takes_no_other_one_back() {
    let stage = with_images();
    (0..3).for_each(|_| drop(sync(&stage, PLAIN, 0).ok()));
    assert_eq!(held(&stage), "aaaaaa2 aaaaaa2 aaaaaa2");
    // Only now does a commit record which image aaaaaa1 is.
    at(&stage, PLAIN, 0, &["rollback", &stage.image("app"), "--stage", "beta", "--reason", "errors"]).ok();
    (0..3).for_each(|_| drop(sync(&stage, PLAIN, 0).ok()));
    assert_eq!(held(&stage), "aaaaaa1 aaaaaa2 aaaaaa2");
}

#[test]
fn two_agents_at_once_promote_once() {
    let stage = with_images();
    sync(&stage, PLAIN, 0).ok();
    let config = stage.home().join("staged.yaml").display().to_string();
    let agents: Vec<_> = (0..2)
        .map(|index| {
            let mut command = tagalong::command(stage.home());
            command.env("XDG_CACHE_HOME", stage.home().join(format!("cache{index}")));
            command.args(["sync", "--output", "json", "--config", &config]);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().expect("it runs")
        })
        .collect();
    for agent in agents {
        finished(agent.wait_with_output().expect("it ends")).ok();
    }
    let subjects = stage.origin.subjects();
    let to_paper = subjects.iter().filter(|subject| *subject == "promote: app aaaaaa2 to paper").count();
    assert_eq!(to_paper, 1, "{subjects:?}");
    assert_eq!(unproved(&stage, PLAIN), []);
    stage.origin.is_sound();
}

#[test]
fn a_digest_is_pinned_in_one_stage_and_not_in_the_other() {
    for pinned in ["beta", "live"] {
        let stage = with_images();
        let digest = stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
        let text = format!("image: {}:aaaaaa1@{digest}\n", stage.image("app"));
        stage.origin.commit("pin", &[(&format!("{pinned}/app.yaml"), &text)]);
        (0..3).for_each(|_| drop(sync(&stage, PLAIN, 0).ok()));
        let digest = stage.registry.push("org/app", "aaaaaa2", "2026-04-02T10:00:00Z");
        for name in ["beta", "paper", "live"] {
            let tail = if name == pinned { format!("@{digest}") } else { String::new() };
            let expected = format!("image: {}:aaaaaa2{tail}\n", stage.image("app"));
            assert_eq!(stage.origin.read(&format!("{name}/app.yaml")), expected, "{pinned} is pinned");
        }
        assert_eq!(unproved(&stage, PLAIN), []);
    }
}

#[test]
fn a_stage_that_gets_more_files_knows_their_history() {
    let stage = with_images();
    let elsewhere = PLAIN.replace("beta/**", "elsewhere/**");
    stage.origin.commit("stages", &[("tagalong.yaml", &elsewhere)]);
    let mut agent = Agent::start(stage.home(), &stage.config());
    let wait = |expected: &str| {
        let start = Instant::now();
        while held(&stage) != expected {
            assert!(start.elapsed() < Duration::from_secs(60), "{expected}: {}", agent.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    // Beta belongs to no stage, so it follows the registry.
    wait("aaaaaa2 aaaaaa1 aaaaaa1");
    let cycles = agent.cycles();
    while agent.cycles() < cycles + 2 {
        std::thread::sleep(Duration::from_millis(100));
    }
    stage.origin.commit("more files", &[("tagalong.yaml", PLAIN)]);
    wait("aaaaaa2 aaaaaa2 aaaaaa2");
    agent.signal("TERM");
    agent.wait();
}

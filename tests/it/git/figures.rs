//! The figures of `history --figures` agree with a count over git's own log, and the agent shows moves that its clone does
//! not have at first.

use jiff::Timestamp;
use serde_json::Value;

use crate::support::agent::Agent;
use crate::support::git::git;
use crate::support::infra::Stage;
use crate::support::process::wait_until;

/// When the images were built.
fn built(tag: &str) -> &'static str {
    match tag {
        "aaaaaa1" => "2026-04-01T10:00:00Z",
        "aaaaaa2" => "2026-04-02T10:00:00Z",
        "aaaaaa3" => "2026-04-03T10:00:00Z",
        _ => "2026-04-04T10:00:00Z",
    }
}

/// A branch on which tagalong deployed three versions. One was rolled back and one reverted by hand.
fn scene() -> Stage {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n"), ("note.txt", "a note\n")]);
    let push = |tag: &str| drop(stage.registry.push("org/app", tag, built(tag)));
    let image = stage.image("app");
    push("aaaaaa1");
    push("aaaaaa2");
    stage.tagalong(&["sync"]).ok();
    stage.tagalong(&["rollback", &image, "--reason", "it is slow"]).ok();
    stage.origin.commit("a note of a person", &[("note.txt", "another note\n")]);
    push("aaaaaa3");
    stage.tagalong(&["sync"]).ok();
    stage.origin.commit("back by hand", &[("app.yaml", &format!("image: {image}:aaaaaa1\n"))]);
    push("aaaaaa4");
    stage.tagalong(&["sync"]).ok();
    stage
}

/// What each commit left in the file, oldest first, with its time in seconds: by git itself.
fn log(stage: &Stage) -> Vec<(i64, String)> {
    let folder = &stage.origin.path;
    let commits = git(folder, &["log", "--first-parent", "--reverse", "--format=%H %ct", "main"]);
    let held = |line: &str| {
        let (commit, time) = line.split_once(' ').expect("two words");
        let text = git(folder, &["show", &format!("{commit}:app.yaml")]);
        (time.parse().expect("seconds"), text.trim().rsplit(':').next().expect("a tag").to_owned())
    };
    commits.lines().map(held).collect()
}

#[test]
fn figures_agree_with_a_count_over_the_log() {
    let stage = scene();
    // A version that was not there before is a deployment, and one that was takes the last deployment back.
    let mut deployments: Vec<(i64, String, Option<i64>)> = Vec::new();
    let mut held: Vec<String> = Vec::new();
    for (at, tag) in log(&stage) {
        match held.last() {
            Some(last) if *last == tag => continue,
            Some(_) if held.contains(&tag) => {
                let last = deployments.last_mut().expect("one");
                last.2 = Some(at - last.0);
            }
            Some(_) => deployments.push((at, tag.clone(), None)),
            None => {}
        }
        held.push(tag);
    }
    let tags: Vec<&str> = deployments.iter().map(|(_, tag, _)| tag.as_str()).collect();
    assert_eq!(tags, ["aaaaaa2", "aaaaaa3", "aaaaaa4"]);
    let mut leads: Vec<i64> = deployments.iter().map(|(at, tag, _)| at - seconds(built(tag))).collect();
    let mut restored: Vec<i64> = deployments.iter().filter_map(|(_, _, back)| *back).collect();
    leads.sort_unstable();
    restored.sort_unstable();

    let figures = stage.tagalong(&["history", "--figures", "--output", "json"]).ok().json();
    assert_eq!((&figures["deployments"], &figures["takenBack"]), (&3.into(), &2.into()), "{figures}");
    assert_eq!(figures["leadTime"]["medianSeconds"], leads[1], "{figures}");
    assert_eq!(figures["leadTime"]["known"], 3, "{figures}");
    assert_eq!(figures["timeToRestore"]["medianSeconds"], restored[0], "{figures}");
    let rate = figures["changeFailureRate"].as_f64().expect("a share");
    assert!((rate - 2.0 / 3.0).abs() < 1e-9, "{figures}");
    let weeks = figures["weeks"].as_array().expect("weeks");
    let sum = |key: &str| weeks.iter().map(|week| week[key].as_i64().expect("a number")).sum::<i64>();
    assert_eq!((sum("deployments"), sum("takenBack")), (3, 2), "{figures}");

    // A time without deployments, another image, and the other formats.
    let none = stage.tagalong(&["history", "--figures", "--since", "2100-01-01", "--output", "json"]).ok().json();
    assert_eq!((&none["deployments"], &none["changeFailureRate"]), (&0.into(), &Value::Null), "{none}");
    let other = stage.tagalong(&["history", "--figures", "ghcr.io/org/other", "--output", "json"]).ok().json();
    assert_eq!(other["deployments"], 0);
    let text = stage.tagalong(&["history", "--figures"]).ok().stdout;
    assert!(text.contains("66.7 %, 2 taken back") && text.contains("WEEK"), "{text}");
    let csv = stage.tagalong(&["history", "--figures", "--output", "csv"]).ok().stdout;
    assert!(csv.starts_with("week,deployments,takenBack,leadTimeSeconds\n"), "{csv}");
}

#[test]
fn the_agent_shows_moves_that_its_clone_does_not_have_at_first() {
    let stage = scene();
    let config = stage.config_with("shallow.yaml", "depth: 1");
    let agent = Agent::start(&stage.home().join("elsewhere"), &config);
    let page = format!("/images/{}", stage.image("app"));
    wait_until("all moves are known", || agent.get(&page).body.contains("rolled back"));
    let body = agent.get(&page).body;
    let count = |text: &str| body.matches(text).count();
    assert_eq!((count(">deployed<"), count(">rolled back<"), count(">by hand<")), (3, 1, 1), "{body}");
    assert!(body.contains("it is slow") && body.contains("back by hand"), "{body}");

    // A branch that was rewritten has other moves.
    let first = git(&stage.origin.path, &["rev-list", "--max-parents=0", "main"]);
    git(&stage.origin.path, &["update-ref", "refs/heads/main", first.trim()]);
    wait_until("it starts over", || {
        let body = agent.get(&page).body;
        body.matches(">deployed<").count() == 1 && !body.contains("rolled back")
    });
    assert_eq!(agent.stop().0, 0);
}

fn seconds(time: &str) -> i64 {
    time.parse::<Timestamp>().expect("a time").as_second()
}

//! The log of the agent says what lasts when it begins and when it ends, and nothing about it in between.

use serde_json::Value;

use crate::support::agent::Agent;
use crate::support::infra::Stage;
use crate::support::process::wait_until;

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";

/// The lines of the log whose message starts like this.
fn lines(agent: &Agent, message: &str) -> Vec<Value> {
    let log = agent.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"].as_str().is_some_and(|text| text.starts_with(message))).collect()
}

/// Waits until three more cycles have finished.
fn three_cycles(agent: &Agent) {
    let before = lines(agent, "cycle finished").len();
    wait_until("three more cycles", || lines(agent, "cycle finished").len() >= before + 3);
}

#[test]
fn what_is_kept_back_is_logged_when_it_begins_and_when_it_ends() {
    let files: Vec<String> = (1..=7).map(|number| format!("apps/{number}.yaml")).collect();
    let mut tree: Vec<(&str, &str)> = files.iter().map(|name| (&**name, "image: HOST/org/app:aaaaaa1\n")).collect();
    tree.push(("broken.yaml", "image: HOST/org/app:aaaaaa1\na: [\n"));
    let stage = Stage::new(&tree);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    stage.registry.push("org/app", "aaaaaa2", NEW);
    let image = stage.image("app");
    stage.tagalong(&["hold", &image, "--reason", "freeze"]).ok();

    let agent = Agent::start(stage.home(), &stage.config());
    three_cycles(&agent);
    let kept = lines(&agent, "kept back");
    assert_eq!(kept.len(), 1, "{kept:#?}");
    assert_eq!((&kept[0]["level"], &kept[0]["fields"]), (&"WARN".into(), &7.into()), "{kept:#?}");
    assert_eq!((&kept[0]["image"], &kept[0]["reason"]), (&image.as_str().into(), &"held".into()), "{kept:#?}");
    let notes = lines(&agent, "broken.yaml: left alone");
    assert!(notes.len() == 1 && notes[0]["level"] == "WARN", "{notes:#?}\n{}", agent.log());

    // Nothing is said about what has not changed, whatever else does.
    stage.origin.commit("Mend the file", &[("broken.yaml", "a: []\n")]);
    wait_until("the note has ended", || !lines(&agent, "no longer the case: broken.yaml").is_empty());
    three_cycles(&agent);
    assert_eq!(lines(&agent, "kept back").len(), 1);

    stage.tagalong(&["resume", &image, "--reason", "freeze is over"]).ok();
    wait_until("it moves", || !lines(&agent, "updated").is_empty());
    three_cycles(&agent);
    let over = lines(&agent, "no longer kept back");
    assert_eq!(over.len(), 1, "{over:#?}");
    assert_eq!((&over[0]["level"], &over[0]["fields"]), (&"INFO".into(), &7.into()), "{over:#?}");
    let again = ["kept back", "broken.yaml", "no longer the case: broken.yaml"].map(|text| lines(&agent, text).len());
    assert_eq!((again, lines(&agent, "updated").len()), ([1, 1, 1], 7));
}

#[test]
fn what_a_pull_request_proposes_is_logged_once() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    stage.registry.push("org/app", "aaaaaa2", NEW);
    let agent = Agent::start(stage.home(), &stage.config_with("proposing.yaml", "pushBranch: updates"));
    three_cycles(&agent);
    let proposed = lines(&agent, "proposed");
    assert_eq!((proposed.len(), &proposed[0]["to"]), (1, &"aaaaaa2".into()), "{proposed:#?}");
    assert!(lines(&agent, "updated").is_empty(), "{}", agent.log());

    let merged = format!("image: {}:aaaaaa2\n", stage.image("app"));
    stage.origin.commit("Merge it", &[("app.yaml", &merged)]);
    wait_until("it is merged", || !lines(&agent, "no longer proposed").is_empty());
    three_cycles(&agent);
    assert_eq!((lines(&agent, "proposed").len(), lines(&agent, "no longer proposed").len()), (1, 1));
}

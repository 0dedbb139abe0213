//! The agent verifies by schedule that what is deployed can still be pulled, without delaying a cycle.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::agent::Agent;
use crate::support::infra::Stage;
use crate::support::process::wait_until;
use crate::support::scripted::{self, Scripted};

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";
const NEWER: &str = "2026-04-03T10:00:00Z";

/// A configuration with more keys in its `agent` section, more of everything else, and a channel that gets all events.
fn config(stage: &Stage, channel: &Scripted, agent: &str, change: impl FnOnce(String) -> String) -> PathBuf {
    let text = fs::read_to_string(stage.config()).expect("there");
    let url = stage.home().join("url");
    fs::write(&url, format!("http://{}/news\n", channel.host())).expect("written");
    let text = change(text.replace("agent: { ", &format!("agent: {{ {agent}, ")));
    let file = stage.home().join("deployed.yaml");
    fs::write(&file, format!("{text}notify:\n- webhook: {{ urlFile: {} }}\n", url.display())).expect("written");
    file
}

fn channel() -> Scripted {
    Scripted::start(|_| scripted::json(200, json!({}), &[]))
}

fn told(channel: &Scripted, kind: &str) -> Vec<Value> {
    let bodies = channel.asked().into_iter().filter_map(|asked| serde_json::from_str::<Value>(&asked.body).ok());
    bodies.filter(|body| body["kind"] == kind).collect()
}

fn wait_for_word(channel: &Scripted, kind: &str) -> Value {
    wait_until(&format!("{kind} is told"), || !told(channel, kind).is_empty());
    told(channel, kind).pop().expect("told")
}

#[test]
fn a_deployed_image_that_breaks_is_reported_once_and_so_is_its_repair() {
    let stage = Stage::new(&[("apps/app/x.yaml", "a: 1\nimage: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    let layer = stage.registry.manifest("org/app", "aaaaaa1")["layers"][0]["digest"].as_str().expect("one").to_owned();
    let channel = channel();
    let agent = Agent::start(stage.home(), &config(&stage, &channel, "verifyDeployed: 200ms", |text| text));
    agent.wait_for("deployed images verified");
    agent.wait_for_metric("tagalong_deployed_broken_images 0");
    stage.registry.lose(&layer);
    let word = wait_for_word(&channel, "deployed-broken");
    let image = format!("{}:aaaaaa1", stage.image("app"));
    assert_eq!(word["title"], format!("{image} is deployed, but broken in its registry"), "{word}");
    let detail = word["detail"].as_str().expect("a detail");
    assert!(detail.contains(&format!("a layer {layer} is missing")), "{word}");
    assert!(
        detail.contains("help: push the image again") && detail.ends_with("deployed by apps/app/x.yaml:2"),
        "{word}"
    );
    agent.wait_for_metric("tagalong_deployed_broken_images 1");
    let page = agent.get("/").body;
    assert!(page.contains("broken in its registry") && page.contains(&stage.image("app")), "{page}");
    // It lasts for several verifications.
    let verified = |agent: &Agent| agent.log().matches("deployed images verified").count();
    let before = verified(&agent);
    wait_until("it is verified again", || verified(&agent) >= before + 3);
    assert_eq!(
        (told(&channel, "deployed-broken").len(), agent.log().matches("a deployed image is broken").count()),
        (1, 1)
    );
    stage.registry.push("org/app", "aaaaaa1", OLD);
    assert_eq!(wait_for_word(&channel, "recovered")["title"], format!("{image} is complete again"));
    agent.wait_for_metric("tagalong_deployed_broken_images 0");
    agent.wait_for("a deployed image is complete again");
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn tags_that_a_cleanup_would_delete_are_warned_of() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    for (tag, built) in [("aaaaaa1", OLD), ("aaaaaa2", NEW), ("aaaaaa3", NEWER)] {
        stage.registry.push("org/app", tag, built);
    }
    let channel = channel();
    let keep = |text: String| text.replace("  tags: {", "  keep: 2\n  tags: {");
    let agent = Agent::start(stage.home(), &config(&stage, &channel, "suspend: true, verifyDeployed: 200ms", keep));
    agent.wait_for_metric("tagalong_deployed_expiring_images 1");
    agent.wait_for("2 tags are newer; a cleanup that keeps 2 would delete this one");
    let page = agent.get("/").body;
    assert!(page.contains("about to be deleted by a cleanup") && page.contains("2 tags are newer"), "{page}");
    let verified = |agent: &Agent| agent.log().matches("deployed images verified").count();
    let before = verified(&agent);
    wait_until("it is verified again", || verified(&agent) >= before + 2);
    assert_eq!(agent.log().matches("a deployed image is about to be deleted").count(), 1, "{}", agent.log());
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn a_registry_that_does_not_answer_delays_no_cycle_and_proves_nothing() {
    let silent = Scripted::start(|_| None);
    let files = format!("image: {}/org/else:v1\n", silent.host());
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n"), ("else.yaml", &files)]);
    stage.registry.push("org/app", "aaaaaa1", OLD);
    let channel = channel();
    let plain = format!("registries:\n- {{ host: \"{}\", plainHttp: true, timeout: 10s }}\n", silent.host());
    let change = |text: String| text.replace("registries:\n", &plain);
    let agent = Agent::start(stage.home(), &config(&stage, &channel, "verifyDeployed: 1h", change));
    wait_until("the silent registry is asked", || !silent.asked().is_empty());
    stage.registry.push("org/app", "aaaaaa2", NEW);
    wait_until("it is deployed", || stage.origin.read("app.yaml").ends_with("aaaaaa2\n"));
    assert!(!agent.log().contains("deployed images verified"), "{}", agent.log());
    // An agent that is asked to stop does not wait for it either.
    let (code, log) = agent.stop();
    assert!(code == 0 && !log.contains("deployed images verified"), "{log}");
    assert_eq!(told(&channel, "deployed-broken"), [Value::Null; 0]);
}

//! What a running agent tells about stages: events, metrics and the board on its status page.

use std::fs;

use serde_json::{Value, json};

use crate::support::agent::Agent;
use crate::support::process::wait_until;
use crate::support::prometheus;
use crate::support::scripted::{self, Scripted};

use super::scene::Scene;

const STAGES: &str = "stages:\n- { name: beta, paths: ['beta/**'] }\n\
    - { name: live, paths: ['live/**'], from: beta, soak: 1h, windows: [market], approval: { by: signature } }\n\
    windows:\n- name: market\n  timeZone: America/New_York\n  closed: [{ days: mon-fri, from: '09:30', to: '16:00' }]\n";

/// The events that a channel got, apart from those about commits.
fn told(server: &Scripted) -> Vec<(String, String)> {
    let events = server.asked().into_iter().map(|asked| serde_json::from_str::<Value>(&asked.body).expect("JSON"));
    let text = |event: &Value, key: &str| event[key].as_str().expect("a text").to_owned();
    let events = events.map(|event| (text(&event, "kind"), text(&event, "title")));
    events.filter(|(kind, _)| kind != "updated").collect()
}

fn wait_for_event(server: &Scripted, kind: &str, title: &str) {
    let is_it = |(own, told): &(String, String)| own == kind && told == title;
    wait_until(&format!("{kind}: {title}"), || told(server).iter().any(is_it));
}

fn has(agent: &Agent, text: &str) -> bool {
    agent.get("/").body.contains(text)
}

#[test]
fn people_learn_what_begins_and_the_board_and_metrics_show_what_waits() {
    let server = Scripted::start(|_| scripted::json(200, json!({}), &[]));
    let mut scene = Scene::new(STAGES);
    let url = scene.stage.home().join("url");
    fs::write(&url, format!("http://{}/hook", server.host())).expect("written");
    scene.stages.push_str(&format!("notify:\n- webhook: {{ urlFile: {} }}\n", url.display()));
    scene.stage.registry.push("org/app", "aaaaaa2", "2026-04-02T10:00:00Z");
    scene.set_clock(0, "10:00");
    let agent = scene.agent();
    wait_until("beta moves", || scene.held("beta") == "aaaaaa2");
    agent.wait_for_metric("tagalong_releases{stage=\"live\",state=\"soak\"} 1");
    agent.wait_for_metric("tagalong_promotions_total{stage=\"live\"} 0");
    wait_until("the board shows it", || has(&agent, "soaking in beta until"));
    assert_eq!(told(&server), [], "nobody has to do anything yet");

    scene.set_clock(0, "12:00");
    wait_for_event(&server, "waiting-approval", "app aaaaaa2 waits for approval to enter live");
    agent.wait_for_metric("tagalong_releases{stage=\"live\",state=\"approval\"} 1");
    scene.run_as("ada", &["approve", "live", "aaaaaa2"]).ok();
    agent.wait_for_metric("tagalong_releases{stage=\"live\",state=\"window\"} 1");
    scene.set_clock(0, "15:00");
    let waited = || agent.metric("tagalong_release_waiting_seconds{stage=\"live\",gate=\"window\"}");
    wait_until("it has waited for hours", || waited() >= 3.0 * 3600.0);
    assert!(scene.held("live") == "aaaaaa1" && has(&agent, "the window market is closed"));
    scene.set_clock(0, "16:00");
    wait_for_event(&server, "window-opened", "the windows of live are open for app aaaaaa2");
    wait_for_event(&server, "promoted", "app aaaaaa2 was promoted from beta to live");
    agent.wait_for_metric("tagalong_promotions_total{stage=\"live\"} 1");
    agent.wait_for_metric("tagalong_releases{stage=\"live\",state=\"up-to-date\"} 1");

    scene.stage.registry.push("org/app", "aaaaaa3", "2026-04-03T10:00:00Z");
    wait_until("beta moves", || scene.held("beta") == "aaaaaa3");
    scene.run_as("carl", &["promote", "live", "aaaaaa3", "--break-glass"]).ok();
    let broken = "carl@example.com broke the glass of live: windows, soak, checks, approval skipped";
    wait_for_event(&server, "break-glass", broken);
    agent.wait_for_metric("tagalong_break_glass_unacknowledged{stage=\"live\"} 1");
    prometheus::check(&agent);
    assert!(has(&agent, "The glass of live was broken"));
    scene.run_as("ada", &["acknowledge", "live"]).ok();
    let over = "somebody else has acknowledged that carl@example.com broke the glass of live";
    wait_for_event(&server, "recovered", over);
    assert!(!agent.get("/metrics").body.contains("tagalong_break_glass_unacknowledged{"));
    let kinds: Vec<String> = told(&server).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["waiting-approval", "window-opened", "promoted", "break-glass", "recovered"], "each once");
    assert_eq!(agent.stop().0, 0);
}

#[test]
fn commands_show_each_stage_with_its_conditions() {
    let mut scene = Scene::new(STAGES);
    scene.stage.registry.push("org/app", "aaaaaa2", "2026-04-02T10:00:00Z");
    scene.set_clock(0, "10:00");
    scene.sync().ok();
    scene.set_clock(0, "12:00");
    let tip = scene.stage.origin.tip();
    let image = scene.stage.image("app");
    let all = scene.run(&["explain", &image, "--output", "json"]).ok().json();
    let names: Vec<&Value> = all["stages"].as_array().expect("a list").iter().map(|stage| &stage["stage"]).collect();
    assert_eq!(names, ["beta", "live"]);
    let gates = |explained: &Value| -> Vec<(String, String)> {
        let live = explained["stages"].as_array().expect("a list").iter().find(|stage| stage["stage"] == "live");
        let gates = live.expect("live")["gates"].as_array().expect("a list").clone();
        let text = |gate: &Value, key: &str| gate[key].as_str().expect("a text").to_owned();
        gates.iter().map(|gate| (text(gate, "gate"), text(gate, "result"))).collect()
    };
    let expected = [("soak", "passed"), ("window", "waiting"), ("approval", "waiting")];
    assert_eq!(gates(&all), expected.map(|(gate, result)| (gate.to_owned(), result.to_owned())));
    let live = scene.run(&["explain", &image, "--stage", "live"]).ok().stdout;
    assert!(live.contains("live holds aaaaaa1; next: aaaaaa2\n"), "{live}");
    assert!(live.contains("  passed  soak: ") && live.contains("  waits   approval: 0 of 1 approvals"), "{live}");
    assert!(live.contains("live/app.yaml") && !live.contains("beta/app.yaml"), "{live}");
    let unknown = scene.run(&["explain", &image, "--stage", "prod"]).fails_with(2);
    assert!(unknown.stderr.contains("there is no stage named `prod`"), "{unknown:#?}");
    let status = scene.run(&["status"]).ok().stdout;
    let words: Vec<Vec<&str>> = status.lines().map(|line| line.split_whitespace().take(5).collect()).collect();
    assert_eq!(words[0], ["IMAGE", "STAGE", "CURRENT", "CANDIDATE", "STATE"]);
    assert_eq!(words[1], [&image, "beta", "aaaaaa2", "-", "up-to-date"]);
    assert_eq!(words[2], [&image, "live", "aaaaaa1", "aaaaaa2", "approval"]);
    assert_eq!(scene.stage.origin.tip(), tip, "nothing was written");
}

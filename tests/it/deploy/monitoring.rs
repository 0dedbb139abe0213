//! The alerts and the dashboard of `deploy/monitoring`, tried with Prometheus itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use ::tagalong::fault::documentation;
use serde_json::{Value, json};

use crate::support::agent::Agent;
use crate::support::infra::Stage;
use crate::support::manifests::{deploy, the};
use crate::support::process::wait_until;
use crate::support::prometheus::{Prometheus, get, promtool};
use crate::support::scripted::Scripted;
use crate::support::yaml;

/// The groups of rules.
fn groups() -> Vec<Value> {
    the("PrometheusRule", "tagalong")["spec"]["groups"].as_array().expect("groups").clone()
}

/// The alerts.
fn alerts() -> Vec<Value> {
    groups().iter().flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&fs::read_to_string(deploy("monitoring/dashboard.json")).expect("a dashboard")).expect("JSON")
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().expect("a list").clone()
}

/// The expression of a panel or an annotation, with all images and all stages selected.
fn expression(holder: &Value) -> String {
    let expression = holder["expr"].as_str().expect("an expression");
    expression.replace("$image", ".*").replace("$stage", ".*")
}

/// The expressions of the dashboard.
fn shown() -> Vec<String> {
    let dashboard = dashboard();
    let targets = list(&dashboard["panels"]).into_iter().flat_map(|panel| list(&panel["targets"]));
    let annotations = list(&dashboard["annotations"]["list"]);
    targets.chain(annotations).map(|holder| expression(&holder)).collect()
}

/// The expressions of the alerts and of the dashboard.
pub fn expressions() -> Vec<String> {
    alerts().iter().map(expression).chain(shown()).collect()
}

/// The name of an alert.
fn name(alert: &Value) -> String {
    alert["alert"].as_str().expect("a name").to_owned()
}

#[test]
fn alerts_parse_and_say_what_is_wrong_and_how_bad_it_is() {
    for alert in alerts() {
        for text in ["summary", "description"] {
            assert!(alert["annotations"][text].as_str().is_some_and(|text| text.ends_with('.')), "{alert}");
        }
        let severity = alert["labels"]["severity"].as_str().expect("a severity");
        assert!(["critical", "warning", "info"].contains(&severity), "{alert}");
    }
    let (monitor, service) = (the("ServiceMonitor", "tagalong"), the("Service", "tagalong"));
    assert_eq!(monitor["spec"]["endpoints"][0]["port"], service["spec"]["ports"][0]["name"]);

    // Expressions of the dashboard and the documentation become recording rules, which promtool can check.
    let recorded = |(n, expression): (usize, String)| json!({ "record": format!("r{n}"), "expr": expression });
    let text = fs::read_to_string(deploy("../docs/metrics.md")).expect("the documentation");
    let examples = text.split("```promql\n").skip(1).filter_map(|rest| rest.split("```").next()).map(str::to_owned);
    let recorded: Vec<Value> = shown().into_iter().chain(examples).enumerate().map(recorded).collect();
    assert!(recorded.len() >= 25, "{recorded:?}");
    let mut groups = groups();
    groups.push(json!({ "name": "dashboard", "rules": recorded }));
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("rules.json"), json!({ "groups": groups }).to_string()).expect("written");
    promtool(folder.path(), &["check", "rules", "rules.json"], "");
}

#[test]
fn each_alert_is_silent_then_fires_at_the_first_event_then_resolves() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/deploy/alerts.yaml"));
    let text = text.expect("the tests of the alerts");
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("rules.json"), json!({ "groups": groups() }).to_string()).expect("written");
    fs::write(folder.path().join("alerts.yaml"), &text).expect("written");
    promtool(folder.path(), &["test", "rules", "alerts.yaml"], "");

    let mut tested: BTreeMap<String, Vec<bool>> = BTreeMap::new();
    for test in yaml::documents(&text).iter().flat_map(|document| list(&document["tests"])) {
        for case in list(&test["alert_rule_test"]) {
            let fires = !list(&case["exp_alerts"]).is_empty();
            tested.entry(case["alertname"].as_str().expect("a name").to_owned()).or_default().push(fires);
        }
    }
    let expected = alerts().iter().map(|alert| (name(alert), vec![false, true, false])).collect();
    assert_eq!(tested, expected);
}

#[test]
fn each_alert_links_to_its_section_of_the_documentation() {
    let text = fs::read_to_string(deploy("../docs/alerts.md")).expect("the documentation");
    let sections: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let alerts = alerts();
    assert_eq!(sections, alerts.iter().map(|alert| alert["alert"].as_str().expect("a name")).collect());
    for alert in &alerts {
        let anchor = name(alert).to_lowercase();
        assert_eq!(alert["annotations"]["runbook_url"], documentation(&format!("alerts.md#{anchor}")));
    }
}

#[test]
fn the_dashboard_can_be_narrowed_down_to_images_and_stages() {
    let dashboard = dashboard();
    let text = dashboard.to_string();
    for (variable, metric) in [("image", "tagalong_updates_total"), ("stage", "tagalong_releases")] {
        let variables = list(&dashboard["templating"]["list"]);
        let found = variables.iter().find(|found| found["name"] == variable).expect("a variable");
        assert_eq!(found["query"]["query"], format!("label_values({metric}, {variable})"));
        assert_eq!([&found["multi"], &found["includeAll"]], [true, true]);
        assert!(text.contains(&format!("{variable}=~\\\"${variable}\\\"")), "{variable} selects nothing");
    }
    let mut ids: Vec<u64> =
        list(&dashboard["panels"]).iter().map(|panel| panel["id"].as_u64().expect("an ID")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), list(&dashboard["panels"]).len(), "IDs of panels are unique");
}

#[test]
fn prometheus_scrapes_both_formats_and_the_dashboard_counts_every_update() {
    let stage =
        Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n"), ("web.yaml", "image: HOST/org/web:aaaaaa1\n")]);
    for (tag, built) in [("aaaaaa1", "2026-04-01T10:00:00Z"), ("aaaaaa2", "2026-04-02T10:00:00Z")] {
        stage.registry.push("org/app", tag, built);
        stage.registry.push("org/web", tag, built);
    }
    let agent = Agent::start(stage.home(), &stage.config());
    wait_until("both are updated", || agent.sum("tagalong_updates_total") == 2.0);

    // Prometheus asks for OpenMetrics; the other target only has the text format.
    let address = agent.address();
    let text = {
        let address = address.clone();
        Scripted::start(move |asked| {
            let (head, body) = get(&address, &asked.target)?;
            let media_type = head.lines().find_map(|line| line.strip_prefix("content-type: "))?.to_owned();
            Some((200, vec![("Content-Type".to_owned(), media_type)], body.into_bytes()))
        })
    };
    let targets = [address.as_str(), &text.host()];
    let prometheus = Prometheus::start(&stage.home().join("prometheus"), &targets);
    wait_until("both targets are up", || prometheus.query("sum(up) == 2").len() == 1);

    // A panel for one target. Both updates happened before Prometheus saw anything.
    let panel = |title: &str, target: &str| {
        let panels = list(&dashboard()["panels"]);
        let panel = panels.iter().find(|panel| panel["title"] == title).expect("a panel").clone();
        let expression = expression(&panel["targets"][0]);
        prometheus.query(&expression.replace("image=~\".*\"", &format!("image=~\".*\",instance=\"{target}\"")))
    };
    let today = |target: &str| panel("Updates today", target).first().map(|(_, value)| *value);
    for target in targets {
        wait_until("both updates are shown", || today(target) == Some(2.0));
    }
    stage.registry.push("org/app", "aaaaaa3", "2026-04-03T10:00:00Z");
    for target in targets {
        wait_until("the third update is shown", || today(target) == Some(3.0));
        assert_eq!(panel("Updates", target).len(), 2, "a line for each image");
    }
    let annotation = expression(&dashboard()["annotations"]["list"][0]);
    let deployed = prometheus.query(&annotation);
    let images: Vec<&Value> = deployed.iter().map(|(series, _)| &series["image"]).collect();
    assert_eq!(images.len(), 2, "{deployed:?}");
    for expression in expressions() {
        prometheus.query(&expression);
    }
    let memory = prometheus.query(&expression(&json!({ "expr":
        "process_resident_memory_bytes and on (job, instance) tagalong_build_info" })));
    assert_eq!(memory.len(), 2, "{memory:?}");
}

//! Tables in the documentation list the same names as the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tagalong::agent::outcome::Failure;
use tagalong::agent::webhook;
use tagalong::cluster::rollout::RolloutOutcome;
use tagalong::cycle::status::State;
use tagalong::notify::event;
use tagalong::plan::skip::Reason;

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).expect("text")
}

/// The names in backticks in a text.
fn names(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The names in the first column of the table with this header.
fn first_column(document: &str, header: &str) -> BTreeSet<String> {
    let rows = document.lines().skip_while(|line| *line != header).skip(2).take_while(|line| line.starts_with('|'));
    let cells: Vec<&str> = rows.filter_map(|row| row.split('|').nth(1)).collect();
    assert!(!cells.is_empty(), "there is no table `{header}`");
    names(&cells.join(" "))
}

/// The names of all values.
fn all<T: Copy>(values: &[T], name: impl Fn(T) -> &'static str) -> BTreeSet<String> {
    values.iter().map(|value| name(*value).to_owned()).collect()
}

#[test]
fn every_event_and_every_kind_of_webhook_is_listed() {
    let configuration = document("configuration.md");
    let events = all(&event::Kind::ALL, event::Kind::name);
    assert_eq!(first_column(&configuration, "| event | when |"), events);
    let kinds = all(&webhook::config::Kind::ALL, webhook::config::Kind::as_str);
    assert_eq!(first_column(&configuration, "| `kind` | sent by |"), kinds);
}

#[test]
fn every_reason_and_every_state_is_listed() {
    let operations = document("operations.md");
    assert_eq!(first_column(&operations, "| reason | meaning | what to do |"), all(&Reason::ALL, Reason::name));
    let row =
        operations.lines().find(|line| line.starts_with("| `state` | one or more")).expect("the parameter `state`");
    let states = all(&State::ALL, State::name);
    assert!(names(row).is_superset(&states), "docs/operations.md lacks some of {states:?}");
}

#[test]
fn what_to_do_is_said_for_every_event_failure_and_outcome_of_a_commit() {
    let operations = document("operations.md");
    let metrics = document("metrics.md");
    let metric = |name: &str| {
        let row = metrics.lines().find(|line| line.starts_with(&format!("| `{name}` |"))).expect("a metric");
        names(row)
    };
    let events = all(&event::Kind::ALL, event::Kind::name);
    assert_eq!(first_column(&operations, "| event | meaning | what to do |"), events);

    let failures: BTreeSet<String> = Failure::labels().map(str::to_owned).collect();
    assert_eq!(first_column(&operations, "| kind | meaning | what to do |"), failures);
    assert!(metric("tagalong_cycles_total").is_superset(&failures), "{failures:?}");

    let outcomes: BTreeSet<String> = RolloutOutcome::LABELS.map(str::to_owned).into();
    assert_eq!(first_column(&operations, "| outcome | meaning | what to do |"), outcomes);
    assert!(metric("tagalong_reconcile_total").is_superset(&outcomes), "{outcomes:?}");
}

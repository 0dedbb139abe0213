//! Tables in the documentation list the same names as the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use tagalong::agent::outcome::Failure;
use tagalong::agent::webhook;
use tagalong::cluster::rollout::RolloutOutcome;
use tagalong::cycle::error::CycleError;
use tagalong::cycle::status::State;
use tagalong::fault::Fault;
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
    let metric = |name: &str| {
        let row = operations.lines().find(|line| line.starts_with(&format!("| `{name}` |"))).expect("a metric");
        names(row)
    };
    let events = all(&event::Kind::ALL, event::Kind::name);
    assert_eq!(first_column(&operations, "| event | meaning | what to do |"), events);

    let own = values(Failure::Cycle(Box::new(CycleError::Abandoned)), failure_after);
    // The label of a failed cycle is that of its error.
    let own = own.iter().skip(1).map(Failure::label);
    let failures: BTreeSet<String> =
        values(Fault::BadInput, fault_after).into_iter().map(Fault::label).chain(own).map(str::to_owned).collect();
    assert_eq!(first_column(&operations, "| kind | meaning | what to do |"), failures);
    assert!(metric("tagalong_cycles_total").is_superset(&failures), "{failures:?}");

    let outcomes = values(RolloutOutcome::Applied { revision: String::new() }, outcome_after);
    let outcomes: BTreeSet<String> = outcomes.iter().map(|outcome| outcome.label().to_owned()).collect();
    assert_eq!(first_column(&operations, "| outcome | meaning | what to do |"), outcomes);
    assert!(metric("tagalong_reconcile_total").is_superset(&outcomes), "{outcomes:?}");
}

/// All values of a type, from the first one and a function that returns the next. Its match has an arm for each variant, so
/// that it does not compile without a new one.
fn values<T>(first: T, after: impl Fn(&T) -> Option<T>) -> Vec<T> {
    let mut values = vec![first];
    while let Some(next) = values.last().and_then(&after) {
        values.push(next);
    }
    values
}

fn fault_after(fault: &Fault) -> Option<Fault> {
    match fault {
        Fault::BadInput => Some(Fault::Blocked),
        Fault::Blocked => Some(Fault::Stale),
        Fault::Stale => Some(Fault::Transient),
        Fault::Transient => Some(Fault::Denied),
        Fault::Denied => Some(Fault::Refused),
        Fault::Refused => Some(Fault::Local),
        Fault::Local => Some(Fault::Bug),
        Fault::Bug => None,
    }
}

fn failure_after(failure: &Failure) -> Option<Failure> {
    match failure {
        Failure::Cycle(_) => Some(Failure::Overdue { after: Duration::ZERO }),
        Failure::Overdue { .. } => Some(Failure::Panicked),
        Failure::Panicked => Some(Failure::Stopped),
        Failure::Stopped => Some(Failure::Deposed),
        Failure::Deposed => None,
    }
}

fn outcome_after(outcome: &RolloutOutcome) -> Option<RolloutOutcome> {
    match outcome {
        RolloutOutcome::Applied { .. } => {
            Some(RolloutOutcome::Failed { reason: String::new(), message: String::new() })
        }
        RolloutOutcome::Failed { .. } => Some(RolloutOutcome::Overdue { state: String::new() }),
        RolloutOutcome::Overdue { .. } => Some(RolloutOutcome::Suspended { state: String::new() }),
        RolloutOutcome::Suspended { .. } => Some(RolloutOutcome::Unclaimed { state: String::new() }),
        RolloutOutcome::Unclaimed { .. } => Some(RolloutOutcome::Superseded),
        RolloutOutcome::Superseded => None,
    }
}

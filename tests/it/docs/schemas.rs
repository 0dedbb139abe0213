//! Every command that prints JSON has a schema in `docs/schemas`, and each schema describes all keys.

use std::collections::BTreeSet;
use std::fs;

use clap::{Command, CommandFactory};
use serde_json::Value;
use tagalong::cli::command_line::Cli;

use crate::support::schemas;

/// The words of all commands that print JSON.
fn commands(at: &Command, words: &[String]) -> Vec<Vec<String>> {
    let prints_json = at.get_arguments().any(|argument| {
        argument.get_id() == "output" && argument.get_possible_values().iter().any(|value| value.get_name() == "json")
    });
    let mut found: Vec<Vec<String>> = prints_json.then(|| words.to_vec()).into_iter().collect();
    for inner in at.get_subcommands() {
        found.extend(commands(inner, &[words, &[inner.get_name().to_owned()]].concat()));
    }
    found
}

#[test]
fn every_command_has_a_schema_and_every_schema_a_command() {
    let readme = fs::read_to_string(schemas::folder().join("README.md")).expect("text");
    let commands = commands(&Cli::command(), &[]);
    assert!(commands.len() > 20, "{commands:?}");
    let mut used = BTreeSet::new();
    for command in commands {
        let name = schemas::of(&command).unwrap_or_else(|| panic!("{command:?} has no schema"));
        let row = readme.lines().find(|line| line.contains(&format!("]({name}.json)"))).expect("a row");
        assert!(row.contains(&format!("`{}`", command.join(" "))), "{command:?} is not in `{row}`");
        used.insert(name);
    }
    assert_eq!(used, schemas::names());
}

/// Asserts that objects have no keys but those that are described, and that these may only be missing where that is said.
fn is_strict(schema: &Value, place: &str) {
    match schema {
        Value::Object(keys) => {
            if keys.get("type").is_some_and(|kind| kind == "object" || kind == &serde_json::json!(["object", "null"])) {
                let is_map = keys.get("additionalProperties").is_some_and(Value::is_object);
                assert!(is_map || keys.get("additionalProperties") == Some(&Value::Bool(false)), "{place}");
            }
            keys.iter().for_each(|(key, value)| is_strict(value, &format!("{place}.{key}")));
        }
        Value::Array(items) => items.iter().for_each(|item| is_strict(item, place)),
        _ => {}
    }
}

#[test]
fn schemas_allow_no_other_keys() {
    for name in schemas::names() {
        let text = fs::read_to_string(schemas::folder().join(format!("{name}.json"))).expect("text");
        is_strict(&serde_json::from_str(&text).expect("JSON"), &name);
    }
}

//! `docs/configuration.md` and `docs/tagalong.schema.json` describe exactly the keys that the code reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tagalong::config::key::{Key, Kind};
use tagalong::config::keys::keys;

use crate::support::yaml;

use super::pages::{blocks, documents};

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The parts of a text in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The kinds of top-level keys, by name.
fn top() -> BTreeMap<String, Kind> {
    keys().into_iter().filter(|key| !key.path.contains('.')).map(|key| (key.path, key.kind)).collect()
}

/// The description of each key: from the tables below its heading, and from the text below the heading itself. Keys of
/// list items are written `policies[].images`.
fn described() -> BTreeMap<String, String> {
    let text = read(&docs("configuration.md"));
    let (top, mut found) = (top(), BTreeMap::new());
    let (mut heading, mut prefix): (Option<String>, Option<String>) = (None, None);
    let mut is_table_of_keys = false;
    for line in text.lines() {
        if let Some(title) = line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with("##")) {
            let name = quoted(title).first().copied().filter(|name| top.contains_key(*name));
            heading = name.map(str::to_owned);
            prefix =
                name.map(|name| if top[name] == Kind::Sections { format!("{name}[].") } else { format!("{name}.") });
        } else if let Some(row) = line.strip_prefix("| ") {
            heading = None;
            let cells: Vec<&str> = row.trim_end().trim_end_matches('|').split('|').map(str::trim).collect();
            if cells[0] == "key" {
                is_table_of_keys = true;
            } else if let (true, Some(prefix)) = (is_table_of_keys && !cells[0].starts_with("---"), &prefix) {
                let (default, meaning) = match cells.as_slice() {
                    [_, "", meaning] => (String::new(), *meaning),
                    [_, "required", meaning] => (" Required.".to_owned(), *meaning),
                    [_, default, meaning] => (format!(" Default: {default}."), *meaning),
                    [_, meaning] => (String::new(), *meaning),
                    other => panic!("{other:?}"),
                };
                for name in quoted(cells[0]) {
                    let before = found.insert(format!("{prefix}{name}"), format!("{meaning}.{default}"));
                    assert_eq!(before, None, "{prefix}{name} is described twice");
                }
            }
        } else {
            is_table_of_keys = false;
            if let Some(name) = heading.take_if(|_| !line.is_empty()) {
                found.insert(name, first_sentence(&text, line));
            }
        }
    }
    found
}

/// The first sentence of the paragraph that starts with this line.
fn first_sentence(text: &str, line: &str) -> String {
    let paragraph = &text[text.find(line).expect("a line of the text")..];
    let paragraph = paragraph.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    let end = paragraph.find(". ").unwrap_or(paragraph.trim_end_matches('.').len());
    format!("{}.", &paragraph[..end])
}

#[test]
fn every_key_is_described_and_no_other() {
    let (keys, described) = (keys(), described());
    let known: BTreeSet<&str> = keys.iter().map(|key| key.path.as_str()).collect();
    assert_eq!(known.len(), keys.len(), "a key is read twice");
    for path in described.keys() {
        assert!(known.contains(path.as_str()), "docs/configuration.md describes {path}, which nothing reads");
    }
    for Key { path, kind } in &keys {
        let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent.trim_end_matches("[]"));
        let inner = keys.iter().any(|other| other.path.starts_with(&format!("{path}.")));
        let own = described.get(path);
        // A short section may be described as a whole, and one whose keys are all described needs no text of its own.
        let text = own.or_else(|| described.get(parent).filter(|_| path.matches('.').count() > 1));
        assert!(text.is_some() || inner, "docs/configuration.md does not describe {path}");
        let words = quoted(text.map_or("", String::as_str)).join(" ");
        if let (Kind::Choice(choices), Some(_)) = (kind, own) {
            for choice in choices {
                assert!(words.contains(choice), "docs/configuration.md does not say that {path} may be {choice}");
            }
        }
    }
}

/// The JSON Schema of the file, with descriptions from the reference.
fn schema() -> Value {
    let (keys, described) = (keys(), described());
    let mut root = object(&keys, "", &described);
    let head = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "tagalong.yaml",
        "description": "Configuration of tagalong. docs/configuration.md explains every key.",
    });
    let own = root.as_object_mut().expect("an object");
    own.extend(head.as_object().expect("an object").clone());
    root
}

/// The schema of the mapping with a prefix.
fn object(keys: &[Key], prefix: &str, described: &BTreeMap<String, String>) -> Value {
    let mut properties = Map::new();
    for Key { path, kind } in keys {
        let Some(name) = path.strip_prefix(prefix).filter(|name| !name.contains('.')) else { continue };
        let inner = || object(keys, &format!("{path}."), described);
        let mut property = match kind {
            Kind::Section => inner(),
            Kind::Sections => json!({ "type": "array", "items": object(keys, &format!("{path}[]."), described) }),
            Kind::Text => json!({ "type": "string" }),
            Kind::TextOrNumber => json!({ "type": ["string", "integer"] }),
            Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
            Kind::TextOrSection => json!({ "oneOf": [{ "type": "string" }, inner()] }),
            Kind::TextsOrSection => {
                json!({ "oneOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }, inner()] })
            }
            Kind::TextsAndSections => {
                let section = object(keys, &format!("{path}[]."), described);
                json!({ "type": "array", "items": { "oneOf": [{ "type": "string" }, section] } })
            }
            Kind::Choice(choices) => json!({ "type": "string", "enum": choices }),
            Kind::Number => json!({ "type": "integer", "minimum": 0 }),
            Kind::Boolean => json!({ "type": "boolean" }),
            Kind::Duration => json!({ "type": "string", "examples": ["30s", "5m", "1h"] }),
        };
        if let Some(text) = described.get(path) {
            property.as_object_mut().expect("an object").insert("description".to_owned(), json!(text));
        }
        properties.insert(name.to_owned(), property);
    }
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

#[test]
fn the_schema_matches_the_code() {
    let file = docs("tagalong.schema.json");
    let expected = format!("{:#}\n", schema());
    if std::env::var_os("TAGALONG_TEST_UPDATE").is_some() {
        // Replaced in one step: other tests read it at the same time.
        let new = file.with_extension("new");
        fs::write(&new, &expected).expect("written");
        fs::rename(&new, &file).expect("renamed");
    }
    assert!(
        read(&file) == expected,
        "docs/tagalong.schema.json is not what the code reads; TAGALONG_TEST_UPDATE=1 cargo test --test it docs::configuration writes it again"
    );
}

#[test]
fn the_schema_accepts_what_the_reader_accepts_and_rejects_the_rest() {
    let schema: Value = serde_json::from_str(&read(&docs("tagalong.schema.json"))).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let deploy = docs("../deploy");
    for folder in ["flux-system", "example"] {
        let config = yaml::file(&deploy.join(folder).join("tagalong.yaml"));
        let wrong: Vec<String> = validator.iter_errors(&config).map(|error| error.to_string()).collect();
        assert_eq!(wrong, [""; 0], "{folder}");
    }
    let takes = |text: &str| validator.is_valid(&yaml::documents(text)[0]);
    assert!(takes("policies: [{images: [a/b], tags: {semver: ^1.4}}, {images: [a/b], tags: {semver: {range: ^1.4}}}]"));
    assert!(takes("secrets: {gate: 'off'}"));
    for from in ["beta", "[a, b]", "{all: [a, b]}"] {
        assert!(takes(&format!(
            "stages: [{{name: live, paths: [live], from: {from}, checks: [e2e, {{flux: ready}}]}}]"
        )));
    }
    for text in [
        "git: {brnch: main}",
        "git: {depth: many}",
        "git: {batch: hour}",
        "policies: {images: [a/b]}",
        "policies: [{images: a/b}]",
        "policies: [{images: [a/b], tags: {semver: {rnge: ^1.4}}}]",
        "registries: [{host: x, plainHttp: 'yes'}]",
        "agent: {interval: 30}",
        "stages: [{name: live, paths: [live], from: {any: [beta]}}]",
        "stages: [{name: live, paths: [live], checks: [{flux: healthy}]}]",
    ] {
        assert!(!takes(text), "{text}");
    }
}

/// Checks all YAML examples in the documentation that are configurations.
#[test]
fn every_example_is_valid() {
    let schema: Value = serde_json::from_str(&read(&docs("tagalong.schema.json"))).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let top = top();
    let mut count = 0;
    for (file, text) in documents() {
        for block in blocks(&text, "yaml") {
            for document in yaml::documents(&block) {
                let is_ours = document.as_object().is_some_and(|map| map.keys().all(|key| top.contains_key(key)));
                if is_ours {
                    count += 1;
                    let wrong: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
                    assert_eq!(wrong, [""; 0], "{}:\n{block}", file.display());
                }
            }
        }
    }
    assert!(count >= 5, "only {count} examples were found");
}

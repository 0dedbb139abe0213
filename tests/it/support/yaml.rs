//! YAML as values, for tests that read manifests and pipelines.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// The documents in a text, without empty ones.
#[track_caller]
pub fn documents(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    all.into_iter().filter(|document| !document.is_null()).collect()
}

/// The only document in a file.
#[track_caller]
pub fn file(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut all = documents(&text);
    assert_eq!(all.len(), 1, "{}", path.display());
    all.remove(0)
}

/// The strings of a list; empty if there is no list.
pub fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

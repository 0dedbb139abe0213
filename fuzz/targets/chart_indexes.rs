//! Indexes of Helm repositories: each version of a chart is taken once, in order, and nothing else. What is JSON is read
//! by another reader as well.

use std::collections::HashSet;

use serde_json::{Map, Value};
use tagalong::image::Tag;
use tagalong::image::chart::tag_of;
use tagalong::registry::chart_index::Charts;

pub fn run(bytes: &[u8]) {
    if let Ok(charts) = Charts::read(bytes) {
        for chart in ["shop", "other"] {
            let versions = charts.versions(chart).unwrap_or_default();
            let tags: HashSet<&Tag> = versions.iter().map(|version| &version.tag).collect();
            assert_eq!(tags.len(), versions.len(), "each once");
        }
    }
    // Without duplicate keys, which readers treat differently.
    let Ok(document) = serde_json::from_slice::<Value>(bytes) else { return };
    let Some(Value::Object(entries)) = document.get("entries") else { return };
    let has_long_keys = entries.keys().any(|key| key.len() > 1_000);
    let Ok(charts) = Charts::read(document.to_string().as_bytes()) else { return };
    for (chart, list) in entries.iter().filter(|_| !has_long_keys) {
        let Value::Array(list) = list else { continue };
        let mut seen = HashSet::new();
        let listed = list.iter().filter_map(|entry| version(entry.as_object()?));
        let expected: Vec<Tag> = listed.filter(|tag| seen.insert(tag.clone())).collect();
        let versions = charts.versions(chart).expect("listed").iter().map(|version| version.tag.clone());
        assert_eq!(versions.collect::<Vec<Tag>>(), expected, "{chart}");
    }
}

/// The version of an entry that was not removed.
fn version(entry: &Map<String, Value>) -> Option<Tag> {
    if entry.get("removed").is_some_and(|removed| matches!(removed, Value::Bool(true)) || removed == "true") {
        return None;
    }
    match entry.get("version")? {
        Value::Array(_) | Value::Object(_) => None,
        Value::String(text) => tag_of(text).ok(),
        other => tag_of(&other.to_string()).ok(),
    }
}

//! Pages of a list of tags: all valid tags are taken, in order, and nothing else.

use serde_json::Value;
use tagalong::registry::tags::tags_on_page;

pub fn run(bytes: &[u8]) {
    let Ok((tags, count)) = tags_on_page(bytes) else { return };
    let Ok(Value::Object(document)) = serde_json::from_slice(bytes) else { return };
    let names: &[Value] = document.get("tags").and_then(Value::as_array).map_or(&[], Vec::as_slice);
    assert_eq!(count, names.len());
    // No input of the fuzzer has more names than are taken.
    let valid = names.iter().filter_map(|name| name.as_str()?.parse().ok());
    assert!(tags.into_iter().eq(valid));
}

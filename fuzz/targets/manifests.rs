//! Manifests and indexes: what is accepted is one of the two, and platforms are those that the document lists.

use jiff::Timestamp;
use serde_json::Value;
use tagalong::registry::manifest::Manifest;

pub fn run(bytes: &[u8]) {
    let Ok(manifest) = serde_json::from_slice::<Manifest>(bytes) else { return };
    // Duplicate keys and arrays in place of objects are read differently, and a registry gains nothing by them.
    let Ok(Value::Object(document)) = serde_json::from_slice(bytes) else { return };
    let entries = |key: &str| document.get(key).and_then(Value::as_array).map_or(0, Vec::len);
    let has_config = document.get("config").is_some_and(|config| !config.is_null());
    assert_eq!(manifest.config.is_some(), has_config);
    assert!(!(manifest.is_index() && manifest.is_neither()));
    assert_eq!(manifest.is_index(), !has_config && document.get("manifests").is_some_and(Value::is_array));
    assert!(manifest.layers().count() <= entries("layers"));
    assert!(manifest.platforms().count() <= entries("manifests"));
    for platform in manifest.platforms() {
        assert!(!platform.platform().is_some_and(|platform| platform.is_unknown()));
    }
    for layer in manifest.layers() {
        layer.is_foreign();
    }
    assert!(manifest.created().is_none_or(|created| created > Timestamp::UNIX_EPOCH));
    let labels = manifest.source_labels();
    for label in [labels.revision, labels.source].into_iter().flatten() {
        assert!(!label.is_empty() && label.trim() == label);
    }
}

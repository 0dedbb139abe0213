//! Image configs: no more is found than the document says.

use jiff::Timestamp;
use serde_json::Value;
use tagalong::registry::manifest::ImageConfig;

pub fn run(bytes: &[u8]) {
    let Ok(config) = ImageConfig::read(bytes) else { return };
    assert!(config.created().is_none_or(|created| created > Timestamp::UNIX_EPOCH));
    let labels = config.source_labels();
    for label in [labels.revision, labels.source].into_iter().flatten() {
        assert!(!label.is_empty() && label.trim() == label);
    }
    let Ok(Value::Object(document)) = serde_json::from_slice(bytes) else { return };
    let has = |key: &str| document.get(key).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    assert_eq!(config.platform().is_some(), has("os") && has("architecture"));
}

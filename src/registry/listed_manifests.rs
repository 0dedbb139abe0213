//! The manifests that an index lists, for proof of origin. Runtimes read an index with other libraries, which ignore the case
//! of keys and choose platforms in ways of their own. So this takes no view on which manifest would be chosen: all of them
//! count, and an index that can be read in two ways lists none.
//!
//! OCI image specification 1.1, section "OCI Image Index Specification".

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The media types of indexes.
const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
/// The keys that decide what a runtime pulls.
const KEYS: [&str; 9] =
    ["mediaType", "manifests", "digest", "platform", "architecture", "os", "variant", "config", "layers"];
/// What attestations have as their platform, which no runtime has.
const UNKNOWN: &str = "unknown";

/// Returns the digests of all manifests that an index lists, except attestations; `None` if it is not an index.
///
/// # Errors
/// It can be read in more than one way, or has another form.
pub fn digests(bytes: &[u8]) -> Result<Option<Vec<String>>, String> {
    let Unambiguous(index) = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let Some(manifests) = index.get("manifests") else { return Ok(None) };
    let is_index = index.get("mediaType").is_none_or(|kind| INDEXES.iter().any(|index| kind == index));
    if !is_index || index.get("config").is_some() || index.get("layers").is_some() {
        return Err("it is both an index and an image".to_owned());
    }
    let manifests = manifests.as_array().ok_or("`manifests` is not a list")?;
    let counts = |entry: &&Value| {
        let part = |name: &str| entry["platform"][name].as_str();
        (part("os"), part("architecture")) != (Some(UNKNOWN), Some(UNKNOWN))
    };
    let digest = |entry: &Value| entry["digest"].as_str().map(str::to_owned).ok_or("a manifest has no digest");
    let found: Result<Vec<String>, &str> = manifests.iter().filter(counts).map(digest).collect();
    Ok(Some(found?))
}

/// JSON in which no two keys of an object are equal when case is ignored, and known keys are spelled as specified.
struct Unambiguous(Value);

/// Returns a key as Go compares it.
fn folded(key: &str) -> String {
    key.chars().flat_map(char::to_lowercase).map(|c| if c == 'ſ' { 's' } else { c }).collect()
}

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Strict).map(Unambiguous)
    }
}

struct Strict;

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unambiguous(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let (mut values, mut seen) = (Map::new(), HashSet::new());
        while let Some((key, Unambiguous(value))) = object.next_entry::<String, Unambiguous>()? {
            let folded_key = folded(&key);
            let is_misspelled = KEYS.iter().any(|known| folded(known) == folded_key && *known != key);
            if is_misspelled || !seen.insert(folded_key) {
                return Err(A::Error::custom(format!("the key `{key}` can be read in two ways")));
            }
            values.insert(key, value);
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(entries: &str) -> String {
        format!(r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{entries}]}}"#, INDEXES[0])
    }

    const GOOD: &str = r#"{"digest":"good","size":1,"platform":{"os":"linux","architecture":"amd64"}}"#;

    #[test]
    fn all_manifests_count_except_attestations() {
        let listed = |entries: &str| digests(index(entries).as_bytes()).expect("an index").expect("an index");
        let attestation = r#"{"digest":"att","platform":{"os":"unknown","architecture":"unknown"}}"#;
        assert_eq!(listed(&format!("{GOOD},{attestation}")), ["good"]);
        for other in [
            r#"{"digest":"x","platform":{"os":"linux","architecture":"amd64"},"annotations":{"vnd.docker.reference.type":"attestation-manifest"}}"#,
            r#"{"digest":"x","platform":{"os":"","architecture":"amd64"}}"#,
            r#"{"digest":"x","platform":{"os":"unknown","architecture":"x86_64"}}"#,
            r#"{"digest":"x","platform":{"os":"linux","architecture":"arm"}}"#,
            r#"{"digest":"x"}"#,
        ] {
            assert_eq!(listed(&format!("{other},{GOOD}")), ["x", "good"]);
        }
        assert_eq!(digests(br#"{"config":{},"layers":[]}"#), Ok(None));
    }

    #[test]
    fn what_can_be_read_in_two_ways_lists_nothing() {
        for text in [
            format!(r#"{{"manifests":[{GOOD}],"Manifests":[]}}"#),
            format!(r#"{{"manifests":[{GOOD}],"manife\u017fts":[]}}"#),
            format!(r#"{{"manifests":[{GOOD}],"manifests":[]}}"#),
            index(r#"{"digest":"good","Digest":"evil"}"#),
            index(r#"{"digest":"x","platform":{"os":"unknown","architecture":"unknown"},"Platform":{}}"#),
            index(r#"{"digest":"x","platform":{"os":"unknown","architecture":"unknown","OS":"linux"}}"#),
            format!(r#"{{"manifests":[{GOOD}],"config":{{}}}}"#),
            format!(r#"{{"manifests":[{GOOD}],"Layers":[]}}"#),
            format!(r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[{GOOD}]}}"#),
            index(r#"{"size":1}"#),
        ] {
            assert!(digests(text.as_bytes()).is_err(), "{text}");
        }
    }
}

//! Markers: comments that name the image of the value before them.
//!
//! - `# tagalong: image=NAME[, field=tag|digest|name]`
//! - `# {"$imagepolicy": "NAMESPACE:NAME[:tag|:digest|:name]"}`, the markers of Flux's image automation

use std::collections::BTreeMap;

use crate::image::{Reference, Repository};

/// The word that makes a comment a marker of tagalong's own.
pub const OWN: &str = "tagalong:";
/// The word that makes a comment a marker of Flux.
pub const FLUX: &str = "$imagepolicy";

/// The part of a reference that a value holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Name, tag and digest.
    Whole,
    /// Only the tag.
    Tag,
    /// Only the digest.
    Digest,
    /// Only the name.
    Name,
}

/// A marker of tagalong's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnMarker {
    /// The image.
    pub image: Repository,
    /// The part, if the marker gives it.
    pub part: Option<Part>,
}

/// A marker of Flux.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FluxMarker {
    /// `NAMESPACE:NAME` of the ImagePolicy.
    pub policy: String,
    /// The part.
    pub part: Part,
}

/// A comment that looks like a marker but is not a valid one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum MarkerError {
    /// A marker of tagalong's own.
    #[error("{reason}; write # tagalong: image=NAME[, field=tag|digest|name]")]
    Own { reason: String },
    /// A marker of Flux.
    #[error("{reason}; write # {{\"$imagepolicy\": \"NAMESPACE:NAME[:tag|:digest|:name]\"}}")]
    Flux { reason: String },
}

/// Parses a marker of tagalong's own; `None` if the comment does not begin like one.
pub fn own(comment: &str) -> Option<Result<OwnMarker, MarkerError>> {
    let body = comment.trim().strip_prefix(OWN)?;
    Some(read_own(body).map_err(|reason| MarkerError::Own { reason }))
}

fn read_own(body: &str) -> Result<OwnMarker, String> {
    let (mut image, mut part) = (None, None);
    for setting in body.split(',') {
        let (key, value) =
            setting.trim().split_once('=').ok_or_else(|| format!("`{}` is not key=value", setting.trim()))?;
        match (key.trim(), value.trim()) {
            ("image", name) => {
                let reference: Reference = name.parse().map_err(|error: crate::image::ImageError| error.to_string())?;
                if !reference.version.is_empty() {
                    return Err(format!("`{name}` has a tag; give only a name"));
                }
                image = Some(reference.repository);
            }
            ("field", "tag") => part = Some(Part::Tag),
            ("field", "digest") => part = Some(Part::Digest),
            ("field", "name") => part = Some(Part::Name),
            ("field", other) => return Err(format!("`{other}` is not a valid field")),
            (other, _) => return Err(format!("`{other}` is not a valid key")),
        }
    }
    let image = image.ok_or_else(|| "`image=` is missing".to_owned())?;
    Ok(OwnMarker { image, part })
}

/// Parses a marker of Flux; `None` if the comment does not begin like one.
pub fn flux(comment: &str) -> Option<Result<FluxMarker, MarkerError>> {
    let body = comment.trim();
    (body.starts_with('{') && body.contains(FLUX))
        .then(|| read_flux(body).map_err(|reason| MarkerError::Flux { reason }))
}

fn read_flux(body: &str) -> Result<FluxMarker, String> {
    // Text may follow the object.
    let mut objects = serde_json::Deserializer::from_str(body).into_iter::<BTreeMap<String, serde_json::Value>>();
    let object = objects.next().and_then(Result::ok).ok_or_else(|| "it is not a JSON object".to_owned())?;
    let text = object.get(FLUX).and_then(serde_json::Value::as_str);
    let text = text.ok_or_else(|| format!("`{FLUX}` is not a string"))?;
    let parts: Vec<&str> = text.split(':').collect();
    let (namespace, name, part) = match parts.as_slice() {
        [namespace, name] => (namespace, name, Part::Whole),
        [namespace, name, "tag"] => (namespace, name, Part::Tag),
        [namespace, name, "digest"] => (namespace, name, Part::Digest),
        [namespace, name, "name"] => (namespace, name, Part::Name),
        _ => return Err(format!("`{text}` does not name a policy")),
    };
    if namespace.is_empty() || name.is_empty() {
        return Err(format!("`{text}` does not name a policy"));
    }
    Ok(FluxMarker { policy: format!("{namespace}:{name}"), part })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_read() {
        let marker = own(" tagalong: image=ghcr.io/a/b, field=digest ").expect("a marker").expect("a good one");
        assert_eq!((marker.image.as_str(), marker.part), ("ghcr.io/a/b", Some(Part::Digest)));
        assert_eq!(own("tagalong:image=nginx").expect("a marker").expect("a good one").part, None);
        let marker = flux(r#" {"$imagepolicy": "flux-system:app:tag"} # note"#).expect("a marker").expect("a good one");
        assert_eq!((marker.policy.as_str(), marker.part), ("flux-system:app", Part::Tag));
        assert_eq!(flux(r#"{"$imagepolicy":"ns:app"}"#).expect("a marker").expect("a good one").part, Part::Whole);
        assert_eq!(own("use tagalong: for this"), None);
        assert_eq!(flux("see $imagepolicy"), None);
    }

    #[test]
    fn mistyped_markers_are_reported() {
        for comment in [
            "tagalong: nginx",
            "tagalong: image=a/b:c",
            "tagalong: image=A!",
            "tagalong: field=tag",
            "tagalong: image=a/b, field=x",
            "tagalong: image=a/b, fild=tag",
        ] {
            assert!(own(comment).expect("a marker").is_err(), "{comment}");
        }
        for comment in [
            r#"{"$imagepolicy": "app"}"#,
            r#"{"$imagepolicy": "a:b:c"}"#,
            r#"{"$imagepolicy": 1}"#,
            r#"{$imagepolicy: "a:b"}"#,
            r#"{"$imagepolicy": ":b"}"#,
        ] {
            assert!(flux(comment).expect("a marker").is_err(), "{comment}");
        }
    }
}

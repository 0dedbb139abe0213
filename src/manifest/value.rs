//! Recognises image references among scalars.
//!
//! Under a key that refers to an image, any valid reference counts. Elsewhere a text must look like an image and like
//! nothing else: `redis:6379` is an address, `system:masters` a group, `12:30` a time.

use crate::image::Reference;

/// Returns whether a key says that its value is an image: `image`, `imageName`, `sidecarImage`, `RENOVATE_IMAGE`.
pub fn key_names_image(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.ends_with("image") || key.ends_with("imagename") || key.ends_with("imageref")
}

/// Tags of images that are not versions.
const CHANNELS: [&str; 8] = ["latest", "stable", "edge", "main", "master", "nightly", "dev", "rolling"];

/// Returns whether a tag looks like a version or a commit: it contains a digit, or is a SHA that happens to contain
/// none.
pub fn looks_like_version(tag: &str) -> bool {
    tag.bytes().any(|b| b.is_ascii_digit()) || tag.len() >= 7 && tag.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Parses a scalar that is a complete reference with a tag or a digest.
pub fn reference(key: Option<&str>, value: &str) -> Option<Reference> {
    // The cheapest test comes first: it rules out nearly all scalars.
    if value.len() < 3 || !value.contains([':', '@']) || value.contains("://") {
        return None;
    }
    let reference: Reference = value.parse().ok()?;
    let version = &reference.version;
    if version.is_empty() {
        return None;
    }
    let name = Reference::written_name(value);
    if matches!(name, "sha256" | "sha512") {
        return None;
    }
    if version.digest.is_some() || name.contains('/') || key.is_some_and(key_names_image) {
        return Some(reference);
    }
    let tag = version.tag.as_ref()?.as_str();
    let is_port_or_number = tag.len() <= 5 && tag.bytes().all(|b| b.is_ascii_digit());
    let is_version = looks_like_version(tag) || CHANNELS.contains(&tag);
    let is_address = tag.split('.').count() == 4 && tag.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let name_is_number = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    (is_version && !is_port_or_number && !is_address && !name_is_number).then_some(reference)
}

/// Parses a bare name, without tag and digest, which is an image only if its key is exactly `image`.
pub fn bare_reference(key: &str, value: &str) -> Option<Reference> {
    if key != "image" {
        return None;
    }
    value.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_distinguished_from_lookalikes() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for yes in [
            "nginx:1.27",
            "ghcr.io/a/b:x",
            "a/b:8080",
            "nginx:latest",
            &format!("nginx@{digest}"),
            "app:1a2b3c4",
            "app:abcdefa",
        ] {
            assert!(reference(Some("value"), yes).is_some(), "{yes}");
        }
        for no in [
            "redis:6379",
            "localhost:5000",
            "10.0.0.1:8080",
            "system:masters",
            "12:30",
            "10:30:15",
            &digest,
            "nginx",
            "oci://ghcr.io/a/b:1",
            "https://a/b:1",
            "a: b",
            "host:port",
            "10.0.0.1:8080a1",
            "udp:192.168.42.1",
        ] {
            assert!(reference(Some("value"), no).is_none(), "{no}");
        }
        assert!(reference(Some("image"), "redis:6379").is_some());
        assert!(reference(Some("SIDECAR_IMAGE"), "app:main").is_some());
        assert!(bare_reference("image", "nginx").is_some());
        assert!(bare_reference("name", "nginx").is_none());
    }
}

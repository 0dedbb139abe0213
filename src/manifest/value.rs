//! Recognises image references among scalars.
//!
//! Under a key that refers to an image, any valid reference counts. Elsewhere a text must look like an image and like
//! nothing else: `redis:6379` is an address, `system:masters` a group, `12:30` a time, `reports:nightly` a task.

use crate::image::{Reference, Tag};

use super::values::keys::is_source_code;

/// Returns whether a key says that its value is an image: `image`, `imageName`, `sidecarImage`, `RENOVATE_IMAGE`.
pub fn key_names_image(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.ends_with("image") || key.ends_with("imagename") || key.ends_with("imageref")
}

/// Tags of images that are not versions. Branches and schedules, such as `main` and `nightly`, are not among them: after a
/// bare name they are tasks and scripts more often than tags.
const CHANNELS: [&str; 3] = ["latest", "stable", "edge"];

/// Endings of files that are images of another kind: pictures, and disks of virtual machines.
const OTHER_IMAGES: [&str; 12] =
    [".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".ico", ".iso", ".img", ".qcow2", ".vmdk", ".ova"];

/// Operating systems, in the names of machine images: `ubuntu-24.04`, `windows-2025`.
const SYSTEMS: [&str; 10] =
    ["ubuntu", "debian", "windows", "macos", "rhel", "centos", "rocky", "fedora", "cos", "flatcar"];

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
    if is_source_code(name) {
        return None;
    }
    let is_sure = version.digest.is_some() || name.contains('/') || key.is_some_and(key_names_image);
    let is_word = !name.contains('.') && name.bytes().any(|b| b.is_ascii_alphabetic());
    let is_image = is_sure || is_word && version.tag.as_ref().is_some_and(is_tag_of_bare_name);
    is_image.then_some(reference)
}

/// Returns whether a text after a bare name and a colon is a tag, rather than a port, an address or a word.
fn is_tag_of_bare_name(tag: &Tag) -> bool {
    let tag = tag.as_str();
    let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let is_port_or_number = tag.len() <= 5 && !tag.contains('.') && is_number(tag);
    let is_address = tag.split('.').count() == 4 && is_number(tag);
    (contains_version(tag) || CHANNELS.contains(&tag)) && !is_port_or_number && !is_address
}

/// Returns whether a part of a tag is a version, a number or a commit: `1.27-alpine`, `release-v1`, `main-1a2b3c4`, but not
/// `x86`.
fn contains_version(tag: &str) -> bool {
    let starts_with_digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let is_commit = |part: &str| part.len() >= 7 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let is_version = |part: &str| starts_with_digit(part.strip_prefix('v').unwrap_or(part));
    tag.split('-').any(|part| is_version(part) || is_commit(part) || part.split(['.', '_']).any(starts_with_digit))
}

/// Parses a bare name, without tag and digest, which is an image only if its key is exactly `image`, and if it is not a
/// file or the image of a machine.
pub fn bare_reference(key: &str, value: &str) -> Option<Reference> {
    if key != "image" || OTHER_IMAGES.iter().any(|ending| value.ends_with(ending)) || is_of_machine(value) {
        return None;
    }
    value.parse().ok()
}

/// Returns whether a name is that of an operating system and its version.
fn is_of_machine(name: &str) -> bool {
    let system = name.split_once('-').filter(|(system, _)| SYSTEMS.contains(system));
    system.is_some_and(|(_, version)| version.starts_with(|c: char| c.is_ascii_digit()))
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
            "app:v1",
            "app:main-1a2b3c4",
            "app:release-v2",
            "minio:RELEASE.2023-11-15T20-43-25Z",
            "postgres:alpine3.18",
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
            "etl:main",
            "reports:nightly",
            "my-project-438721:data_v20567",
            "arch:x86",
            "std:c17",
            "package.module:function_v1",
            "github.com/acme/app:v1",
        ] {
            assert!(reference(Some("value"), no).is_none(), "{no}");
        }
        assert!(reference(Some("image"), "redis:6379").is_some());
        assert!(reference(Some("SIDECAR_IMAGE"), "app:main").is_some());
        assert!(bare_reference("image", "nginx").is_some());
        assert!(bare_reference("name", "nginx").is_none());
        for other in ["logo.png", "disks/debian.qcow2", "ubuntu-24.04", "windows-2025"] {
            assert!(bare_reference("image", other).is_none(), "{other}");
        }
        assert!(bare_reference("image", "ubuntu").is_some());
    }
}

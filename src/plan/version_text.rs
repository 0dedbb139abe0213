//! Versions in trailers, where an empty one is a word too.

use crate::image::Version;

/// Writes a version that may be empty.
pub(super) fn whole(version: &Version) -> String {
    if version.is_empty() { "(none)".to_owned() } else { version.to_string() }
}

/// Reads a version that may be empty.
pub(super) fn version(text: &str) -> Option<Version> {
    if text == "(none)" { Some(Version::default()) } else { Version::parse_tag(text).ok() }
}

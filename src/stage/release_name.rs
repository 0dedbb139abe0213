//! Releases as people name them: by ID, by the start of an ID, or by tag.

use crate::image::Tag;

use super::release::ReleaseId;

/// The fewest digits by which an ID may be abbreviated.
const FEWEST_DIGITS: usize = 7;

/// A release that a name may refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRelease {
    /// Its ID.
    pub id: ReleaseId,
    /// The tag that its images share.
    pub tag: Option<Tag>,
}

/// The error of a name that does not refer to exactly one release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseNameError {
    /// It refers to none.
    #[error("no release is known by the name `{0}`")]
    Unknown(String),
    /// It refers to several.
    #[error("`{name}` may be any of several releases: {}", ids.join(", "))]
    Ambiguous {
        /// The name.
        name: String,
        /// The IDs of the releases.
        ids: Vec<String>,
    },
}

impl KnownRelease {
    /// Returns its name for people: its tag, or the start of its ID.
    pub fn short(&self) -> &str {
        self.tag.as_ref().map_or_else(|| self.id.short(), Tag::short)
    }

    fn is_named(&self, name: &str) -> bool {
        let is_start = name.len() >= FEWEST_DIGITS && self.id.as_str().starts_with(&name.to_ascii_lowercase());
        is_start || self.tag.as_ref().is_some_and(|tag| tag.as_str() == name || tag.short() == name)
    }
}

/// Finds the release that is meant. A whole ID need not be known.
pub fn find(name: &str, known: &[KnownRelease]) -> Result<KnownRelease, ReleaseNameError> {
    if let Some(id) = ReleaseId::parse(name) {
        let found = known.iter().find(|release| release.id == id).cloned();
        return Ok(found.unwrap_or(KnownRelease { id, tag: None }));
    }
    let mut found: Vec<&KnownRelease> = Vec::new();
    for release in known.iter().filter(|release| release.is_named(name)) {
        if !found.iter().any(|other| other.id == release.id) {
            found.push(release);
        }
    }
    match found.as_slice() {
        [] => Err(ReleaseNameError::Unknown(name.to_owned())),
        [release] => Ok((*release).clone()),
        several => {
            let ids = several.iter().map(|release| release.id.to_string()).collect();
            Err(ReleaseNameError::Ambiguous { name: name.to_owned(), ids })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(digits: &str, tag: Option<&str>) -> KnownRelease {
        let id = ReleaseId::parse(&format!("{digits:0<64}")).expect("an ID");
        KnownRelease { id, tag: tag.map(|tag| tag.parse().expect("a tag")) }
    }

    #[test]
    fn releases_are_found_by_what_people_know_of_them() {
        let sha = "c0ffee5000112233445566778899aabbccddeeff";
        let releases = [known("1a2b3c4d", Some("v1.2")), known("1a2b3c4e", Some(sha)), known("77", None)];
        let found = |name: &str| find(name, &releases).map(|release| release.id.as_str()[..8].to_owned());
        assert_eq!(found("v1.2").as_deref(), Ok("1a2b3c4d"));
        for name in [sha, "c0ffee5", "1a2b3c4e", "1A2B3C4E0"] {
            assert_eq!(found(name).as_deref(), Ok("1a2b3c4e"), "{name}");
        }
        let ambiguous = found("1a2b3c4").expect_err("two releases").to_string();
        assert!(ambiguous.contains(releases[0].id.as_str()) && ambiguous.contains(releases[1].id.as_str()));
        for name in ["770000", "v1", "c0ffee", ""] {
            assert_eq!(found(name), Err(ReleaseNameError::Unknown(name.to_owned())));
        }
        // The same release under two tags, and one of which nothing else is known.
        let again = [known("1a2b3c4d", Some("v1.2")), known("1a2b3c4d", Some("latest"))];
        assert_eq!(find("1a2b3c4d", &again).map(|release| release.id), Ok(again[0].id.clone()));
        let whole = "e".repeat(64);
        let release = find(&whole, &releases).expect("an ID");
        assert_eq!((release.id.as_str(), release.short()), (whole.as_str(), &whole[..12]));
    }
}

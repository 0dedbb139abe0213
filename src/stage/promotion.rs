//! A release that enters a stage, with its evidence.

use std::fmt;

use serde::Serialize;

use super::name::Name;
use super::release::{Release, ReleaseId};

/// The images of a release in a stage, which all move together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The stage.
    pub stage: Name,
    /// The name of the release's group.
    pub group: String,
    /// The proof, unless the stage follows the registry.
    pub promotion: Option<Promotion>,
}

/// A release that enters a stage after another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// The stage.
    pub stage: Name,
    /// The stages before in which the release was proven.
    pub from: Vec<Name>,
    /// The name of the release's group.
    pub group: String,
    /// The release.
    pub release: Release,
    /// How many fields it moves. It moves all of them or none.
    pub fields: usize,
    /// What proves it.
    pub evidence: Vec<Evidence>,
}

/// The kind of evidence that is an approval.
pub const APPROVAL: &str = "approval";

/// A promotion, as a commit records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedPromotion {
    /// The stage.
    pub stage: Name,
    /// The name of the release's group.
    pub group: String,
    /// The ID of the release.
    pub id: ReleaseId,
}

/// A piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// What it is about: `soak`, `check`, `window` or `approval`.
    pub kind: String,
    /// What was found.
    pub detail: String,
    /// A link to it.
    pub url: Option<String>,
}

impl Promotion {
    /// Returns the value of the trailer that records it: `live <- paper stonks 1a2b3c4 (ID)`.
    pub fn trailer(&self) -> String {
        let from: Vec<&str> = self.from.iter().map(Name::as_str).collect();
        let Promotion { stage, group, release, .. } = self;
        format!("{stage} <- {} {group} {} ({})", from.join(","), release.short(), release.id())
    }
}

impl RecordedPromotion {
    /// Reads the value of a trailer.
    pub fn read(text: &str) -> Option<RecordedPromotion> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [stage, "<-", _, group, _, id] = words.as_slice() else { return None };
        let id = ReleaseId::parse(id.strip_prefix('(')?.strip_suffix(')')?)?;
        Some(RecordedPromotion { stage: stage.parse().ok()?, group: (*group).to_owned(), id })
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.detail)?;
        self.url.iter().try_for_each(|url| write!(f, " {url}"))
    }
}

impl Evidence {
    /// Returns the trailer that records it: `Tagalong-Approved: WHO by WAY` for approvals.
    pub fn trailer(&self) -> String {
        match self.kind.as_str() {
            APPROVAL => format!("Tagalong-Approved: {}", self.detail),
            _ => format!("Tagalong-Evidence: {self}"),
        }
    }

    /// Reads an approval: `WHO by WAY`.
    pub fn approved(text: &str) -> Option<Evidence> {
        let detail = text.trim();
        (!detail.is_empty()).then(|| Evidence { kind: APPROVAL.to_owned(), detail: detail.to_owned(), url: None })
    }

    /// Reads the value of a trailer.
    pub fn read(text: &str) -> Option<Evidence> {
        let (kind, rest) = text.trim().split_once(' ')?;
        let (detail, url) = match rest.rsplit_once(' ') {
            Some((detail, url)) if url.starts_with("https://") || url.starts_with("http://") => (detail, Some(url)),
            _ => (rest, None),
        };
        Some(Evidence { kind: kind.to_owned(), detail: detail.to_owned(), url: url.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_survives_its_trailer() {
        for text in ["soak 26h 12m since 1a2b3c4", "check e2e/beta success https://ci.example.com/7"] {
            assert_eq!(Evidence::read(text).expect("evidence").to_string(), text);
        }
        assert_eq!(
            Evidence::read("check a b https://x.example/1").and_then(|evidence| evidence.url).as_deref(),
            Some("https://x.example/1")
        );
        assert!(Evidence::read("soak").is_none());
    }
}

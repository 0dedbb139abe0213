//! The versions that the fields of a tree allow an image to have.

use std::collections::{BTreeMap, BTreeSet};

use crate::cycle::deployed_tree::DeployedTree;
use crate::image::{Digest, Repository, Tag, Version};
use crate::manifest::field::Shape;
use crate::manifest::inventory::Located;

/// The number of versions that a message lists.
const LISTED: usize = 5;
/// The tag of a reference without one.
const LATEST: &str = "latest";

/// The versions of each image that a policy or a stage governs. A pod may run any of them, because overlays differ and not
/// every field is deployed everywhere.
#[derive(Debug, Default)]
pub struct Expected(BTreeMap<Repository, BTreeSet<Version>>);

/// The digests and tags of which one has to be that of a running image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// The digests that fields have.
    pub digests: Vec<Digest>,
    /// The tags of fields without a digest.
    pub tags: Vec<Tag>,
}

impl Expected {
    /// The versions that the fields of a tree have. Of an image with a field that does not say which version it deploys,
    /// nothing is known.
    pub fn of(tree: &DeployedTree) -> Expected {
        let (config, inventory) = (&tree.config, &tree.inventory);
        let followed = config.governed(inventory).map(|(located, _)| located);
        let governed = followed.chain(config.promoted(inventory).map(|(located, _)| located));
        let images = |located: &Located| {
            let field = &located.field;
            std::iter::once(field.repository.clone()).chain(field.serves_also.iter().cloned()).collect::<Vec<_>>()
        };
        let names: BTreeSet<Repository> = governed.flat_map(images).filter(|name| !name.is_chart()).collect();
        let mut versions: BTreeMap<Repository, BTreeSet<Version>> = BTreeMap::new();
        let mut vague = BTreeSet::new();
        for located in inventory.fields.iter().filter(|located| located.shadowed_by.is_none()) {
            let version = &located.field.version;
            for image in images(located).into_iter().filter(|image| names.contains(image)) {
                match (version.is_empty(), located.field.shape) {
                    // An entry that only renames an image leaves its version to another field.
                    (true, Shape::Kustomization) => {}
                    (true, _) => drop(vague.insert(image)),
                    (false, _) => drop(versions.entry(image).or_default().insert(version.clone())),
                }
            }
        }
        versions.retain(|image, _| !vague.contains(image));
        Expected(versions)
    }

    /// Returns the versions of an image, if it is governed and they are known.
    pub fn versions(&self, image: &Repository) -> Option<&BTreeSet<Version>> {
        self.0.get(image)
    }
}

/// Returns what a pod that requests a version must run for one of the expected versions to be deployed; `None` if it cannot
/// be any of them.
pub fn allowed(requested: &Version, expected: &BTreeSet<Version>) -> Option<Allowed> {
    let tag = match requested {
        Version { tag: None, digest: None } => LATEST.parse().ok(),
        Version { tag, .. } => tag.clone(),
    };
    let pinned = || expected.iter().filter_map(|version| version.digest.as_ref());
    // A digest counts, whatever the tag beside it says: it may have been added when the pod was made.
    let is_same_digest = |own: &&Digest| requested.digest.as_ref() == Some(own);
    if let Some(own) = pinned().find(is_same_digest) {
        return Some(Allowed { digests: vec![own.clone()], tags: Vec::new() });
    }
    let is_named = |version: &&Version| match (&tag, &version.tag) {
        (Some(own), Some(other)) => own == other,
        // Something has replaced the tag by its digest.
        (None, _) => true,
        (Some(_), None) => false,
    };
    let (mut digests, mut tags) = (Vec::new(), Vec::new());
    for version in expected.iter().filter(is_named) {
        match (&version.digest, &version.tag) {
            (Some(digest), _) => digests.push(digest.clone()),
            (None, Some(tag)) => tags.push(tag.clone()),
            (None, None) => {}
        }
    }
    (!digests.is_empty() || !tags.is_empty()).then_some(Allowed { digests, tags })
}

/// Returns the expected versions as text.
pub fn listed(expected: &BTreeSet<Version>) -> String {
    let mut texts: Vec<String> = expected.iter().take(LISTED).map(short).collect();
    let more = expected.len().checked_sub(LISTED).filter(|more| *more > 0);
    texts.extend(more.map(|more| format!("{more} more")));
    texts.join(", ")
}

/// Returns a version with a shortened digest: `v1@sha256:0123456789ab`.
pub fn short(version: &Version) -> String {
    let tag = version.tag.as_ref().map(ToString::to_string).unwrap_or_default();
    match &version.digest {
        Some(digest) => format!("{tag}@{}", short_digest(digest)),
        None if tag.is_empty() => LATEST.to_owned(),
        None => tag,
    }
}

/// Returns the start of a digest, which is enough to tell it from others.
pub fn short_digest(digest: &Digest) -> &str {
    let end = digest.as_str().find(':').map_or(0, |colon| colon + 13);
    digest.as_str().get(..end).unwrap_or(digest.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(character: &str) -> Digest {
        Digest::sha256(&character.repeat(64))
    }

    fn version(tag: &str, digest: Option<Digest>) -> Version {
        Version { tag: (!tag.is_empty()).then(|| tag.parse().expect("a tag")), digest }
    }

    fn judged(requested: Version, expected: &[Version]) -> Option<(usize, usize)> {
        let allowed = allowed(&requested, &expected.iter().cloned().collect())?;
        Some((allowed.digests.len(), allowed.tags.len()))
    }

    #[test]
    fn a_pod_may_have_any_of_the_expected_versions() {
        let expected = [version("v1", None), version("v2", None), version("v3", Some(digest("3")))];
        assert_eq!(judged(version("v1", None), &expected), Some((0, 1)));
        assert_eq!(judged(version("v9", None), &expected), None);
        assert_eq!(judged(version("", None), &expected), None, "latest");
        assert_eq!(judged(version("v3", Some(digest("3"))), &expected), Some((1, 0)));
        // Pinned in the repository, but not in the pod: what runs decides.
        assert_eq!(judged(version("v3", None), &expected), Some((1, 0)));
        // Pinned when the pod was made, with or without the tag.
        assert_eq!(judged(version("v1", Some(digest("1"))), &expected), Some((0, 1)));
        assert_eq!(judged(version("", Some(digest("1"))), &expected), Some((1, 2)));
        assert_eq!(judged(version("v9", Some(digest("3"))), &expected), Some((1, 0)), "the digest counts");
        assert_eq!(judged(version("v9", Some(digest("4"))), &expected), None);
    }

    #[test]
    fn versions_are_listed_briefly() {
        let many: BTreeSet<Version> = (0..7).map(|n| version(&format!("v{n}"), None)).collect();
        assert_eq!(listed(&many), "v0, v1, v2, v3, v4, 2 more");
        assert_eq!(short(&version("v1", Some(digest("a")))), "v1@sha256:aaaaaaaaaaaa");
        assert_eq!(short(&version("", None)), "latest");
    }
}

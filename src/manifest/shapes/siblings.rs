//! Values of charts: name and tag under sibling keys.

use crate::image::{Repository, Version};
use crate::manifest::field::{NameSource, Pending, Shape, Slots};
use crate::manifest::value::looks_like_version;
use crate::manifest::values::facts::ValuesPlace;
use crate::manifest::values::keys::{SiblingKeys, names_image};
use crate::manifest::values::read::path_of;
use crate::yaml::node::{Kind, NodeId};

use super::finder::{Finder, version_of};

/// A tag and a digest that are siblings.
struct Pair {
    tag: NodeId,
    digest: Option<(NodeId, NodeId)>,
    version: Version,
}

impl Finder<'_, '_> {
    /// Adds the fields of siblings: a name next to a tag, under any of the keys that charts use, merged or not.
    pub(super) fn siblings(&mut self, mapping: NodeId) {
        let scan = self.scan;
        let keys = scan.pairs(mapping).filter_map(|(key, _)| scan.scalar(key));
        let found: Vec<(&str, SiblingKeys)> = keys.filter_map(|key| Some((key, SiblingKeys::of(key)?))).collect();
        let has_own = found.iter().any(|(key, _)| *key == "tag");
        let is_merged = !has_own && scan.get(mapping, "<<").is_some() && scan.get(mapping, "tag").is_some();
        let merged = || is_merged.then(|| SiblingKeys::of("tag").map(|keys| ("tag", keys))).flatten();
        for (tag_key, keys) in found.into_iter().chain(merged()) {
            self.pair(mapping, tag_key, &keys);
        }
    }

    /// Adds the field of one tag and its siblings, or notes that its name is in another file.
    fn pair(&mut self, mapping: NodeId, tag_key: &str, keys: &SiblingKeys) -> Option<()> {
        let scan = self.scan;
        let (key, tag) = scan.pair(mapping, tag_key)?;
        let in_image = self.key_of(mapping).is_some_and(names_image);
        let values = self.values_around(mapping);
        let named = {
            let global = |path: &str| values.and_then(|(index, _)| self.global(index, path));
            keys.name(|key| scan.get_scalar(mapping, key), global, in_image)
        };
        let Some((name_key, written_name)) = named else {
            let (index, root) = values?;
            let place = ValuesPlace {
                values: index,
                mapping: path_of(scan, root, mapping)?,
                tag_key: tag_key.to_owned(),
                in_image,
            };
            return self.nameless(mapping, (key, tag), keys, place);
        };
        let (name_key, name) = scan.pair(mapping, name_key)?;
        // Siblings that are merged together are a field where they are written.
        let is_own = |key: NodeId| scan.parent(key) == Some(mapping);
        if !is_own(key) && !is_own(name_key) || is_own(key) && self.is_claimed(tag) {
            return None;
        }
        let repository = written_name.parse::<Repository>().ok()?;
        let pair = self.versions(mapping, tag, keys)?;
        let digest = pair.digest.map(|(_, value)| value);
        self.claim([name_key, name, tag].into_iter().chain(digest));
        let slots = self.slots(&pair);
        let spot = self.spot(Shape::Helm, tag, pair.version, slots);
        self.fields.push(spot.field(repository, written_name, false));
        Some(())
    }

    /// Notes a tag whose image another values file may name.
    fn nameless(
        &mut self,
        mapping: NodeId,
        (key, tag): (NodeId, NodeId),
        keys: &SiblingKeys,
        place: ValuesPlace,
    ) -> Option<()> {
        let is_own = self.scan.parent(key) == Some(mapping);
        let pair = self.versions(mapping, tag, keys).filter(|_| is_own && !self.is_claimed(tag))?;
        if pair.version.is_empty() {
            return None;
        }
        let slots = self.slots(&pair);
        let is_likely = (keys.is_sure || place.in_image)
            && pair.version.tag.as_ref().is_none_or(|tag| looks_like_version(tag.as_str()));
        let spot = self.spot(Shape::Helm, tag, pair.version, slots);
        self.pending.push(Pending { name: NameSource::Values { place, is_likely }, spot, moves_along: Vec::new() });
        Some(())
    }

    /// Reads the version of a tag with its digest; `None` if they are not a version that can be edited.
    fn versions(&self, mapping: NodeId, tag: NodeId, keys: &SiblingKeys) -> Option<Pair> {
        let scan = self.scan;
        // Some charts append a bare hash, which an edit would leave behind.
        if scan.get_scalar(mapping, "sha").is_some_and(|hash| hash.len() == 64) {
            return None;
        }
        let digest = keys.digests.iter().find_map(|key| scan.pair(mapping, key));
        let digest = digest.filter(|(_, value)| scan.scalar(*value).is_some());
        let mut version = version_of(scan.scalar(tag)?)?;
        if let Some(text) = digest.and_then(|(_, value)| scan.scalar(value)).filter(|text| !text.is_empty()) {
            version.digest = Some(text.parse().ok()?);
        }
        Some(Pair { tag, digest, version })
    }

    fn slots(&self, pair: &Pair) -> Slots {
        let scan = self.scan;
        Slots::Siblings { tag: scan.resolve(pair.tag), digest: pair.digest.map(|pair| scan.resolved(pair)) }
    }

    /// Returns the key whose value a mapping is.
    fn key_of(&self, mapping: NodeId) -> Option<&str> {
        let scan = self.scan;
        scan.parent(mapping).filter(|parent| matches!(scan.kind(*parent), Kind::Mapping))?;
        scan.scalar(scan.previous(mapping)?)
    }
}

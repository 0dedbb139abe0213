//! Values of charts: name and tag under sibling keys.

use crate::image::Repository;
use crate::manifest::field::{Shape, Slots};
use crate::yaml::node::NodeId;

use super::finder::{Finder, version_of};

impl Finder<'_, '_> {
    /// Adds the field of Helm-style siblings: `repository` (or a bare `image`) next to `tag`, merged or not.
    pub(super) fn siblings(&mut self, mapping: NodeId) {
        let scan = self.scan;
        let Some((tag_key, tag)) = scan.pair(mapping, "tag") else { return };
        let Some(tag_text) = scan.scalar(tag) else { return };
        let by_repository = scan.pair(mapping, "repository");
        let Some((name_key, name)) = by_repository.or_else(|| scan.pair(mapping, "image")) else { return };
        let Some(name_text) = scan.scalar(name) else { return };
        // Siblings that are merged together are a field where they are written.
        let is_own = |key: NodeId| scan.parent(key) == Some(mapping);
        if !is_own(tag_key) && !is_own(name_key) || is_own(tag_key) && self.is_claimed(tag) {
            return;
        }
        let registry = scan.get_scalar(mapping, "registry").filter(|registry| !registry.is_empty());
        let written_name = match registry {
            Some(registry) => format!("{registry}/{name_text}"),
            None => name_text.to_owned(),
        };
        let Ok(repository) = written_name.parse::<Repository>() else { return };
        let digest = scan.pair(mapping, "digest").filter(|(_, value)| scan.scalar(*value).is_some());
        let Some(mut version) = version_of(tag_text) else { return };
        if let Some((_, value)) = digest {
            match scan.scalar(value).filter(|text| !text.is_empty()).map(str::parse) {
                Some(Ok(digest)) => version.digest = Some(digest),
                Some(Err(_)) => return,
                None => {}
            }
        }
        self.claim([name_key, name, tag].into_iter().chain(digest.map(|(_, value)| value)));
        let slots = Slots::Siblings { tag: scan.resolve(tag), digest: digest.map(|pair| scan.resolved(pair)) };
        let spot = self.spot(Shape::Helm, tag, version, slots);
        self.fields.push(spot.field(repository, written_name, false));
    }
}

//! Sources of Argo CD applications: parameters of Helm, images of kustomize, and values as text.

use std::collections::BTreeMap;

use crate::image::{Reference, Repository};
use crate::manifest::field::{Field, NameSource, Pending, Shape, Slots, Spot};
use crate::manifest::values::facts::ValuesPlace;
use crate::manifest::values::keys::{SiblingKeys, names_image};
use crate::manifest::values::read::text_values;
use crate::yaml::node::NodeId;
use crate::yaml::place::Place;
use crate::yaml::scan::Scan;

use super::finder::{Finder, version_of};

impl Finder<'_, '_> {
    /// Adds the fields of a source whose values have an index.
    pub(in crate::manifest) fn argo_source(&mut self, source: NodeId, values: usize) {
        let scan = self.scan;
        if let Some(kustomize) = scan.get(source, "kustomize") {
            let images: Vec<NodeId> =
                scan.get(kustomize, "images").map(|list| scan.items(list).collect()).unwrap_or_default();
            images.into_iter().for_each(|image| self.kustomize_image(image));
        }
        if let Some(helm) = scan.get(source, "helm") {
            self.parameters(helm, values);
            if let Some(text) = scan.get(helm, "values") {
                self.values_text(scan.resolve(text), values);
            }
        }
    }

    /// Adds the field of `NAME:TAG`, `OLD=NEW:TAG`.
    fn kustomize_image(&mut self, image: NodeId) {
        let Some(text) = self.scan.scalar(image).filter(|_| !self.is_claimed(image)) else { return };
        let start = text.find('=').map_or(0, |at| at + 1);
        let Ok(reference) = text[start..].parse::<Reference>() else { return };
        if reference.version.is_empty() {
            return;
        }
        let written_name = Reference::written_name(&text[start..]).to_owned();
        let slots = Slots::Within { scalar: self.scan.resolve(image), part: start..text.len() };
        self.claim([image]);
        let spot = self.spot(Shape::Kustomization, image, reference.version, slots);
        self.fields.push(spot.field(reference.repository, written_name, false));
    }

    /// Adds the fields of `parameters`, each a path within the values with a value.
    fn parameters(&mut self, helm: NodeId, values: usize) {
        let scan = self.scan;
        let items: Vec<NodeId> =
            scan.get(helm, "parameters").map(|list| scan.items(list).collect()).unwrap_or_default();
        let pair = |item: &NodeId| Some((scan.get_scalar(*item, "name")?, scan.get(*item, "value")?));
        // A dot that belongs to a key is escaped.
        let all = items.iter().filter_map(pair).filter(|(name, _)| !name.contains('\\'));
        let all: BTreeMap<&str, NodeId> = all.collect();
        for name in all.keys() {
            self.parameter(name, &all, values);
        }
    }

    fn parameter(&mut self, name: &str, all: &BTreeMap<&str, NodeId>, values: usize) -> Option<()> {
        let scan = self.scan;
        let (mapping, tag_key) = name.rsplit_once('.').unwrap_or(("", name));
        let keys = SiblingKeys::of(tag_key)?;
        let in_image = names_image(mapping.rsplit('.').next()?);
        let place = ValuesPlace { values, mapping: mapping.to_owned(), tag_key: tag_key.to_owned(), in_image };
        let text = |path: &str| all.get(path).and_then(|value| scan.scalar(*value));
        let tag = *all.get(name)?;
        let version = version_of(scan.scalar(tag)?).filter(|version| !version.is_empty())?;
        let has_digest = keys.digests.iter().any(|key| text(&place.sibling(key)).is_some_and(|text| !text.is_empty()));
        if self.is_claimed(tag) || has_digest {
            return None;
        }
        let named = {
            let get = |key: &str| text(&place.sibling(key)).or_else(|| self.global(values, &place.sibling(key)));
            let global = |path: &str| text(path).or_else(|| self.global(values, path));
            keys.name(get, global, in_image).map(|(_, name)| name)
        };
        let slots = Slots::Siblings { tag: scan.resolve(tag), digest: None };
        let spot = self.spot(Shape::Helm, tag, version, slots);
        match named.map(|name| (name.parse::<Repository>(), name)) {
            Some((Ok(repository), name)) => {
                self.claim([tag]);
                self.fields.push(spot.field(repository, name, false));
            }
            Some((Err(_), _)) => {}
            None => {
                let name = NameSource::Values { place, is_likely: keys.is_sure || in_image };
                self.pending.push(Pending { name, spot, moves_along: Vec::new() });
            }
        }
        Some(())
    }

    /// Adds the fields of values that are the text of a scalar.
    fn values_text(&mut self, scalar: NodeId, values: usize) -> Option<()> {
        let scan = self.scan;
        let text = scan.scalar(scalar).filter(|_| !self.is_claimed(scalar))?;
        let inner = Scan::read(text.as_bytes()).ok()?;
        let documents: Vec<(NodeId, NodeId)> = inner.documents().collect();
        let [(document, root)] = documents.as_slice() else { return None };
        let mut finder = Finder::new(&inner, &documents);
        let release = self.values.get(values)?.release.clone();
        finder.add_values(text_values(&inner, *root, release));
        finder.walk(*document);
        let Finder { fields, pending, values: inner_values, .. } = finder;
        let first = self.values.len();
        self.values.extend(inner_values);
        let mut is_used = false;
        for field in fields {
            let Some(place) = self.place_within(scalar, &inner, &field.slots) else { continue };
            is_used = true;
            let (document, path) = self.outer(scalar, &field.path);
            let slots = Slots::Nested { scalar, inner: Box::new(field.slots) };
            self.fields.push(Field { document, path, place, slots, transformed: false, ..field });
        }
        for Pending { name, spot, .. } in pending {
            let NameSource::Values { mut place, is_likely } = name else { continue };
            let Some(position) = self.place_within(scalar, &inner, &spot.slots) else { continue };
            is_used = true;
            place.values += first;
            let (document, path) = self.outer(scalar, &spot.path);
            let slots = Slots::Nested { scalar, inner: Box::new(spot.slots) };
            let spot = Spot { document, path, place: position, slots, ..spot };
            let name = NameSource::Values { place, is_likely };
            self.pending.push(Pending { name, spot, moves_along: Vec::new() });
        }
        if is_used {
            self.claim([scalar]);
        }
        Some(())
    }

    /// Returns the position of a slot within the text of a scalar; `None` if it cannot be edited.
    fn place_within(&self, scalar: NodeId, inner: &Scan<'_>, slots: &Slots) -> Option<Place> {
        let node = match slots {
            Slots::Within { scalar, .. } => *scalar,
            slots => slots.scalar()?,
        };
        let span = inner.span(node).filter(|span| !span.is_empty())?;
        let at = self.scan.part_span(scalar, span)?.start;
        Some(self.scan.place_in_file(at))
    }

    /// Returns the document of a scalar, and the path of a place within its text.
    fn outer(&self, scalar: NodeId, inner: &str) -> (usize, String) {
        let spot = self.spot(Shape::Value, scalar, Default::default(), Slots::Whole { scalar });
        let joint = if inner.starts_with('[') { "" } else { "." };
        (spot.document, format!("{}{joint}{inner}", spot.path))
    }
}

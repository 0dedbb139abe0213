//! Scalars that rules and markers select: complete references, tags and digests.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::{Digest, Reference, Repository, Version};
use crate::manifest::facts::{FieldProblem, FieldProblemReason};
use crate::manifest::field::{Field, NameSource, Pending, Shape, Slots, Spot};
use crate::manifest::field_rules::{FieldRules, RuleMatch};
use crate::manifest::marker::{self, FluxMarker, MarkerError, OwnMarker, Part};
use crate::manifest::rule_image::{FieldRuleError, RuleImage};
use crate::yaml::comment::{TrailingComment, comments_with};
use crate::yaml::node::NodeId;

use super::finder::{Finder, name_of, version_of};

/// The scalars of one image within one mapping. A digest and a tag side by side make one field.
#[derive(Default)]
struct Group {
    tag: Option<NodeId>,
    digest: Option<NodeId>,
}

/// Groups, by the reference to their image and by the mapping that contains the scalars.
type Groups<T> = BTreeMap<(T, Option<NodeId>), Group>;

impl Finder<'_, '_> {
    /// Adds the scalars that rules in the configuration select.
    pub(in crate::manifest) fn ruled(&mut self, path: &str, field_rules: &FieldRules) {
        for rule in field_rules.rules.iter().filter(|rule| rule.applies_to(path)) {
            for (_, root) in self.documents {
                for ruled in rule.find(path, self.scan, *root) {
                    if self.is_claimed(ruled.node) {
                        self.taken(&ruled);
                    } else if ruled.images.is_empty() {
                        self.whole_reference(ruled.node);
                    } else {
                        self.tag_of(ruled.node, ruled.images);
                    }
                }
            }
        }
    }

    /// Reports a scalar that an earlier rule selects for other images.
    fn taken(&mut self, ruled: &RuleMatch) {
        let node = self.scan.resolve(ruled.node);
        let first = self.fields.iter().filter(|field| field.slots.scalar() == Some(node));
        let first: Vec<&Repository> = first.map(|field| &field.repository).collect();
        let is_there = |image: &RuleImage| match image {
            RuleImage::Here(Ok(image)) => first.contains(&image),
            RuleImage::Here(Err(_)) | RuleImage::Elsewhere(_) => false,
        };
        if !first.is_empty() && !ruled.images.iter().all(is_there) {
            let first = first.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            self.problem(ruled.node, FieldProblemReason::Rule(FieldRuleError::Taken { first }));
        }
    }

    /// Adds the scalars with a marker of tagalong's own.
    pub(in crate::manifest) fn marked_by_us(&mut self) {
        let mut groups: Groups<Repository> = BTreeMap::new();
        for (node, marker) in self.markers(marker::OWN, marker::own) {
            if self.is_claimed(node) {
                continue;
            }
            let OwnMarker { image, part } = marker;
            match part.unwrap_or_else(|| self.part_of(node)) {
                Part::Whole => self.whole_reference(node),
                part => add(groups.entry((image, self.scan.parent(node))).or_default(), part, node),
            }
            self.claim([node]);
        }
        for ((image, _), group) in groups {
            if let Some(spot) = self.apart(&group) {
                self.fields.push(spot.field(image.clone(), image.to_string(), false));
            }
        }
    }

    /// Adds the scalars with a marker of Flux that are not part of another shape. Their image comes from a marker of
    /// the same policy on a name or a complete reference in the same file, else from the policy itself.
    pub(in crate::manifest) fn marked_by_flux(&mut self) {
        let markers = self.markers(marker::FLUX, marker::flux);
        let mut images: BTreeMap<String, Repository> = BTreeMap::new();
        let mut groups: Groups<String> = BTreeMap::new();
        for (node, FluxMarker { policy, part }) in markers {
            let value = self.scan.scalar(node).unwrap_or_default();
            let named = match part {
                Part::Name => name_of(value),
                Part::Whole => value.parse().ok().map(|reference: Reference| reference.repository),
                Part::Tag | Part::Digest => None,
            };
            if let Some(named) = named {
                images.insert(policy.clone(), named);
            }
            match part {
                _ if self.is_claimed(node) => {}
                Part::Whole => self.whole_reference(node),
                part => add(groups.entry((policy, self.scan.parent(node))).or_default(), part, node),
            }
            self.claim([node]);
        }
        for ((policy, _), group) in groups {
            let Some(spot) = self.apart(&group) else { continue };
            match images.get(&policy) {
                Some(image) => self.fields.push(spot.field(image.clone(), image.to_string(), false)),
                None => self.pending.push(Pending { name: NameSource::Policy(policy), spot, moves_along: Vec::new() }),
            }
        }
    }

    /// Returns the markers of one kind with the scalars before them.
    fn markers<T>(&mut self, word: &str, read: impl Fn(&str) -> Option<Result<T, MarkerError>>) -> Vec<(NodeId, T)> {
        let mut markers = Vec::new();
        for TrailingComment { value, text, place } in comments_with(self.scan, word) {
            match read(text) {
                Some(Ok(marker)) => markers.push((value, marker)),
                Some(Err(error)) => {
                    self.problems.push(FieldProblem { place, reason: FieldProblemReason::Marker(error) });
                }
                None => {}
            }
        }
        markers
    }

    /// Guesses the part of a reference that a value holds: a digest, a complete reference, else a tag.
    fn part_of(&self, node: NodeId) -> Part {
        let value = self.scan.scalar(node).unwrap_or_default();
        if value.parse::<Digest>().is_ok() {
            return Part::Digest;
        }
        let is_whole = value.parse::<Reference>().is_ok_and(|reference| !reference.version.is_empty());
        if is_whole && version_of(value).is_none() { Part::Whole } else { Part::Tag }
    }

    /// Adds a field for a scalar that is declared to hold a complete reference.
    fn whole_reference(&mut self, node: NodeId) {
        let value = self.scan.scalar(node).unwrap_or_default();
        match value.parse::<Reference>() {
            Ok(found) => {
                self.claim([node]);
                self.whole(Shape::Marker, node, found);
            }
            Err(_) => {
                self.unlike::<Spot>(node, "an image reference");
            }
        }
    }

    /// Adds the fields of a scalar that is declared to hold the tag of images. If one of them cannot be determined, none
    /// is added: the others must not move without it.
    fn tag_of(&mut self, node: NodeId, images: Vec<RuleImage>) {
        let failed = images.iter().find_map(|image| match image {
            RuleImage::Here(Err(error)) => Some(error.clone()),
            RuleImage::Here(Ok(_)) | RuleImage::Elsewhere(_) => None,
        });
        if let Some(error) = failed {
            self.problem(node, FieldProblemReason::Rule(error));
            return;
        }
        self.claim([node]);
        let Some(spot) = self.apart(&Group { tag: Some(node), digest: None }) else { return };
        let (mut here, mut elsewhere) = (BTreeSet::new(), Vec::new());
        for image in images {
            match image {
                RuleImage::Here(image) => here.extend(image),
                RuleImage::Elsewhere(parts) => elsewhere.push(parts),
            }
        }
        for image in &here {
            let field = spot.clone().field(image.clone(), image.to_string(), false);
            let serves_also = here.iter().filter(|other| *other != image).cloned().collect();
            self.fields.push(Field { serves_also, ..field });
        }
        for parts in elsewhere {
            let spot = spot.clone();
            self.pending.push(Pending { name: NameSource::Rule(parts), spot, moves_along: Vec::new() });
        }
    }

    /// Returns the field of a group; `None` if a scalar does not hold what it was declared to hold.
    fn apart(&mut self, group: &Group) -> Option<Spot> {
        let scan = self.scan;
        let text = |node: NodeId| scan.scalar(node).unwrap_or_default();
        let mut version = match group.tag.map(|node| (node, version_of(text(node)))) {
            Some((node, None)) => return self.unlike(node, "a tag"),
            Some((_, Some(version))) => version,
            None => Version::default(),
        };
        if let Some(node) = group.digest.filter(|node| !text(*node).is_empty()) {
            match text(node).parse() {
                Ok(digest) => version.digest = Some(digest),
                Err(_) => return self.unlike(node, "a digest"),
            }
        }
        let slots = Slots::Apart {
            tag: group.tag.map(|node| scan.resolve(node)),
            digest: group.digest.map(|node| scan.resolve(node)),
        };
        Some(self.spot(Shape::Marker, group.tag.or(group.digest)?, version, slots))
    }

    fn unlike<T>(&mut self, node: NodeId, wanted: &'static str) -> Option<T> {
        let value = self.scan.scalar(node).unwrap_or_default().to_owned();
        self.problem(node, FieldProblemReason::Value { value, wanted });
        None
    }

    fn problem(&mut self, node: NodeId, reason: FieldProblemReason) {
        self.problems.push(FieldProblem { place: self.scan.place(node), reason });
    }
}

fn add(group: &mut Group, part: Part, node: NodeId) {
    match part {
        Part::Digest => group.digest = Some(node),
        Part::Tag => group.tag = Some(node),
        Part::Name | Part::Whole => {}
    }
}

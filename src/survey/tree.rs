//! The newest tree of the repository, as the survey sees it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::image::Repository;
use crate::manifest::inventory::Inventory;

use super::line::DocumentPath;
use super::movements::{Movement, Place};
use super::name_template::NameTemplate;

/// The newest tree.
pub struct Tree<'t> {
    /// The paths of all files.
    pub files: &'t BTreeSet<String>,
    /// The image fields that are found without rules.
    pub inventory: &'t Inventory,
    /// Names of images that templates put together.
    pub name_templates: &'t [NameTemplate],
    /// Reads a file.
    pub read: &'t dyn Fn(&str) -> Option<Vec<u8>>,
}

/// The image fields of a tree, to find out what is one.
#[derive(Debug, Default)]
pub struct KnownFields {
    places: HashSet<Place>,
    versions: HashSet<(String, String)>,
    images: BTreeMap<Place, Repository>,
    mappings: HashSet<Place>,
}

impl KnownFields {
    /// Collects the fields of an inventory. Those whose image another file names are left out: with a rule, they are fields
    /// wherever their file is read without that one, such as in a check of the changed files alone.
    pub fn of(inventory: &Inventory) -> KnownFields {
        let mut known = KnownFields::default();
        for located in inventory.fields.iter().filter(|located| located.field.named_in.is_none()) {
            let field = &located.field;
            for path in field.moves_along.iter().chain([&field.path]) {
                let place = Place { file: located.file.clone(), path: DocumentPath::of_listing(path) };
                known.mappings.insert(Place { file: place.file.clone(), path: place.path.parent() });
                known.images.insert(place.clone(), field.repository.clone());
                known.places.insert(place);
            }
            if let Some(tag) = &field.version.tag {
                known.versions.insert((located.file.clone(), tag.to_string()));
            }
        }
        known
    }

    /// Returns whether a place that moved is a field: by its path, or, where paths cannot be compared, because its file
    /// has a field with its newest tag.
    pub fn cover(&self, place: &Place, movement: &Movement) -> bool {
        let tag = super::tag_style::split_reference(&movement.newest).map_or(movement.newest.as_str(), |(_, tag)| tag);
        self.places.contains(place)
            || movement.is_reference && self.versions.contains(&(place.file.clone(), tag.to_owned()))
    }

    /// Returns whether there is a field at a place.
    pub fn has(&self, place: &Place) -> bool {
        self.places.contains(place)
    }

    /// Returns whether there is a field in the mapping that contains a place.
    pub fn has_beside(&self, place: &Place) -> bool {
        self.mappings.contains(&Place { file: place.file.clone(), path: place.path.parent() })
    }

    /// Returns the image of a field.
    pub fn image(&self, place: &Place) -> Option<&Repository> {
        self.images.get(place)
    }
}

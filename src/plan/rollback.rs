//! Plans for fields that return to earlier versions.

use crate::image::{Repository, Version};
use crate::manifest::inventory::{Inventory, Located};
use crate::manifest::paths::PathFilter;

use super::decide::{Plan, RequestError, Update, WantedDigest, take_along};

/// Returns the fields of an image that decide what is deployed. In a file that `paths` names exactly, even shadowed
/// fields count.
pub fn fields<'i>(
    inventory: &'i Inventory,
    image: &Repository,
    paths: &PathFilter,
) -> Result<Vec<&'i Located>, RequestError> {
    let decides = |located: &&Located| located.shadowed_by.is_none() || paths.names(&located.file);
    let of_image = inventory.fields.iter().filter(|located| located.field.repository == *image);
    let fields: Vec<&Located> = of_image.filter(decides).collect();
    if fields.is_empty() { Err(RequestError::no_field(inventory, [image])) } else { Ok(fields) }
}

/// Checks that an image has any field, whether overridden or not.
pub fn known(inventory: &Inventory, image: &Repository) -> Result<(), RequestError> {
    if inventory.fields.iter().any(|located| located.field.repository == *image) {
        Ok(())
    } else {
        Err(RequestError::no_field(inventory, [image]))
    }
}

/// Plans to return fields to the given versions.
pub fn plan(inventory: &Inventory, targets: Vec<(&Located, Version)>) -> Plan {
    let mut plan = Plan::default();
    for (located, version) in targets {
        if located.field.holds(&version) {
            continue;
        }
        let digest = version.digest.map_or(WantedDigest::Without, WantedDigest::Exactly);
        plan.updates.push(Update { goes_back: true, ..Update::new(located, version.tag, digest) });
    }
    take_along(&mut plan, inventory);
    plan
}

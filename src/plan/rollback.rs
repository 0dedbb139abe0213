//! Plans for fields that return to earlier versions.

use std::collections::BTreeSet;

use crate::image::{Repository, Version};
use crate::manifest::inventory::{Inventory, Located};
use crate::manifest::paths::PathFilter;
use crate::stage::name::Name;
use crate::stage::request::{self, StageRequestError};
use crate::stage::stages::Stages;

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

/// Keeps the fields of one stage. Without a name, an image that is in several stages is rejected, unless `paths` selects
/// the files: stages are rolled back one by one.
pub fn in_stage<'i>(
    fields: Vec<&'i Located>,
    stage: Option<&Name>,
    stages: &Stages,
    paths: &PathFilter,
) -> Result<Vec<&'i Located>, StageRequestError> {
    let of = |located: &&Located| stages.of(&located.file).map(|stage| stage.name.clone());
    let Some(stage) = stage else {
        let staged: BTreeSet<Name> = fields.iter().filter_map(of).collect();
        return match fields.first() {
            Some(first) if staged.len() > 1 && paths.is_everything() => {
                let in_order = stages.stages.iter().map(|stage| stage.name.clone());
                let stages = in_order.filter(|name| staged.contains(name)).collect();
                Err(StageRequestError::SeveralStages { image: first.field.repository.clone(), stages })
            }
            _ => Ok(fields),
        };
    };
    request::stage(stages, stage)?;
    let image = fields.first().map(|first| first.field.repository.clone());
    let own: Vec<&Located> = fields.into_iter().filter(|located| of(located).as_ref() == Some(stage)).collect();
    match image.filter(|_| own.is_empty()) {
        Some(image) => Err(StageRequestError::NotInStage { image, stage: stage.clone() }),
        None => Ok(own),
    }
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

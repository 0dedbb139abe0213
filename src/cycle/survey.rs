//! What the registries have of the images that policies govern.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};

use crate::image::{Repository, Tag, Version};
use crate::manifest::inventory::Inventory;
use crate::plan::decide::{NoSurvey, Survey, Surveys, governed};
use crate::plan::skip::{Reason, Skipped};
use crate::policy::choose::{Age, Seen};
use crate::policy::rule::{PolicySet, Rule};
use crate::registry::client::Client;
use crate::registry::error::RegistryError;

/// How many repositories are surveyed at a time; the client bounds the requests to each host.
const REPOSITORIES: usize = 16;
/// How many tags of a repository are looked into at a time.
const TAGS: usize = 8;

/// Surveys all governed repositories that `surveys` does not know yet. A registry that fails spoils its own images only.
/// Gives the tags that cannot be judged, because their images are too broken to tell when they were built.
pub async fn complete(
    surveys: &mut Surveys,
    registry: &Client,
    inventory: &Inventory,
    policies: &PolicySet,
) -> Vec<Skipped> {
    let mut open: BTreeMap<&Repository, (&Rule, BTreeSet<&Tag>)> = BTreeMap::new();
    for (located, rule) in governed(inventory, policies) {
        let field = &located.field;
        if !surveys.contains_key(&field.repository) {
            let (_, held) = open.entry(&field.repository).or_insert_with(|| (rule, BTreeSet::new()));
            held.extend(&field.version.tag);
        }
    }
    let answers = stream::iter(open)
        .map(|(repository, (rule, held))| async move {
            let mut broken = Vec::new();
            let survey = survey(registry, repository, rule, &held, &mut broken).await;
            let survey = survey.map_err(|error| match error.is_absence() {
                true => NoSurvey::Absent(error.to_string()),
                false => NoSurvey::Failed(error.to_string()),
            });
            (repository.clone(), survey, broken)
        })
        .buffer_unordered(REPOSITORIES);
    let mut all_broken = Vec::new();
    for (repository, survey, broken) in answers.collect::<Vec<_>>().await {
        surveys.insert(repository, survey);
        all_broken.extend(broken);
    }
    all_broken
}

async fn survey(
    registry: &Client,
    repository: &Repository,
    rule: &Rule,
    held: &BTreeSet<&Tag>,
    broken: &mut Vec<Skipped>,
) -> Result<Survey, RegistryError> {
    let tags = registry.tags(repository).await?;
    if !rule.tags.needs_age() {
        let seen = tags.into_iter().map(|tag| Seen { tag, created: None }).collect();
        return Ok(Survey { seen, held: BTreeMap::new() });
    }
    let shortlist = rule.tags.shortlist(tags);
    let mut survey = Survey::default();
    for (tag, look) in looks(registry, repository, shortlist.fitting).await? {
        let created = match look {
            Look::Age(Age::Known(at)) => Some(at),
            Look::Age(Age::Missing) => None,
            // Deleted between the listing and the look: as if it had not been listed.
            Look::Age(Age::Gone | Age::Unasked) => continue,
            Look::Broken(detail) => {
                let (image, tag) = (repository.clone(), Some(tag.clone()));
                broken.push(Skipped { image, tag, reason: Reason::BlockedImage, detail });
                None
            }
        };
        survey.seen.push(Seen { tag, created });
    }
    // Tags that do not fit by their names are kept for the reason why nothing fits.
    survey.seen.extend(shortlist.dropped.into_iter().map(|(tag, _)| Seen { tag, created: None }));
    let held = held.iter().filter(|tag| rule.tags.measure(tag).is_ok()).map(|tag| (*tag).clone()).collect();
    // A registry that lists half its tags may still have what a field holds, so that is asked for by name.
    let ages = looks(registry, repository, held).await?.into_iter().map(|(tag, look)| match look {
        Look::Age(age) => (tag, age),
        Look::Broken(_) => (tag, Age::Missing),
    });
    survey.held = ages.collect();
    Ok(survey)
}

/// What a look at an image gave.
enum Look {
    /// How old it is.
    Age(Age),
    /// It is too broken to tell.
    Broken(String),
}

/// Looks at images. A registry that cannot answer now is an error, because the one image that it could not tell of may
/// be the newest.
async fn looks(registry: &Client, repository: &Repository, tags: Vec<Tag>) -> Result<Vec<(Tag, Look)>, RegistryError> {
    let looks = stream::iter(tags)
        .map(|tag| async move {
            let version = Version { tag: Some(tag.clone()), digest: None };
            let look = match registry.image(repository, &version).await {
                Ok(image) => Look::Age(image.created.map_or(Age::Missing, Age::Known)),
                Err(error) if error.is_absence() => Look::Age(Age::Gone),
                Err(error @ (RegistryError::Broken { .. } | RegistryError::NotWhole { .. })) => {
                    Look::Broken(error.to_string())
                }
                Err(error) => return Err(error),
            };
            Ok((tag, look))
        })
        .buffer_unordered(TAGS);
    looks.collect::<Vec<_>>().await.into_iter().collect()
}

//! What the registries have of the images that policies govern.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};

use crate::image::{Repository, Tag, Version};
use crate::manifest::inventory::Inventory;
use crate::plan::decide::{NoSurvey, Survey, Surveys, governed};
use crate::policy::choose::{Age, Seen};
use crate::policy::rule::PolicySet;
use crate::policy::tags::TagRule;
use crate::registry::client::Client;
use crate::registry::error::RegistryError;

/// How many repositories are surveyed at a time; the client bounds the requests to each host.
const REPOSITORIES: usize = 16;
/// How many tags of a repository are looked into at a time.
const TAGS: usize = 8;

/// Surveys all governed repositories that `surveys` does not know yet. A registry that fails spoils its own images only.
pub async fn complete(surveys: &mut Surveys, registry: &Client, inventory: &Inventory, policies: &PolicySet) {
    let mut open: BTreeMap<&Repository, (&TagRule, BTreeSet<&Tag>)> = BTreeMap::new();
    for (located, rule) in governed(inventory, policies) {
        let field = &located.field;
        if !surveys.contains_key(&field.repository) {
            let (_, held) = open.entry(&field.repository).or_insert_with(|| (&rule.tags, BTreeSet::new()));
            held.extend(&field.version.tag);
        }
    }
    let answers = stream::iter(open)
        .map(|(repository, (rule, held))| async move {
            let survey = survey(registry, repository, rule, &held).await.map_err(|error| match error.is_absence() {
                true => NoSurvey::Absent(error.to_string()),
                false => NoSurvey::Failed(error.to_string()),
            });
            (repository.clone(), survey)
        })
        .buffer_unordered(REPOSITORIES);
    surveys.extend(answers.collect::<Vec<_>>().await);
}

async fn survey(
    registry: &Client,
    repository: &Repository,
    rule: &TagRule,
    held: &BTreeSet<&Tag>,
) -> Result<Survey, RegistryError> {
    let tags = registry.tags(repository).await?;
    if !rule.needs_age() {
        let seen = tags.into_iter().map(|tag| Seen { tag, created: None }).collect();
        return Ok(Survey { seen, held: BTreeMap::new() });
    }
    let shortlist = rule.shortlist(tags);
    let mut survey = Survey::default();
    let ages = ages(registry, repository, shortlist.fitting).await?;
    for (tag, age) in ages {
        let created = match age {
            Age::Known(at) => Some(at),
            Age::Missing => None,
            // Deleted between the listing and the look: as if it had not been listed.
            Age::Gone | Age::Unasked => continue,
        };
        survey.seen.push(Seen { tag, created });
    }
    // Tags that do not fit by their names are kept for the reason why nothing fits.
    survey.seen.extend(shortlist.dropped.into_iter().map(|(tag, _)| Seen { tag, created: None }));
    let held = held.iter().filter(|tag| rule.measure(tag).is_ok()).map(|tag| (*tag).clone()).collect();
    survey.held = ages_of_held(registry, repository, held).await?;
    Ok(survey)
}

/// A registry that lists half its tags may still have what a field holds, so that is asked for by name.
async fn ages_of_held(
    registry: &Client,
    repository: &Repository,
    held: Vec<Tag>,
) -> Result<BTreeMap<Tag, Age>, RegistryError> {
    Ok(ages(registry, repository, held).await?.into_iter().collect())
}

/// The ages of images. An image that is broken in the registry has none; a registry that cannot answer now is an error,
/// because the one image that it could not tell of may be the newest.
async fn ages(registry: &Client, repository: &Repository, tags: Vec<Tag>) -> Result<Vec<(Tag, Age)>, RegistryError> {
    let looks = stream::iter(tags)
        .map(|tag| async move {
            let version = Version { tag: Some(tag.clone()), digest: None };
            let age = match registry.image(repository, &version).await {
                Ok(image) => image.created.map_or(Age::Missing, Age::Known),
                Err(error) if error.is_absence() => Age::Gone,
                Err(error @ RegistryError::Broken { .. }) => {
                    tracing::warn!(image = %repository, %tag, %error, "passed over");
                    Age::Missing
                }
                Err(error) => return Err(error),
            };
            Ok((tag, age))
        })
        .buffer_unordered(TAGS);
    looks.collect::<Vec<_>>().await.into_iter().collect()
}

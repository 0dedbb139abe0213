//! The builds that tags belong to, and whether digit-only tags are commits.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};

use crate::image::{Repository, Tag, Version};
use crate::plan::candidates::{Candidates, CurrentTag};
use crate::policy::builds::{Builds, Content};
use crate::policy::digits::Doubt;
use crate::policy::rule::Rule;
use crate::policy::seen::{Position, Seen};
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::integrity::PartCache;
use crate::registry::metadata::ImageMetadata;

/// The number of tags of a repository that are inspected at a time.
const TAGS: usize = 8;
/// The number of images newer than all known commits whose commit is queried in one scan.
const LABELS: usize = 16;

/// The contents of the images of tags, as far as they are known.
pub(super) type Contents = BTreeMap<Tag, Content>;

impl From<&ImageMetadata> for Content {
    fn from(image: &ImageMetadata) -> Content {
        Content { digest: image.digest.clone(), platforms: image.platforms.clone() }
    }
}

/// The part of a repository's scan that determines builds.
#[derive(Clone, Copy)]
pub(super) struct BuildScan<'t> {
    pub registry: &'t Client,
    pub repository: &'t Repository,
    pub rule: &'t Rule,
    pub part_cache: &'t PartCache,
}

impl BuildScan<'_> {
    /// Sets the build of each tag. `contents` has what is known already; if the policy's order does not require every
    /// image to be inspected, only the few that could win are. Returns whether all of those could be read.
    pub async fn builds(&self, candidates: &mut Candidates, mut contents: Contents) -> Result<bool, RegistryError> {
        let current: Vec<Tag> = candidates.current.keys().cloned().collect();
        let wanted = self.rule.tags.to_tell_apart(&candidates.seen, &current);
        let unknown: BTreeSet<Tag> = wanted.into_iter().filter(|tag| !contents.contains_key(tag)).collect();
        let count = unknown.len();
        let read = self.contents(unknown).await?;
        let are_all_read = read.len() == count;
        contents.extend(read);
        let standings: BTreeMap<&Tag, &Seen> = candidates.seen.iter().map(|seen| (&seen.tag, seen)).collect();
        let known =
            contents.iter().map(|(tag, content)| (tag, standings.get(tag).and_then(|seen| seen.standing), content));
        let builds = Builds::of(&self.rule.tags, known);
        candidates.seen.iter_mut().for_each(|seen| seen.build = builds.get(&seen.tag));
        candidates.current.iter_mut().for_each(|(tag, current)| current.build = builds.get(tag));
        Ok(are_all_read)
    }

    /// Returns the contents of the images of tags. A missing or broken image is a build of its own.
    async fn contents(&self, tags: BTreeSet<Tag>) -> Result<Contents, RegistryError> {
        let pending = tags.into_iter().map(|tag| async move {
            let version = Version::from(tag.clone());
            match self.registry.inspect(self.repository, &version, self.part_cache).await {
                Ok(image) => Ok(Some((tag, Content::from(&image)))),
                Err(error) if error.is_not_found() || error.concerns_image() => Ok(None),
                Err(error) => Err(error),
            }
        });
        let pending: Vec<_> = pending.collect();
        let results: Vec<Result<Option<_>, _>> = stream::iter(pending).buffer_unordered(TAGS).collect().await;
        results.into_iter().filter_map(Result::transpose).collect()
    }

    /// Determines which of the doubtful tags are commits, from the labels of their images. Only images newer than
    /// everything that can be chosen are queried, newest first, until one is a commit.
    pub async fn resolve_doubts(&self, seen: &mut [Seen]) -> Result<(), RegistryError> {
        let newest = seen.iter().filter(|seen| seen.doubt.is_none()).filter_map(|seen| seen.standing).max();
        let mut doubtful: Vec<&mut Seen> =
            seen.iter_mut().filter(|seen| seen.doubt.is_some() && seen.standing.is_some()).collect();
        doubtful.sort_by_cached_key(|seen| Reverse((seen.standing, seen.tag.clone())));
        let (mut queried, mut is_found) = (0, false);
        for tag in doubtful {
            if is_found || tag.standing <= newest {
                tag.doubt = Some(Doubt::Older);
                continue;
            }
            let version = Version::from(tag.tag.clone());
            let is_known = self.registry.known_source_labels(self.repository, &version).is_some();
            tag.doubt = if queried == LABELS && !is_known {
                Some(Doubt::Unread)
            } else {
                queried += usize::from(!is_known);
                self.doubt(&tag.tag, &version).await?
            };
            is_found |= tag.doubt.is_none();
        }
        for tag in seen {
            tag.doubt = tag.doubt.map(|doubt| self.rule.tags.weigh(&tag.tag, doubt));
        }
        Ok(())
    }

    async fn doubt(&self, tag: &Tag, version: &Version) -> Result<Option<Doubt>, RegistryError> {
        let revision = match self.registry.source_labels(self.repository, version).await {
            Ok(labels) => labels.revision,
            Err(error) if error.is_not_found() || error.concerns_image() => None,
            Err(error) => return Err(error),
        };
        let commit = self.rule.tags.commit_of(tag).unwrap_or_default();
        Ok(match revision {
            Some(revision) if revision.starts_with(commit) => None,
            Some(_) => Some(Doubt::OtherCommit),
            None => Some(Doubt::Unlabelled),
        })
    }
}

/// Returns the position of the current tag of a field, without its build.
pub(super) fn current(position: Position) -> CurrentTag {
    CurrentTag { position, build: None }
}

/// Returns digit-only tags as doubtful ones, of which nothing else is known yet.
pub(super) fn unread(tags: impl IntoIterator<Item = Tag>) -> impl Iterator<Item = Seen> {
    tags.into_iter().map(Seen::in_doubt)
}

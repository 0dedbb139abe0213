//! What a scan has to know of images besides their places in the policy's order: which tags are of one build, and
//! whether tags that are digits alone are commits.

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

/// How many tags of a repository are looked into at a time.
const TAGS: usize = 8;
/// How many images that are newer than all known commits are asked for their commit in one scan.
const LABELS: usize = 16;

/// What is known of the images of tags.
pub(super) type Contents = BTreeMap<Tag, Content>;

impl From<&ImageMetadata> for Content {
    fn from(image: &ImageMetadata) -> Content {
        Content { digest: image.digest.clone(), platforms: image.platforms.clone() }
    }
}

/// A repository whose scan is being completed.
#[derive(Clone, Copy)]
pub(super) struct BuildScan<'t> {
    pub registry: &'t Client,
    pub repository: &'t Repository,
    pub rule: &'t Rule,
    pub part_cache: &'t PartCache,
}

impl BuildScan<'_> {
    /// Notes for each tag the build that it is of. `contents` holds what is known already; where the policy's order does
    /// not want every image to be looked into, the few that could win are. Gives whether all of those could be read.
    pub async fn builds(&self, candidates: &mut Candidates, mut contents: Contents) -> Result<bool, RegistryError> {
        let held: Vec<Tag> = candidates.held.keys().cloned().collect();
        let wanted = self.rule.tags.to_tell_apart(&candidates.seen, &held);
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
        candidates.held.iter_mut().for_each(|(tag, held)| held.build = builds.get(tag));
        Ok(are_all_read)
    }

    /// The images of tags. One that is not there, or is broken, is a build of its own.
    async fn contents(&self, tags: BTreeSet<Tag>) -> Result<Contents, RegistryError> {
        let looks = tags.into_iter().map(|tag| async move {
            let version = Version::from(tag.clone());
            match self.registry.inspect(self.repository, &version, self.part_cache).await {
                Ok(image) => Ok(Some((tag, Content::from(&image)))),
                Err(error) if error.is_not_found() || error.concerns_image() => Ok(None),
                Err(error) => Err(error),
            }
        });
        let looks: Vec<_> = looks.collect();
        let looks: Vec<Result<Option<_>, _>> = stream::iter(looks).buffer_unordered(TAGS).collect().await;
        looks.into_iter().filter_map(Result::transpose).collect()
    }

    /// Settles which of the tags in doubt are commits, by what their images say. Only those are asked that would be newer
    /// than what can be chosen, the newest first, until one is a commit.
    pub async fn settle(&self, seen: &mut [Seen]) -> Result<(), RegistryError> {
        let newest = seen.iter().filter(|seen| seen.doubt.is_none()).filter_map(|seen| seen.standing).max();
        let mut open: Vec<&mut Seen> =
            seen.iter_mut().filter(|seen| seen.doubt.is_some() && seen.standing.is_some()).collect();
        open.sort_by_cached_key(|seen| Reverse((seen.standing, seen.tag.clone())));
        let (mut asked, mut is_found) = (0, false);
        for tag in open {
            if is_found || tag.standing <= newest {
                tag.doubt = Some(Doubt::Older);
                continue;
            }
            let version = Version::from(tag.tag.clone());
            let is_known = self.registry.known_source_labels(self.repository, &version).is_some();
            tag.doubt = if asked == LABELS && !is_known {
                Some(Doubt::Unread)
            } else {
                asked += usize::from(!is_known);
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
            Ok(said) => said.revision,
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

/// The position of a tag that a field holds, its build not being known yet.
pub(super) fn held(position: Position) -> CurrentTag {
    CurrentTag { position, build: None }
}

/// Tags that are digits alone, of which nothing else is known yet.
pub(super) fn unread(tags: impl IntoIterator<Item = Tag>) -> impl Iterator<Item = Seen> {
    tags.into_iter().map(Seen::in_doubt)
}

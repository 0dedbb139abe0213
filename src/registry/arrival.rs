//! When images arrived in their registry: as its own API reports it, or else when they were first seen. The latter is
//! kept in the cache; without the cache, everything is seen for the first time again. Nothing arrives after it is seen,
//! so that is also what counts if the API fails.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use crate::image::{Digest, Repository, Tag};
use crate::policy::dates::is_ahead;
use crate::policy::minimum_age::Arrival;

use super::client::Client;

impl Client {
    /// Returns when the image that a tag has now arrived, with its digest as just requested. If the tag has moved since it was
    /// seen last, the image has just arrived, however long the tag has existed.
    pub async fn arrival(&self, repository: &Repository, tag: &Tag, digest: &Digest, now: Timestamp) -> Arrival {
        let before = self.cache().first_seen(repository, tag);
        if before.as_ref().is_some_and(|(known, _)| known != digest) {
            self.cache().forget_push(repository, tag);
        }
        let before = before.filter(|(known, _)| known == digest);
        let first_seen = self.first_seen_since(repository, tag, digest, before.as_ref(), now);
        self.reported(repository, tag, first_seen, now).await
    }

    /// Returns when the image of a known tag arrived, whose digest may be older than what the tag points to now.
    pub async fn known_arrival(&self, repository: &Repository, tag: &Tag, digest: &Digest, now: Timestamp) -> Arrival {
        let first_seen = self.first_seen(repository, tag, digest, now);
        self.reported(repository, tag, first_seen, now).await
    }

    /// Returns when the images of known tags arrived, as far as that is known without a request.
    pub fn known_arrivals<'t>(
        &self,
        repository: &Repository,
        images: impl Iterator<Item = (&'t Tag, &'t Digest)>,
        now: Timestamp,
    ) -> HashMap<Tag, Arrival> {
        let (seen, pushed) = (self.cache().all_first_seen(repository), self.cache().pushes(repository));
        let arrival = |(tag, digest): (&Tag, &Digest)| {
            let first_seen = self.first_seen_since(repository, tag, digest, seen.get(tag), now);
            let at = pushed.get(tag).map_or(Arrival::FirstSeen(first_seen), |at| Arrival::Pushed(*at));
            (tag.clone(), at)
        };
        images.map(arrival).collect()
    }

    /// Returns when a known tag was first seen with the image that it was seen with last.
    pub fn first_seen(&self, repository: &Repository, tag: &Tag, digest: &Digest, now: Timestamp) -> Timestamp {
        self.first_seen_since(repository, tag, digest, self.cache().first_seen(repository, tag).as_ref(), now)
    }

    /// The push time of a tag, if it is cached.
    pub fn known_push(&self, repository: &Repository, tag: &Tag) -> Option<Timestamp> {
        self.cache().push(repository, tag)
    }

    /// The push times of tags that the registry's API reports, except those in the future.
    pub async fn reported_arrivals(
        &self,
        repository: &Repository,
        tags: &BTreeSet<&Tag>,
        now: Timestamp,
    ) -> HashMap<Tag, Arrival> {
        let pushed = self.push_times(repository, tags).await.unwrap_or_else(|error| {
            tracing::debug!(image = %repository, %error, "the registry does not report push times");
            BTreeMap::new()
        });
        let believed = pushed.into_iter().filter(|(_, at)| !is_ahead(*at, now));
        believed.map(|(tag, at)| (tag, Arrival::Pushed(at))).collect()
    }

    async fn reported(&self, repository: &Repository, tag: &Tag, first_seen: Timestamp, now: Timestamp) -> Arrival {
        let reported = self.reported_arrivals(repository, &BTreeSet::from([tag]), now).await.remove(tag);
        reported.unwrap_or(Arrival::FirstSeen(first_seen))
    }

    fn first_seen_since(
        &self,
        repository: &Repository,
        tag: &Tag,
        digest: &Digest,
        before: Option<&(Digest, Timestamp)>,
        now: Timestamp,
    ) -> Timestamp {
        match before {
            Some((_, at)) if *at <= now => *at,
            // A later time is from a clock that was wrong.
            _ => {
                self.cache().remember_first_seen(repository, tag, digest, now);
                now
            }
        }
    }
}

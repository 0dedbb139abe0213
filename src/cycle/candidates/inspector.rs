//! Inspects the images of one repository, each once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::{StreamExt, stream};

use crate::image::{Repository, Tag, Version};
use crate::progress::Counter;
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::integrity::PartCache;
use crate::registry::metadata::ImageMetadata;

/// The number of tags of a repository that are inspected at a time.
const TAGS: usize = 8;

/// The time limit and the number of inspections in a round.
#[derive(Debug, Default)]
pub struct Inspections {
    /// The time after which no inspection begins.
    pub until: Option<Instant>,
    /// The number of images that were inspected.
    pub count: AtomicUsize,
    /// Counts the repositories that are done with.
    pub progress: Option<Counter>,
}

impl Inspections {
    /// Returns whether the time limit has passed.
    pub fn is_time_up(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

/// The result of inspecting an image.
pub enum Inspected {
    /// Its metadata.
    Image(ImageMetadata),
    /// It no longer exists.
    Gone,
    /// It is too broken to read.
    Broken(String),
}

/// Inspects the images of one repository.
pub struct Inspector<'i> {
    registry: &'i Client,
    repository: &'i Repository,
    inspections: &'i Inspections,
    /// The parts of images that were fetched before.
    pub part_cache: &'i PartCache,
    /// The images that were inspected before.
    pub known: HashMap<Tag, ImageMetadata>,
}

impl<'i> Inspector<'i> {
    /// Makes an inspector that knows no image yet.
    pub fn new(
        registry: &'i Client,
        repository: &'i Repository,
        part_cache: &'i PartCache,
        inspections: &'i Inspections,
    ) -> Inspector<'i> {
        Inspector { registry, repository, inspections, part_cache, known: HashMap::new() }
    }

    /// Inspects images as long as there is time. It is an error if the registry cannot answer for one of them, because
    /// that image may be the newest.
    pub async fn inspect_all(&self, tags: Vec<Tag>) -> Result<Vec<(Tag, Inspected)>, RegistryError> {
        let inspect = |tag: Tag| async {
            if self.inspections.is_time_up() && !self.known.contains_key(&tag) {
                Ok(None)
            } else {
                self.inspect(tag).await.map(Some)
            }
        };
        let pending: Vec<_> = tags.into_iter().map(inspect).collect();
        let results = stream::iter(pending).buffer_unordered(TAGS).collect::<Vec<_>>().await;
        results.into_iter().filter_map(Result::transpose).collect()
    }

    /// Inspects an image, unless it is known.
    pub async fn inspect(&self, tag: Tag) -> Result<(Tag, Inspected), RegistryError> {
        let inspected = match self.image(&tag).await {
            Ok(image) => Inspected::Image(image),
            Err(error) if error.is_not_found() => Inspected::Gone,
            Err(error) if error.concerns_image() => Inspected::Broken(error.to_string()),
            Err(error) => return Err(error),
        };
        Ok((tag, inspected))
    }

    async fn image(&self, tag: &Tag) -> Result<ImageMetadata, RegistryError> {
        if let Some(image) = self.known.get(tag) {
            return Ok(image.clone());
        }
        self.inspections.count.fetch_add(1, Ordering::Relaxed);
        let version = Version::from(tag.clone());
        self.registry.inspect(self.repository, &version, self.part_cache).await
    }
}

//! Compares pods with the fields of a tree. Whatever cannot be found out does not count as drift.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use crate::cluster::pods::{Container, Pod};
use crate::image::{Digest, Reference, Repository, Version};
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::identity::Identity;

use super::digests::Digests;
use super::expected::{Allowed, Expected, allowed, listed, short, short_digest};

/// The prefix of images that Docker has pulled.
const PULLABLE: &str = "docker-pullable://";

/// A container of a workload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The namespace.
    pub namespace: String,
    /// The kind and name of the workload.
    pub workload: String,
    /// The container.
    pub container: String,
    /// The image, normalised.
    pub image: Repository,
}

/// A container of a workload that runs something else than the repository says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The container.
    pub place: Place,
    /// What it runs: one version, or several while pods are being replaced.
    pub runs: String,
    /// What the repository says.
    pub says: String,
    /// The number of pods.
    pub pods: usize,
}

/// The result of a look at pods.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// The containers that run something else.
    pub drifts: Vec<Drift>,
    /// The containers of which this could not be found out.
    pub unknown: BTreeSet<Place>,
}

/// What one container runs and should run.
enum Finding {
    Same,
    Differs { runs: String, says: String },
    Unknown,
}

/// The pods of a workload that run something else.
#[derive(Default)]
struct Differing {
    runs: BTreeSet<String>,
    says: BTreeSet<String>,
    pods: usize,
}

/// Compares pods with the expected versions of their images.
pub async fn compare(pods: &[Pod], expected: &Expected, registry: &Client, digests: &Digests) -> Comparison {
    let (mut found, mut unknown) = (BTreeMap::<Place, Differing>::new(), BTreeSet::new());
    let look = Look { registry, digests, now: Instant::now() };
    for pod in pods {
        for container in &pod.containers {
            let Ok(Reference { repository, version }) = container.image.parse() else { continue };
            let Some(versions) = expected.versions(&repository) else { continue };
            let finding = look.at(container, &repository, &version, versions).await;
            let place = Place {
                namespace: pod.namespace.clone(),
                workload: pod.workload.clone(),
                container: container.name.clone(),
                image: repository,
            };
            match finding {
                Finding::Same => {}
                Finding::Unknown => drop(unknown.insert(place)),
                Finding::Differs { runs, says } => {
                    let differing = found.entry(place).or_default();
                    differing.pods += 1;
                    differing.runs.insert(runs);
                    differing.says.insert(says);
                }
            }
        }
    }
    let joined = |texts: BTreeSet<String>| texts.into_iter().collect::<Vec<_>>().join("; ");
    let drift = |(place, differing): (Place, Differing)| {
        let Differing { runs, says, pods } = differing;
        Drift { place, runs: joined(runs), says: joined(says), pods }
    };
    Comparison { drifts: found.into_iter().map(drift).collect(), unknown }
}

/// One look at pods.
struct Look<'l> {
    registry: &'l Client,
    digests: &'l Digests,
    now: Instant,
}

impl Look<'_> {
    async fn at(
        &self,
        container: &Container,
        image: &Repository,
        requested: &Version,
        expected: &BTreeSet<Version>,
    ) -> Finding {
        let Some(allowed) = allowed(requested, expected) else {
            return Finding::Differs { runs: short(requested), says: listed(expected) };
        };
        let (source, running) = running(container, requested);
        // An image that was not pulled by its digest cannot be compared any further.
        let Some(running) = running else { return Finding::Same };
        // Its digest is known under the same name, unless a mirror served it.
        let is_pulled_by_name = source.is_none_or(|source| source == *image);
        match self.other(image, &allowed, &running, is_pulled_by_name).await {
            Ok(None) => Finding::Same,
            Ok(Some(current)) => {
                let runs = short(&Version { tag: requested.tag.clone(), digest: Some(running) });
                let current: Vec<&str> = current.iter().map(short_digest).collect();
                let says = format!("{}, which is {} in the registry", listed(expected), current.join(", "));
                Finding::Differs { runs, says: if allowed.tags.is_empty() { listed(expected) } else { says } }
            }
            Err(error) => {
                tracing::debug!(%image, %error, "cannot compare a pod with the registry");
                Finding::Unknown
            }
        }
    }

    /// Returns the digests that the image should have, if it is known to be another one.
    async fn other(
        &self,
        image: &Repository,
        allowed: &Allowed,
        running: &Digest,
        is_pulled_by_name: bool,
    ) -> Result<Option<Vec<Digest>>, RegistryError> {
        if allowed.digests.contains(running) {
            return Ok(None);
        }
        let mut others: Vec<Arc<Identity>> = Vec::new();
        for tag in &allowed.tags {
            match self.digests.other_than(self.registry, image, tag, running, self.now).await? {
                Some(other) => others.push(other),
                None => return Ok(None),
            }
        }
        for digest in &allowed.digests {
            let identity = self.digests.identity(self.registry, image, digest).await?;
            if identity.has(running) {
                return Ok(None);
            }
            others.push(identity);
        }
        // Runtimes know an image that was pulled under several digests by any of them.
        match self.digests.identity(self.registry, image, running).await {
            Ok(own) if others.iter().any(|other| own.shares_an_image_with(other)) => return Ok(None),
            Ok(_) => {}
            Err(error) if error.is_not_found() && is_pulled_by_name => {}
            Err(error) => return Err(error),
        }
        Ok(Some(others.iter().map(|other| other.digest.clone()).collect()))
    }
}

/// Returns the digest of the image that a container runs, with the name under which it was pulled.
fn running(container: &Container, requested: &Version) -> (Option<Repository>, Option<Digest>) {
    let id = container.image_id.strip_prefix(PULLABLE).unwrap_or(&container.image_id);
    match id.rsplit_once('@') {
        Some((name, digest)) => (name.parse().ok(), digest.parse().ok()),
        None => (None, requested.digest.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_come_from_images_that_were_pulled() {
        let hex = "a".repeat(64);
        let of = |image_id: &str| {
            let container =
                Container { name: "app".to_owned(), image: String::new(), image_id: image_id.replace("HEX", &hex) };
            let (name, digest) = running(&container, &Version::default());
            (name.map(|name| name.to_string()).unwrap_or_default(), digest.is_some())
        };
        assert_eq!(of("ghcr.io/acme/shop@sha256:HEX"), ("ghcr.io/acme/shop".to_owned(), true));
        assert_eq!(of("docker-pullable://shop@sha256:HEX"), ("docker.io/library/shop".to_owned(), true));
        for id in ["", "sha256:HEX", "docker://sha256:HEX", "ghcr.io/acme/shop@sha256:1"] {
            assert!(!of(id).1, "{id}");
        }
    }
}

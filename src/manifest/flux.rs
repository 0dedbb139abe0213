//! Policies of Flux's image automation, to find the images of markers that refer to them, and HelmRepositories, to find
//! those of charts.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::image::Repository;
use crate::yaml::node::NodeId;
use crate::yaml::scan::Scan;

use super::file_kind::is_kind;

/// The API group of ImagePolicy and ImageRepository.
pub const GROUP: &str = "image.toolkit.fluxcd.io/";

/// The namespace, if the file gives one, and the name of an object.
pub type Name = (Option<String>, String);

/// An ImagePolicy, an ImageRepository or a HelmRepository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FluxObject {
    /// An ImagePolicy with the ImageRepository that it refers to.
    Policy {
        /// The policy.
        name: Name,
        /// The repository; without a namespace, that of the policy applies.
        repository: Name,
    },
    /// An ImageRepository with its image.
    Repository {
        /// The repository.
        name: Name,
        /// The image.
        image: Repository,
    },
    /// A HelmRepository with its URL.
    HelmRepository {
        /// The repository.
        name: Name,
        /// The URL.
        url: String,
    },
}

impl FluxObject {
    /// Reads such an object, and the scalar in it that is an image's name and never gets a tag.
    pub(super) fn read(scan: &Scan<'_>, root: NodeId) -> Option<(FluxObject, Option<NodeId>)> {
        let name_in = |mapping: NodeId| -> Option<Name> {
            Some((
                scan.get_scalar(mapping, "namespace").map(str::to_owned),
                scan.get_scalar(mapping, "name")?.to_owned(),
            ))
        };
        let (metadata, spec) = (scan.get(root, "metadata")?, scan.get(root, "spec")?);
        if is_kind(scan, root, "ImagePolicy", GROUP) {
            let repository = name_in(scan.get(spec, "imageRepositoryRef")?)?;
            return Some((FluxObject::Policy { name: name_in(metadata)?, repository }, None));
        }
        if is_kind(scan, root, "ImageRepository", GROUP) {
            let node = scan.get(spec, "image")?;
            let image = scan.scalar(node)?.parse().ok()?;
            return Some((FluxObject::Repository { name: name_in(metadata)?, image }, Some(node)));
        }
        if is_kind(scan, root, "HelmRepository", "source.toolkit.fluxcd.io/") {
            let url = scan.get_scalar(spec, "url")?.to_owned();
            return Some((FluxObject::HelmRepository { name: name_in(metadata)?, url }, None));
        }
        None
    }
}

/// The Flux policies and image repositories of a tree.
#[derive(Debug, Default)]
pub struct FluxPolicies<'f> {
    policies: BTreeMap<&'f str, Vec<(&'f Name, &'f Name)>>,
    repositories: BTreeMap<&'f str, Vec<(&'f Name, &'f Repository)>>,
}

impl<'f> FluxPolicies<'f> {
    /// Collects the objects of a tree.
    pub fn of(objects: impl Iterator<Item = &'f FluxObject>) -> FluxPolicies<'f> {
        let mut all = FluxPolicies::default();
        for object in objects {
            match object {
                FluxObject::Policy { name, repository } => {
                    all.policies.entry(&name.1).or_default().push((name, repository));
                }
                FluxObject::Repository { name, image } => {
                    all.repositories.entry(&name.1).or_default().push((name, image));
                }
                FluxObject::HelmRepository { .. } => {}
            }
        }
        all
    }

    /// Returns the image of a policy, given as `NAMESPACE:NAME`. Files often leave the namespace to a kustomization: an
    /// object without one matches if it is the only one of its name.
    pub fn image(&self, policy: &str) -> Option<&'f Repository> {
        let (namespace, name) = policy.split_once(':')?;
        let (_, (repository_namespace, repository)) = only(self.policies.get(name)?, Some(namespace))?;
        let namespace = repository_namespace.as_deref().unwrap_or(namespace);
        only(self.repositories.get(repository.as_str())?, Some(namespace)).map(|(_, image)| image)
    }
}

/// The HelmRepositories of a tree, by name.
#[derive(Debug, Default)]
pub struct HelmRepositories<'f>(BTreeMap<&'f str, Vec<HelmRepository<'f>>>);

#[derive(Debug, Clone, Copy)]
struct HelmRepository<'f> {
    namespace: Option<&'f str>,
    url: &'f str,
    file: &'f Arc<str>,
}

impl<'f> HelmRepositories<'f> {
    /// Collects the repositories of a tree.
    pub fn of(objects: impl Iterator<Item = (&'f Arc<str>, &'f FluxObject)>) -> HelmRepositories<'f> {
        let mut all = HelmRepositories::default();
        for (file, object) in objects {
            if let FluxObject::HelmRepository { name: (namespace, name), url } = object {
                let repository = HelmRepository { namespace: namespace.as_deref(), url, file };
                all.0.entry(name).or_default().push(repository);
            }
        }
        all
    }

    /// Returns the URL of a repository and the file that defines it. Files often leave the namespace to a kustomization,
    /// so one that is not given matches any, and several repositories count as one if they have the same URL.
    pub fn find(&self, (namespace, name): &Name) -> Option<(&'f str, &'f Arc<str>)> {
        let named = self.0.get(name.as_str())?;
        let is_exact = |one: &&HelmRepository<'_>| one.namespace.is_some() && one.namespace == namespace.as_deref();
        let may_be = |one: &&HelmRepository<'_>| one.namespace.is_none() || namespace.is_none();
        let mut found: Vec<_> = named.iter().filter(is_exact).collect();
        if found.is_empty() {
            found = named.iter().filter(may_be).collect();
        }
        let first = found.first()?;
        found.iter().all(|one| one.url == first.url).then_some((first.url, first.file))
    }
}

fn only<'f, T: Copy>(named: &[(&'f Name, T)], namespace: Option<&str>) -> Option<(&'f Name, T)> {
    let exact = named.iter().find(|((own, _), _)| own.as_deref() == namespace);
    match (exact, named) {
        (Some(exact), _) => Some(*exact),
        (None, [one]) if one.0.0.is_none() => Some(*one),
        _ => None,
    }
}

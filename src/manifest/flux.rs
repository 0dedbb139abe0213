//! Policies of Flux's image automation, to find the images of markers that refer to them.

use std::collections::BTreeMap;

use crate::image::Repository;
use crate::yaml::node::NodeId;
use crate::yaml::scan::Scan;

use super::file_kind::is_kind;

/// The API group of ImagePolicy and ImageRepository.
pub const GROUP: &str = "image.toolkit.fluxcd.io/";

/// The namespace, if the file gives one, and the name of an object.
type Name = (Option<String>, String);

/// An ImagePolicy or an ImageRepository.
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

fn only<'f, T: Copy>(named: &[(&'f Name, T)], namespace: Option<&str>) -> Option<(&'f Name, T)> {
    let exact = named.iter().find(|((own, _), _)| own.as_deref() == namespace);
    match (exact, named) {
        (Some(exact), _) => Some(*exact),
        (None, [one]) if one.0.0.is_none() => Some(*one),
        _ => None,
    }
}

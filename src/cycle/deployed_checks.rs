//! Checks of what is deployed, which need no clone and run beside cycles.

use crate::cluster::pods::Pod;

use super::deployed::{self, Deployed};
use super::deployed_tree::DeployedTree;
use super::drift::compare::{Comparison, compare};
use super::drift::digests::Digests;
use super::drift::expected::Expected;
use super::engine::Engine;

/// The number of images that are verified at a time: few, because cycles send requests to the same registries.
const IMAGES: usize = 4;

/// Verifies every image that a tree deploys.
pub async fn verify_deployed(engine: &Engine, tree: &DeployedTree) -> Vec<Deployed> {
    let (services, policies) = (engine.services(), &tree.config.policies);
    deployed::verify(&services.registry, &services.sources, &tree.inventory, policies, IMAGES).await
}

/// Compares pods with the images that a tree deploys.
pub async fn compare_pods(engine: &Engine, tree: &DeployedTree, pods: &[Pod], digests: &Digests) -> Comparison {
    compare(pods, &Expected::of(tree), &engine.services().registry, digests).await
}

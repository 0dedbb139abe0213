//! Checks of what is deployed, which need no clone and run beside cycles.

use crate::cluster::pods::Pod;

use super::deployed::{self, Deployed, Extent};
use super::deployed_tree::DeployedTree;
use super::drift::compare::{Comparison, compare};
use super::drift::digests::Digests;
use super::drift::expected::Expected;
use super::engine::Engine;

/// Verifies every image that a tree deploys.
pub async fn verify_deployed(engine: &Engine, tree: &DeployedTree) -> Vec<Deployed> {
    let (services, policies) = (engine.services(), &tree.config.policies);
    deployed::verify(&services.registry, &services.sources, &tree.inventory, policies, Extent::Pulls).await
}

/// Compares pods with the images that a tree deploys.
pub async fn compare_pods(engine: &Engine, tree: &DeployedTree, pods: &[Pod], digests: &Digests) -> Comparison {
    compare(pods, &Expected::of(tree), &engine.services().registry, digests).await
}

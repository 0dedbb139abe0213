//! Kubernetes: which of several replicas leads, and what became of a commit in the cluster. Nobody has to have one;
//! what is not configured is not asked for.
//!
//! - [`config`]: what it has to be told
//! - [`api`]: the Kubernetes API, as far as it is used here
//! - [`lease`]: whose turn it is, told from a Lease
//! - [`election`]: one replica leads
//! - [`kustomization`]: what Flux says of a Kustomization
//! - [`ledger`]: commits that wait to be applied
//! - [`flux`]: Flux is asked to look, and watched
//! - [`receiver`]: Flux is told by the URL of a Receiver
//! - [`error`]: what goes wrong

pub mod api;
pub mod config;
pub mod election;
pub mod error;
pub mod flux;
pub mod kustomization;
pub mod lease;
pub mod ledger;
pub mod receiver;

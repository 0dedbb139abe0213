//! Kubernetes: leader election among replicas, and the outcome of commits in the cluster. Both are optional, and the
//! API is queried only for what is configured.
//!
//! - [`config`]: the settings of this module
//! - [`api`]: the parts of the Kubernetes API that are used
//! - [`api_call`]: a request, as errors name it
//! - [`lease`]: decides from a Lease who may lead
//! - [`election`]: takes part in leader election
//! - [`kustomization`]: the status that Flux reports for a Kustomization
//! - [`pending_rollouts`]: commits that Flux has not applied yet
//! - [`flux`]: notifies Flux of commits, and watches it until they are applied
//! - [`receiver`]: notifies Flux through the URL of a Receiver
//! - [`error`]: the errors of this module

pub mod api;
pub mod api_call;
pub mod config;
pub mod election;
pub mod error;
pub mod flux;
pub mod kustomization;
pub mod lease;
pub mod pending_rollouts;
pub mod receiver;

//! Kubernetes: leader election among replicas, what Flux and Argo CD make of commits, and what runs. All of it is optional, and the
//! API is queried only for what is configured.
//!
//! - [`config`]: the settings of this module
//! - [`api`]: the parts of the Kubernetes API that are used
//! - [`api_call`]: a request, as errors name it
//! - [`required_calls`]: the calls that a configuration causes
//! - [`lease`]: decides from a Lease who may lead
//! - [`election`]: takes part in leader election
//! - [`kustomization`]: the status that Flux reports for a Kustomization
//! - [`pending_rollouts`]: commits that Flux has not applied yet
//! - [`flux`]: notifies Flux of commits, and watches it until they are applied
//! - [`rollout_state`]: the state of a commit in the cluster
//! - [`flux_ready`]: whether Flux has applied a commit
//! - [`argocd`]: the status that Argo CD reports for an Application
//! - [`pods`]: the images that run in pods
//! - [`receiver`]: notifies Flux through the URL of a Receiver
//! - [`error`]: the errors of this module

pub mod api;
pub mod api_call;
pub mod argocd;
pub mod config;
pub mod election;
pub mod error;
pub mod flux;
pub mod flux_ready;
pub mod kustomization;
pub mod lease;
pub mod pending_rollouts;
pub mod pods;
pub mod receiver;
pub mod required_calls;
pub mod rollout_state;

//! Kubernetes: leader election among replicas, what Flux and Argo CD make of commits, and what runs. All of it is optional, and the
//! API is queried only for what is configured.
//!
//! - [`config`]: the settings of this module
//! - [`api`]: the parts of the Kubernetes API that are used
//! - [`api_call`]: a request, as errors name it
//! - [`required_calls`]: the calls that a configuration causes
//! - [`lease`]: decides from a Lease who may lead
//! - [`election`]: takes part in leader election
//! - [`rollout`]: commits on their way into the cluster, and what becomes of them
//! - [`condition`]: conditions of Flux's objects
//! - [`kustomization`], [`git_repository`], [`helm_release`]: the status that Flux reports for its objects
//! - [`observed`]: which objects of the cluster deploy which changes
//! - [`pending_rollouts`]: commits that the cluster has not applied yet
//! - [`watch`]: notifies Flux and Argo CD of commits, and watches them until these are applied
//! - [`rollout_state`]: the state of a commit in the cluster
//! - [`flux_object`]: what both Kustomizations and HelmReleases have
//! - [`flux_ready`]: whether Flux has applied a commit
//! - [`argocd`]: the status that Argo CD reports for an Application
//! - [`pods`]: the images that run in pods
//! - [`receiver`]: notifies Flux through the URL of a Receiver
//! - [`error`]: the errors of this module

pub mod api;
pub mod api_call;
pub mod argocd;
pub mod condition;
pub mod config;
pub mod election;
pub mod error;
pub mod flux_object;
pub mod flux_ready;
pub mod git_repository;
pub mod helm_release;
pub mod kustomization;
pub mod lease;
pub mod observed;
pub mod pending_rollouts;
pub mod pods;
pub mod receiver;
pub mod required_calls;
pub mod rollout;
pub mod rollout_state;
pub mod watch;

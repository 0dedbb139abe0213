//! Kubernetes: leader election, and what Flux and Argo CD make of a commit.

mod argocd;
mod helm_releases;
mod leader_election;
mod restarts;
mod rollouts;
mod scene;

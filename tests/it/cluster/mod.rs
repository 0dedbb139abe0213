//! Kubernetes: leader election, what Flux and Argo CD make of a commit, and what runs in pods.

mod argocd;
mod automatic_rollbacks;
mod drift;
mod helm_releases;
mod leader_election;
mod restarts;
mod rollouts;
mod scene;

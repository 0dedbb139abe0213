//! Kubernetes: leader election, what Flux makes of a commit, and what runs in pods.

mod drift;
mod leader_election;
mod rollouts;

//! Kubernetes: which replica leads, and what Flux makes of a commit.

mod leader_election;
mod rollouts;

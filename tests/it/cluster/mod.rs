//! Kubernetes: leader election, and what Flux makes of a commit.

mod leader_election;
mod rollouts;

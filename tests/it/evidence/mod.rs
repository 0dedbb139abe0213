//! The evidence for stages: statuses of commits, reviews, and what the cluster reports.

mod access;
mod checks;
mod cluster_checks;
mod merges;
mod reviews;
mod scene;
mod statuses;

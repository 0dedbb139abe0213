//! The evidence for stages: statuses of commits, reviews, and what the cluster reports.

mod access;
mod azure_devops;
mod bitbucket;
mod checks;
mod cluster_checks;
mod data_center;
mod merges;
mod reviews;
mod scene;
mod statuses;

//! Git: transports and credentials, histories and odd repositories, commits, and many writers on one branch.

mod auth;
mod azure_devops;
mod broken_connections;
mod commits;
mod damaged_clones;
mod figures;
mod github_app;
mod history;
mod hostile_trees;
mod long_histories;
mod many_writers;
mod odd_repositories;
mod origins;
mod races;
mod rotation;
mod ssh;
mod transports;

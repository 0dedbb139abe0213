//! The files of `deploy/` and the Containerfile.

mod action;
mod agent;
mod chart;
mod container_image;
mod manifests;
mod monitoring;
mod pipelines;
mod release;
mod woodpecker;

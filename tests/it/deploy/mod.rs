//! The files of `deploy/` and the Containerfile.

mod agent;
mod container_image;
mod manifests;
mod pipelines;
mod release;
mod woodpecker;

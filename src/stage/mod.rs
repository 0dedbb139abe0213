//! Stages: how releases move from one set of files to the next.
//!
//! - [`name`]: names of stages and releases
//! - [`definition`]: stages, and what has to be true before a release enters one
//! - [`stages`]: all stages of a tree
//! - [`release`]: images that move together, identified by their digests
//! - [`release_name`]: releases as people name them
//! - [`request`]: stages that a person names
//! - [`group`]: the fields of a stage that hold a release
//! - [`timeline`]: which releases a stage has held, and since when
//! - [`arrival`]: the order of releases
//! - [`candidate`]: the releases that may enter a stage, and what they wait for
//! - [`check`]: the states of checks
//! - [`board`]: what each stage holds of each release, and what may enter it next
//! - [`promotion`]: a release that enters a stage, with its evidence

pub mod arrival;
pub mod board;
pub mod candidate;
pub mod check;
pub mod definition;
pub mod group;
pub mod name;
pub mod promotion;
pub mod release;
pub mod release_name;
pub mod request;
pub mod stages;
pub mod timeline;

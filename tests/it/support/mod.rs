//! Real servers for tests, and the program under test.

pub mod agent;
pub mod browser;
pub mod buildah;
pub mod certificates;
pub mod charts;
pub mod clock;
pub mod clouds;
pub mod cluster;
pub mod crowd;
pub mod disk;
pub mod forge;
pub mod forge_products;
pub mod forward_proxy;
pub mod gateway;
pub mod git;
pub mod github;
pub mod infra;
pub mod manifests;
pub mod mount;
pub mod pipeline;
pub mod process;
pub mod prometheus;
pub mod proxy;
pub mod registry;
pub mod schemas;
pub mod scripted;
pub mod shelf;
pub mod signing;
pub mod skopeo;
pub mod sops;
pub mod tagalong;
pub mod terminal;
pub mod tokens;
pub mod yaml;

/// Whether tests that come in two sizes should be large: `./test --large`.
pub fn is_large() -> bool {
    std::env::var_os("TAGALONG_TEST_LARGE").is_some()
}

/// Reports that a test, or the rest of it, is skipped, and why.
#[allow(clippy::print_stderr, reason = "whoever runs the tests is to know")]
pub fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

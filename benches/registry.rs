//! The cost of following a large registry: 200 images with 500 tags each. Measures requests, seconds and memory of the
//! agent's first cycle, of one with nothing new, and of one that finds five new tags.
//!
//! `cargo bench --bench registry`. The registry is a separate process of this program, so the memory is the agent's
//! alone.

#![expect(clippy::print_stdout, reason = "a benchmark reports to a person")]

use std::time::Instant;

#[path = "support/registry.rs"]
mod registry;

use registry::{Agent, LAYERS, counts, get, infrastructure, serve_if_asked, start};

const IMAGES: usize = 200;
const TAGS: usize = 500;
const NEW: usize = 5;

fn main() {
    if serve_if_asked() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (_registry, host) = start(IMAGES, TAGS, false);
    let file = infrastructure(folder.path(), &host, IMAGES);
    println!(
        "{IMAGES} images with {TAGS} tags each; {NEW} new tags, all of which win, with {LAYERS} layer(s) to prove"
    );
    println!(
        "{:<10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>9}",
        "cycle", "requests", "listings", "manifests", "configs", "proofs", "seconds", "peak MB"
    );
    let start = Instant::now();
    let mut agent = Agent::start(folder.path(), &file);
    agent.cycle();
    row("first", &host, start.elapsed().as_secs_f64(), &agent);
    let steady = agent.cycle();
    row("steady", &host, steady, &agent);
    (0..NEW).for_each(|n| drop(get(&host, &format!("/push/{}", n * IMAGES / NEW))));
    let new = agent.cycle();
    row("new tags", &host, new, &agent);
    let steady = agent.cycle();
    row("steady", &host, steady, &agent);
}

fn row(name: &str, host: &str, seconds: f64, agent: &Agent) {
    let counts = counts(host);
    let of = |kind: &str| counts.get(kind).copied().unwrap_or_default();
    let total: usize = counts.values().sum();
    println!(
        "{name:<10} {total:>9} {:>9} {:>9} {:>9} {:>9} {seconds:>8.2} {:>9.1}",
        of("listings"),
        of("manifests"),
        of("configurations"),
        of("proofs"),
        agent.peak()
    );
}

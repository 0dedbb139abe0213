//! How the cost of following a registry grows with its size: 500 to 5,000 images with 40 and with 400 tags, listings
//! with and without ETags. Measures requests, CPU seconds and peak memory of the agent's first cycle, of one with
//! nothing new, of one that finds 50 new tags, and of the first one after a restart; for comparison, a bare HTTP client
//! sends the requests of the cycle with nothing new.
//!
//! `cargo bench --bench scale` takes long; `cargo bench --bench scale -- 500x40 2500x40-etag` or
//! `TAGALONG_BENCH_SCALE="500x40 500x400"` measures a part.

#![expect(clippy::print_stdout, reason = "a benchmark reports to a person")]

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::{StreamExt, stream};

#[path = "support/registry.rs"]
mod registry;

use registry::{Agent, counts, cpu, get, infrastructure, serve_if_asked, start};

const IMAGES: [usize; 4] = [500, 1000, 2500, 5000];
const TAGS: [usize; 2] = [40, 400];
const NEW: usize = 50;
/// The number of concurrent requests, as in the agent.
const UNDER_WAY: usize = 8;

/// The size of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Size {
    tags: usize,
    marks: bool,
    images: usize,
}

impl Size {
    fn all() -> impl Iterator<Item = Size> {
        let kinds = TAGS.into_iter().flat_map(|tags| [true, false].map(|marks| (tags, marks)));
        kinds.flat_map(|(tags, marks)| IMAGES.map(|images| Size { tags, marks, images }))
    }

    fn name(self) -> String {
        format!("{}x{}{}", self.images, self.tags, if self.marks { "-etag" } else { "" })
    }
}

fn main() {
    if serve_if_asked() {
        return;
    }
    let asked = std::env::var("TAGALONG_BENCH_SCALE").unwrap_or_default();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).chain(asked.split_whitespace()).collect();
    let sizes = Size::all().filter(|size| wanted.is_empty() || wanted.contains(&size.name().as_str()));
    println!(
        "{:<15} {:<8} {:>9} {:>8} {:>8} {:>8} {:>9}",
        "registry", "cycle", "requests", "s", "CPU s", "peak MB", "cache MB"
    );
    let mut cpus: BTreeMap<(String, bool, usize), Vec<(usize, f64)>> = BTreeMap::new();
    for size in sizes {
        for (cycle, seconds) in measure(size) {
            cpus.entry((cycle, size.marks, size.tags)).or_default().push((size.images, seconds));
        }
    }
    println!("\nCPU grows with the number of images to the power of");
    for ((cycle, marks, tags), points) in cpus {
        if let (Some((few, fast)), Some((many, slow))) = (points.first(), points.last())
            && few < many
        {
            let exponent = (slow / fast).ln() / (*many as f64 / *few as f64).ln();
            println!("{exponent:>6.2} {cycle:<8} {tags:>4} tags{}", if marks { ", ETags" } else { "" });
        }
    }
}

/// Measures a registry and returns the CPU seconds of each cycle.
fn measure(size: Size) -> Vec<(String, f64)> {
    let folder = tempfile::tempdir().expect("a folder");
    let (_registry, host) = start(size.images, size.tags, size.marks);
    let file = infrastructure(folder.path(), &host, size.images);
    let mut rows = Vec::new();
    let mut row = |cycle: &str, agent: &Agent, before: (f64, f64)| {
        let (seconds, used) = (before.0, agent.cpu() - before.1);
        let requests: usize = counts(&host).values().sum();
        line(size, cycle, requests, seconds, used);
        println!(" {:>8.1} {:>9.1}", agent.peak(), cache(folder.path()));
        rows.push((cycle.to_owned(), used));
    };
    let mut agent = Agent::start(folder.path(), &file);
    let first = agent.cycle();
    row("first", &agent, (first, 0.0));
    // The second cycle may look again at what was pushed.
    for cycle in ["second", "steady"] {
        let before = agent.cpu();
        let seconds = agent.cycle();
        row(cycle, &agent, (seconds, before));
    }
    let before = agent.cpu();
    (0..NEW).for_each(|n| drop(get(&host, &format!("/push/{}", n * size.images / NEW))));
    let seconds = agent.cycle();
    row("new", &agent, (seconds, before));
    drop(agent);
    let mut agent = Agent::start(folder.path(), &file);
    let seconds = agent.cycle();
    row("restart", &agent, (seconds, 0.0));
    drop(agent);
    let (requests, seconds, used) = bare(&host, size);
    line(size, "bare", requests, seconds, used);
    println!();
    rows.push(("bare".to_owned(), used));
    rows
}

fn line(size: Size, cycle: &str, requests: usize, seconds: f64, used: f64) {
    print!("{:<15} {cycle:<8} {requests:>9} {seconds:>8.2} {used:>8.2}", size.name());
}

/// Sends the requests of a cycle with nothing new, and does nothing else.
fn bare(host: &str, size: Size) -> (usize, f64, f64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _ = rustls::crypto::ring::default_provider().install_default();
    runtime.block_on(async {
        let client = reqwest::Client::builder().tls_certs_only([]).build().expect("a client");
        let ask = |image: usize, mark: Option<String>| {
            let mut request = client.get(format!("http://{host}/v2/org/app-{image}/tags/list"));
            if let Some(mark) = mark {
                request = request.header("if-none-match", mark);
            }
            async move {
                let answer = request.send().await.expect("an answer");
                let mark = answer.headers().get("etag").and_then(|mark| mark.to_str().ok()).map(str::to_owned);
                answer.bytes().await.expect("a body");
                (image, mark)
            }
        };
        let first = stream::iter(0..size.images).map(|image| ask(image, None)).buffered(UNDER_WAY);
        let known: Vec<(usize, Option<String>)> = first.collect().await;
        let (before, start) = (cpu(std::process::id()), std::time::Instant::now());
        let asked = stream::iter(known).map(|(image, mark)| ask(image, mark)).buffered(UNDER_WAY).count().await;
        (asked, start.elapsed().as_secs_f64(), cpu(std::process::id()) - before)
    })
}

/// The size of the cache in megabytes.
fn cache(home: &Path) -> f64 {
    let file = home.join(".cache/tagalong/registries.redb");
    std::fs::metadata(file).map_or(0.0, |found| found.len() as f64 / f64::from(1 << 20))
}

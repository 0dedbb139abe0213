//! What following a large registry costs: 200 images with 500 tags each. Requests, seconds and memory of the agent's
//! first cycle, of a steady one, and of one that finds five new tags.
//!
//! `cargo bench --bench registry`. The registry is another process of this program, so that the memory is the agent's own.

#![expect(clippy::print_stdout, reason = "a benchmark reports to a person")]

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use git2::build::TreeUpdateBuilder;
use git2::{Repository, Signature};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const IMAGES: usize = 200;
const TAGS: usize = 500;
const NEW: usize = 5;
const LAYERS: usize = 1;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("serve") => serve(),
        _ => measure(),
    }
}

// The registry.

/// Images by their digests, computed when they are asked for.
#[derive(Default)]
struct Shelf {
    /// How many tags each image has.
    tags: Vec<usize>,
    /// Which tag a manifest or a configuration belongs to.
    owners: HashMap<String, (usize, usize)>,
    /// How many requests there were, by kind.
    counts: BTreeMap<&'static str, usize>,
}

impl Shelf {
    fn push(&mut self, image: usize) {
        let number = self.tags[image];
        self.tags[image] += 1;
        for bytes in [config(image, number), manifest(image, number)] {
            self.owners.insert(digest(&bytes), (image, number));
        }
    }
}

fn tag(image: usize, number: usize) -> String {
    hex(format!("{image}/{number}").as_bytes())[..40].to_owned()
}

fn config(image: usize, number: usize) -> Vec<u8> {
    let at = jiff::Timestamp::from_second(1_767_225_600 + 60 * number as i64).expect("a time");
    json!({ "created": at.to_string(), "architecture": "amd64", "os": "linux", "image": image })
        .to_string()
        .into_bytes()
}

fn layer(number: usize) -> Vec<u8> {
    format!("layer {number}").into_bytes()
}

fn manifest(image: usize, number: usize) -> Vec<u8> {
    let part = |kind: &str, bytes: &[u8]| json!({ "mediaType": kind, "digest": digest(bytes), "size": bytes.len() });
    let layers: Vec<Value> = (0..LAYERS).map(|n| part("application/vnd.oci.image.layer.v1.tar", &layer(n))).collect();
    let config = part("application/vnd.oci.image.config.v1+json", &config(image, number));
    let kind = "application/vnd.oci.image.manifest.v1+json";
    json!({ "schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers }).to_string().into_bytes()
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(bytes))
}

/// Serves until its parent ends; prints where.
fn serve() {
    let mut shelf = Shelf { tags: vec![0; IMAGES], ..Shelf::default() };
    (0..IMAGES).for_each(|image| (0..TAGS).for_each(|_| shelf.push(image)));
    let shelf = Arc::new(Mutex::new(shelf));
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(answer).with_state(shelf);
        axum::serve(listener, router).await.expect("served");
    });
}

async fn answer(State(shelf): State<Arc<Mutex<Shelf>>>, request: Request) -> Response {
    let mut shelf = lock(&shelf);
    let path = request.uri().path();
    if let Some(image) = path.strip_prefix("/push/") {
        shelf.push(image.parse().expect("a number"));
        return StatusCode::OK.into_response();
    }
    if path == "/counts" {
        return axum::Json(json!(std::mem::take(&mut shelf.counts))).into_response();
    }
    let Some((name, what)) = path.strip_prefix("/v2/org/app-").and_then(|rest| rest.split_once('/')) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let image: usize = name.parse().expect("a number");
    let kind = match (what.split('/').next(), request.method() == Method::HEAD) {
        (Some("tags"), _) => "listings",
        (Some("manifests"), false) => "manifests",
        (Some("blobs"), false) => "configurations",
        _ => "proofs",
    };
    *shelf.counts.entry(kind).or_default() += 1;
    if what == "tags/list" {
        let tags: Vec<String> = (0..shelf.tags[image]).map(|number| tag(image, number)).collect();
        return axum::Json(json!({ "name": format!("org/app-{image}"), "tags": tags })).into_response();
    }
    let reference = what.rsplit('/').next().unwrap_or_default();
    let of_tag = || (0..shelf.tags[image]).find(|number| tag(image, *number) == reference);
    let bytes = match (what.starts_with("manifests/"), shelf.owners.get(reference)) {
        (true, Some((image, number))) => Some(manifest(*image, *number)),
        (true, None) => of_tag().map(|number| manifest(image, number)),
        (false, Some((image, number))) => Some(config(*image, *number)),
        (false, None) => (0..LAYERS).map(layer).find(|bytes| digest(bytes) == reference),
    };
    let Some(bytes) = bytes else { return StatusCode::NOT_FOUND.into_response() };
    let headers = [("docker-content-digest", digest(&bytes)), ("content-type", "application/octet-stream".to_owned())];
    (headers, Body::from(bytes)).into_response()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// The measurement.

/// A process that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut registry = Command::new(std::env::current_exe().expect("a path"));
    let mut registry = Running(registry.arg("serve").stdout(Stdio::piped()).spawn().expect("the registry starts"));
    let mut host = String::new();
    BufReader::new(registry.0.stdout.take().expect("piped")).read_line(&mut host).expect("an address");
    let host = host.trim();
    infrastructure(&folder.path().join("infra.git"), host);
    let file = folder.path().join("tagalong.yaml");
    let text = format!(
        "git: {{ url: {0}/infra.git }}\nregistries:\n- {{ host: \"{host}\", plainHttp: true, requestsPerSecond: 1000000 }}\n\
         policies:\n- {{ images: [\"{host}/org/*\"], tags: {{ sha: {{ order: built }} }} }}\nagent: {{ interval: 2s }}\n",
        folder.path().display()
    );
    std::fs::write(&file, text).expect("written");

    println!(
        "{IMAGES} images with {TAGS} tags each; {NEW} new tags, all of which win, with {LAYERS} layer(s) to prove"
    );
    println!(
        "{:<10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>9}",
        "cycle", "requests", "listings", "manifests", "configs", "proofs", "seconds", "peak MB"
    );
    let start = Instant::now();
    let mut agent = Command::new(env!("CARGO_BIN_EXE_tagalong"));
    agent.args(["run", "--config"]).arg(&file).env_clear().env("HOME", folder.path()).stderr(Stdio::piped());
    let mut agent = Running(agent.spawn().expect("the agent starts"));
    let mut log = BufReader::new(agent.0.stderr.take().expect("piped"));
    cycle(&mut log);
    row("first", host, start.elapsed().as_secs_f64(), &agent);
    let steady = cycle(&mut log);
    row("steady", host, steady, &agent);
    (0..NEW).for_each(|n| drop(get(host, &format!("/push/{}", n * IMAGES / NEW))));
    let new = cycle(&mut log);
    row("new tags", host, new, &agent);
    let steady = cycle(&mut log);
    row("steady", host, steady, &agent);
}

/// Waits for the end of a cycle; gives its seconds.
fn cycle(log: &mut BufReader<ChildStderr>) -> f64 {
    loop {
        let mut line = String::new();
        assert_ne!(log.read_line(&mut line).expect("a line"), 0, "the agent has ended");
        assert!(!line.contains("ERROR"), "{line}");
        if let Some((_, rest)) = line.split_once("duration_ms=") {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            return digits.parse::<f64>().expect("a number") / 1000.0;
        }
    }
}

fn row(name: &str, host: &str, seconds: f64, agent: &Running) {
    let counts: BTreeMap<String, usize> = serde_json::from_str(&get(host, "/counts")).expect("JSON");
    let of = |kind: &str| counts.get(kind).copied().unwrap_or_default();
    let total: usize = counts.values().sum();
    println!(
        "{name:<10} {total:>9} {:>9} {:>9} {:>9} {:>9} {seconds:>8.2} {:>9.1}",
        of("listings"),
        of("manifests"),
        of("configurations"),
        of("proofs"),
        peak(agent)
    );
}

/// The most memory that a process has had, in megabytes.
fn peak(process: &Running) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.0.id())).expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}

fn get(host: &str, path: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _ = rustls::crypto::ring::default_provider().install_default();
    runtime.block_on(async {
        let client = reqwest::Client::builder().tls_certs_only([]).build().expect("a client");
        client.get(format!("http://{host}{path}")).send().await.expect("an answer").text().await.expect("text")
    })
}

/// An infrastructure repository with an app for each image, which runs the oldest tag.
fn infrastructure(path: &Path, host: &str) {
    let repository = Repository::init_bare(path).expect("a repository");
    let mut tree = TreeUpdateBuilder::new();
    for image in 0..IMAGES {
        let text = format!("image: {host}/org/app-{image}:{}\n", tag(image, 0));
        let blob = repository.blob(text.as_bytes()).expect("a blob");
        tree.upsert(format!("apps/app-{image}/app.yaml"), blob, git2::FileMode::Blob);
    }
    let empty = repository.treebuilder(None).and_then(|builder| builder.write()).expect("an empty tree");
    let empty = repository.find_tree(empty).expect("an empty tree");
    let tree = repository.find_tree(tree.create_updated(&repository, &empty).expect("a tree")).expect("a tree");
    let someone = Signature::now("someone", "someone@example.com").expect("a signature");
    repository.commit(Some("refs/heads/main"), &someone, &someone, "everything", &tree, &[]).expect("a commit");
}

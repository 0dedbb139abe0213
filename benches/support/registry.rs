//! A registry in a process of its own, so that only the agent's memory is measured; its images are generated on
//! request. Also what measuring the agent needs: its repository, its cycles, its CPU and memory.
#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use git2::build::TreeUpdateBuilder;
use git2::{Repository, Signature};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The number of layers of each image.
pub const LAYERS: usize = 1;

/// Images by digest, generated on request.
#[derive(Default)]
struct Shelf {
    /// The number of tags of each image.
    tags: Vec<usize>,
    /// Whether listings have ETags.
    marks: bool,
    /// The tags that manifests and configs belong to, by the first bytes of their digests.
    owners: HashMap<u64, (u32, u32)>,
    /// The number of requests, by kind.
    counts: BTreeMap<&'static str, usize>,
}

impl Shelf {
    fn push(&mut self, image: usize) {
        let number = self.tags[image];
        self.tags[image] += 1;
        for bytes in [config(image, number), manifest(image, number)] {
            self.owners.insert(short(&digest(&bytes)), (image as u32, number as u32));
        }
    }
}

fn short(digest: &str) -> u64 {
    digest.get(7..23).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or_default()
}

/// The tag of an image with a number: 40 digits, like a full commit SHA.
pub fn tag(image: usize, number: usize) -> String {
    let mut state = (image as u64) << 32 | number as u64;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb)
    };
    format!("{image:04x}{number:04x}{:016x}{:016x}", next(), next())
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

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Serves `images` with `tags` each until its parent process ends, and prints its address.
pub fn serve(images: usize, tags: usize, marks: bool) {
    let mut shelf = Shelf { tags: vec![0; images], marks, ..Shelf::default() };
    (0..images).for_each(|image| (0..tags).for_each(|_| shelf.push(image)));
    let shelf = Arc::new(Mutex::new(shelf));
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(answer).with_state(shelf);
        axum::serve(listener, router).await.expect("served");
    });
}

async fn answer(State(shelf): State<Arc<Mutex<Shelf>>>, request: Request) -> Response {
    let mut shelf = shelf.lock();
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
        return listing(&shelf, image, request.headers());
    }
    let reference = what.rsplit('/').next().unwrap_or_default();
    let number = || usize::from_str_radix(reference.get(4..8)?, 16).ok();
    let of_tag = || number().filter(|number| *number < shelf.tags[image] && tag(image, *number) == reference);
    let owner = reference.starts_with("sha256:").then(|| shelf.owners.get(&short(reference))).flatten();
    let bytes = match (what.starts_with("manifests/"), owner) {
        (true, Some((image, number))) => Some(manifest(*image as usize, *number as usize)),
        (true, None) => of_tag().map(|number| manifest(image, number)),
        (false, Some((image, number))) => Some(config(*image as usize, *number as usize)),
        (false, None) => (0..LAYERS).map(layer).find(|bytes| digest(bytes) == reference),
    };
    let Some(bytes) = bytes else { return StatusCode::NOT_FOUND.into_response() };
    let headers = [("docker-content-digest", digest(&bytes)), ("content-type", "application/octet-stream".to_owned())];
    (headers, Body::from(bytes)).into_response()
}

fn listing(shelf: &Shelf, image: usize, headers: &HeaderMap) -> Response {
    let mark = format!("\"{}\"", shelf.tags[image]);
    if shelf.marks && headers.get("if-none-match").is_some_and(|known| known.as_bytes() == mark.as_bytes()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let tags: Vec<String> = (0..shelf.tags[image]).map(|number| tag(image, number)).collect();
    let mut response = axum::Json(json!({ "name": format!("org/app-{image}"), "tags": tags })).into_response();
    if shelf.marks {
        response.headers_mut().insert("etag", mark.parse().expect("a header"));
    }
    response
}

/// A process that is killed when this value is dropped.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running registry and its address.
pub fn start(images: usize, tags: usize, marks: bool) -> (Running, String) {
    let mut registry = Command::new(std::env::current_exe().expect("a path"));
    registry.arg("serve").args([images.to_string(), tags.to_string(), marks.to_string()]).stdout(Stdio::piped());
    let mut registry = Running(registry.spawn().expect("the registry starts"));
    let mut host = String::new();
    BufReader::new(registry.0.stdout.take().expect("piped")).read_line(&mut host).expect("an address");
    (registry, host.trim().to_owned())
}

/// Runs the server if this process was started for it.
pub fn serve_if_asked() -> bool {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [verb, images, tags, marks] = arguments.as_slice() else { return false };
    if verb == "serve" {
        serve(images.parse().expect("a number"), tags.parse().expect("a number"), marks == "true");
    }
    verb == "serve"
}

/// The running agent and its log.
pub struct Agent {
    /// The process.
    pub process: Running,
    log: BufReader<ChildStderr>,
}

impl Agent {
    /// Starts it with a configuration, below a home folder.
    pub fn start(home: &Path, config: &Path) -> Agent {
        let mut agent = Command::new(env!("CARGO_BIN_EXE_tagalong"));
        agent.args(["run", "--config"]).arg(config).env_clear().env("HOME", home).stderr(Stdio::piped());
        let mut process = Running(agent.spawn().expect("the agent starts"));
        let log = BufReader::new(process.0.stderr.take().expect("piped"));
        Agent { process, log }
    }

    /// Waits for the end of a cycle and returns its duration in seconds.
    pub fn cycle(&mut self) -> f64 {
        loop {
            let mut line = String::new();
            assert_ne!(self.log.read_line(&mut line).expect("a line"), 0, "the agent has ended");
            assert!(!line.contains("ERROR"), "{line}");
            if let Some((_, rest)) = line.split_once("duration_ms=") {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                return digits.parse::<f64>().expect("a number") / 1000.0;
            }
        }
    }

    /// Its peak memory in megabytes.
    pub fn peak(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.0.id())).expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
    }

    /// The CPU seconds that it has used.
    pub fn cpu(&self) -> f64 {
        cpu(self.process.0.id())
    }
}

/// The CPU seconds that a process has used, measured in ticks of a hundredth.
pub fn cpu(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("Linux");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    let ticks = |field: usize| fields[field].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / 100.0
}

/// The requests since the last call, by kind.
pub fn counts(host: &str) -> BTreeMap<String, usize> {
    serde_json::from_str(&get(host, "/counts")).expect("JSON")
}

/// The response of a host.
pub fn get(host: &str, path: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _ = rustls::crypto::ring::default_provider().install_default();
    runtime.block_on(async {
        let client = reqwest::Client::builder().tls_certs_only([]).build().expect("a client");
        client.get(format!("http://{host}{path}")).send().await.expect("an answer").text().await.expect("text")
    })
}

/// An infrastructure repository with an app for each image, which uses the oldest tag, and the configuration of an
/// agent that follows them.
pub fn infrastructure(folder: &Path, host: &str, images: usize) -> std::path::PathBuf {
    let repository = Repository::init_bare(folder.join("infra.git")).expect("a repository");
    let mut tree = TreeUpdateBuilder::new();
    for image in 0..images {
        let text = format!("image: {host}/org/app-{image}:{}\n", tag(image, 0));
        let blob = repository.blob(text.as_bytes()).expect("a blob");
        tree.upsert(format!("apps/app-{image}/app.yaml"), blob, git2::FileMode::Blob);
    }
    let empty = repository.treebuilder(None).and_then(|builder| builder.write()).expect("an empty tree");
    let empty = repository.find_tree(empty).expect("an empty tree");
    let tree = repository.find_tree(tree.create_updated(&repository, &empty).expect("a tree")).expect("a tree");
    let someone = Signature::now("someone", "someone@example.com").expect("a signature");
    repository.commit(Some("refs/heads/main"), &someone, &someone, "everything", &tree, &[]).expect("a commit");
    let file = folder.join("tagalong.yaml");
    let text = format!(
        "git: {{ url: {0}/infra.git }}\nregistries:\n- {{ host: \"{host}\", plainHttp: true, requestsPerSecond: 1000000 }}\n\
         policies:\n- {{ images: [\"{host}/org/*\"], tags: {{ sha: {{ order: built }} }} }}\n\
         agent: {{ interval: 2s, deadline: 1h, listen: \"127.0.0.1:0\" }}\n",
        folder.display()
    );
    std::fs::write(&file, text).expect("written");
    file
}

//! Whatever a registry responds, the problem is reported, no secret leaks, and images of other registries are not
//! delayed.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tagalong::fault::Explain;
use tagalong::image::{Repository, Version};
use tagalong::registry::client::Client;
use tagalong::registry::config::{Config, HostConfig};
use tagalong::registry::error::RegistryError;
use tagalong::registry::integrity::PartCache;

use crate::support::infra::Stage;
use crate::support::registry::{PASSWORD, USER, digest};
use crate::support::scripted::{Answer, Asked, Scripted, json as answer};

const CONFIG: &[u8] = br#"{"created":"2026-04-01T10:00:00Z","architecture":"amd64","os":"linux"}"#;
const LAYER: &[u8] = b"the files of an image";

fn manifest() -> Vec<u8> {
    let part = |kind: &str, bytes: &[u8]| json!({ "mediaType": kind, "digest": digest(bytes), "size": bytes.len() });
    json!({
        "schemaVersion": 2, "config": part("application/vnd.oci.image.config.v1+json", CONFIG),
        "layers": [part("application/vnd.oci.image.layer.v1.tar+zstd", LAYER)],
    })
    .to_string()
    .into_bytes()
}

/// A working registry with one image under every tag.
fn good(request: &Asked) -> Answer {
    let path = request.target.as_str();
    let body = match path {
        _ if path.ends_with("/tags/list") => return answer(200, json!({ "tags": ["aaaaaa1", "aaaaaa2"] }), &[]),
        _ if path.ends_with(&digest(CONFIG)) => CONFIG.to_vec(),
        _ if path.ends_with(&digest(LAYER)) => LAYER.to_vec(),
        _ => manifest(),
    };
    Some((200, vec![("Docker-Content-Digest".to_owned(), digest(&body))], body))
}

fn client(host: &str, credentials: Option<&Path>) -> Client {
    let credentials_file = credentials.map(Path::to_owned);
    let own = HostConfig { host: host.to_owned(), plain_http: true, credentials_file, ..HostConfig::default() };
    Client::new(Config { hosts: vec![own], timeout: Duration::from_secs(20), ..Config::default() }).expect("a client")
}

fn app(host: &str) -> Repository {
    format!("{host}/org/app").parse().expect("a name")
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// Reads the age of an image and checks that it is complete.
fn look(client: &Client, host: &str) -> Result<(), RegistryError> {
    let version = Version::parse_tag("aaaaaa1").expect("a tag");
    run(async {
        client.digest(&app(host), &version).await?;
        client.image(&app(host), &version).await?;
        client.check_integrity(&app(host), &version, &[], &PartCache::default()).await.map(drop)
    })
}

#[test]
fn each_bad_response_has_its_own_error() {
    let is_config = |request: &Asked| request.target.ends_with(&digest(CONFIG));
    let is_layer = |request: &Asked| request.target.ends_with(&digest(LAYER));
    let is_manifest = |request: &Asked| request.target.contains("/manifests/");
    let with_digest =
        |body: &[u8]| Some((200, vec![("Docker-Content-Digest".to_owned(), digest(body))], body.to_vec()));
    type Script = Box<dyn Fn(&Asked) -> Answer + Send + Sync>;
    let cases: Vec<(&str, Script, &str)> = vec![
        ("all is well", Box::new(good), ""),
        (
            "a digest that is none",
            Box::new(move |request| match is_manifest(request) {
                true => Some((200, vec![("Docker-Content-Digest".to_owned(), "sha256:x".to_owned())], manifest())),
                false => good(request),
            }),
            "is not a valid digest",
        ),
        (
            "a manifest that is another one by its digest",
            Box::new(move |request| match is_manifest(request) && request.target.contains("sha256:") {
                true => Some((200, vec![("Docker-Content-Digest".to_owned(), digest(LAYER))], LAYER.to_vec())),
                false if is_manifest(request) => {
                    Some((200, vec![("Docker-Content-Digest".to_owned(), digest(LAYER))], manifest()))
                }
                false => good(request),
            }),
            "hash to",
        ),
        (
            "a manifest that is broken JSON",
            Box::new(move |request| if is_manifest(request) { with_digest(b"{\"config\":") } else { good(request) }),
            "not a manifest",
        ),
        (
            "a manifest that is something else",
            Box::new(move |request| if is_manifest(request) { with_digest(b"{\"a\":1}") } else { good(request) }),
            "neither a manifest nor an index",
        ),
        (
            "a manifest nested without end",
            Box::new(move |request| match is_manifest(request) {
                true => with_digest(format!("{{\"x\":{}", "[".repeat(100_000)).as_bytes()),
                false => good(request),
            }),
            "not a manifest",
        ),
        (
            "a manifest of a thousand layers and more",
            Box::new(move |request| match is_manifest(request) {
                true => {
                    let mut many: Value = serde_json::from_slice(&manifest()).expect("JSON");
                    many["layers"] = json!(vec![many["layers"][0].clone(); 2000]);
                    with_digest(many.to_string().as_bytes())
                }
                false => good(request),
            }),
            "lists 2000 parts",
        ),
        (
            "a manifest that is huge",
            Box::new(move |request| match is_manifest(request) {
                true => Some((200, Vec::new(), vec![b' '; 9 << 20])),
                false => good(request),
            }),
            "larger than",
        ),
        (
            "another configuration",
            Box::new(move |request| if is_config(request) { with_digest(b"{}") } else { good(request) }),
            "do not hash to its digest",
        ),
        (
            "a layer of another size",
            Box::new(move |request| if is_layer(request) { with_digest(b"short") } else { good(request) }),
            "has 5 bytes, not 21",
        ),
        (
            "a layer that is gone",
            Box::new(move |request| if is_layer(request) { answer(404, json!({}), &[]) } else { good(request) }),
            "is missing",
        ),
        (
            "a failing disk",
            Box::new(move |request| if is_layer(request) { answer(500, json!({}), &[]) } else { good(request) }),
            "responded with 500",
        ),
        (
            "a page for people",
            Box::new(|_| Some((200, vec![("Content-Type".to_owned(), "text/html".to_owned())], b"<html>".to_vec()))),
            "is not a registry",
        ),
    ];
    for (name, script, words) in cases {
        let server = Scripted::start(script);
        match look(&client(&server.host(), None), &server.host()) {
            Ok(()) => assert!(words.is_empty(), "{name} was taken"),
            Err(error) => {
                assert!(!words.is_empty() && error.to_string().contains(words), "{name}: {error}");
                assert!(error.help().is_some(), "{name}: {error}");
            }
        }
    }
}

#[test]
fn an_endless_list_of_tags_is_cut_off() {
    let server = Scripted::start(|request| {
        let page: usize = request.target.split("page=").nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
        let link = format!("</v2/org/app/tags/list?page={}>; rel=\"next\"", page + 1);
        answer(200, json!({ "tags": [format!("t{page}")] }), &[("Link", &link)])
    });
    let own = HostConfig {
        host: server.host(),
        plain_http: true,
        requests_per_second: Some(100_000),
        ..HostConfig::default()
    };
    let client = Client::new(Config { hosts: vec![own], ..Config::default() }).expect("a client");
    let error = run(client.tags(&app(&server.host()))).expect_err("endless");
    assert!(error.to_string().contains("more than 2000 pages"), "{error}");
}

/// A server that sends one byte at a time, forever.
fn dripping() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let host = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(20) {
            std::thread::spawn(move || {
                let mut stream = stream?;
                let mut request = [0; 4096];
                let _ = stream.read(&mut request)?;
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
                for _ in 0..200 {
                    stream.write_all(b" ")?;
                    stream.flush()?;
                    std::thread::sleep(Duration::from_millis(100));
                }
                Ok::<(), std::io::Error>(())
            });
        }
    });
    host
}

#[test]
fn a_body_that_trickles_times_out() {
    let host = dripping();
    let start = Instant::now();
    let own = HostConfig {
        host: host.clone(),
        plain_http: true,
        timeout: Some(Duration::from_millis(1200)),
        ..HostConfig::default()
    };
    let client = Client::new(Config { hosts: vec![own], ..Config::default() }).expect("a client");
    let error = run(client.tags(&app(&host))).expect_err("too slow");
    assert!(matches!(error, RegistryError::TimedOut { .. }), "{error}");
    // The body would take twenty seconds.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn external_storage_gets_no_credentials_and_may_support_only_get() {
    let folder = tempfile::tempdir().expect("a folder");
    let storage = Scripted::start(|request| match request.method.as_str() {
        "HEAD" => answer(403, json!({}), &[]),
        _ => {
            let size = format!("bytes 0-0/{}", LAYER.len());
            Some((206, vec![("Content-Range".to_owned(), size)], LAYER[..1].to_vec()))
        }
    });
    let place = format!("http://{}/bucket/layer", storage.host());
    let server = Scripted::start(move |request| match &request.authorization {
        None => answer(401, json!({}), &[("WWW-Authenticate", "Basic realm=x")]),
        Some(_) if request.target.ends_with(&digest(LAYER)) => answer(307, json!({}), &[("Location", &place)]),
        Some(_) => good(request),
    });
    let file = folder.path().join("config.json");
    let login = json!({ "auths": { server.host(): { "username": USER, "password": PASSWORD } } });
    std::fs::write(&file, login.to_string()).expect("written");
    look(&client(&server.host(), Some(&file)), &server.host()).expect("whole");
    assert!(!storage.asked().is_empty());
    assert!(storage.asked().iter().all(|asked| asked.authorization.is_none()), "{:#?}", storage.asked());
}

#[test]
fn redirect_loops_end() {
    let server = Scripted::start(|request| answer(307, json!({}), &[("Location", &request.target)]));
    let error = run(client(&server.host(), None).tags(&app(&server.host()))).expect_err("no answer");
    assert!(error.to_string().contains("redirects more than 5 times"), "{error}");
    assert_eq!(server.asked().len(), 6);
}

#[test]
fn other_registries_are_not_delayed() {
    let hanging = Scripted::start(|_| None);
    let failing = Scripted::start(|_| answer(503, json!({}), &[]));
    let lying = Scripted::start(|request| match request.target.ends_with(&digest(LAYER)) {
        true => answer(404, json!({}), &[]),
        false if request.target.ends_with("/tags/list") => answer(200, json!({ "tags": ["aaaaaa2"] }), &[]),
        false => good(request),
    });
    let drip = dripping();
    let bad = [hanging.host(), failing.host(), lying.host(), drip];
    let mut files: Vec<(String, String)> = bad
        .iter()
        .enumerate()
        .map(|(n, host)| (format!("bad-{n}.yaml"), format!("image: {host}/org/app:latest\n")))
        .collect();
    files.push(("good.yaml".to_owned(), "image: HOST/org/app:aaaaaa1\n".to_owned()));
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let stage = Stage::new(&files);
    stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
    stage.registry.push("org/app", "aaaaaa2", "2026-04-02T10:00:00Z");
    let config = stage.config();
    let mut text = std::fs::read_to_string(&config).expect("there");
    for host in &bad {
        let entry = format!("registries:\n- {{ host: \"{host}\", plainHttp: true, timeout: 2s }}\n");
        text = text.replacen("registries:\n", &entry, 1);
        let policy = format!("policies:\n- {{ images: [\"{host}/org/*\"], tags: {{ sha: {{}} }} }}\n");
        text = text.replacen("policies:\n", &policy, 1);
    }
    std::fs::write(&config, text).expect("written");
    let start = Instant::now();
    let run = stage.tagalong(&["sync", "--output", "json"]);
    // Typical clients would wait for three attempts of thirty seconds each.
    assert!(start.elapsed() < Duration::from_secs(45), "{:?}", start.elapsed());
    assert_eq!(run.code, 3, "{run:#?}");
    let report = run.json();
    assert_eq!(report["updates"].as_array().expect("updates").len(), 1, "{report:#}");
    assert!(stage.origin.read("good.yaml").ends_with("aaaaaa2\n"));
    for (host, reason, words) in [
        (&bad[0], "registry-error", "did not respond within 2 s"),
        (&bad[1], "registry-error", "responded with 503"),
        (&bad[2], "blocked-image", "is missing"),
        (&bad[3], "registry-error", "did not respond within 2 s"),
    ] {
        let mut skipped = report["skipped"].as_array().expect("skipped").iter();
        let of_host = |s: &&Value| s["image"].as_str().is_some_and(|image| image.starts_with(host.as_str()));
        let said = skipped.find(of_host).unwrap_or_else(|| panic!("{host}: {report:#}"));
        assert_eq!(said["reason"], reason, "{report:#}");
        assert!(said["detail"].as_str().expect("text").contains(words), "{said}");
    }
}

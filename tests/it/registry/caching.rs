//! What is known is not requested again: a cycle with nothing new costs one listing per image, and a new tag costs its
//! metadata once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tagalong::image::{Repository, Version};
use tagalong::registry::client::Client;
use tagalong::registry::config::{Config, HostConfig};
use tagalong::registry::error::RegistryError;

use crate::support;
use crate::support::agent::Agent;
use crate::support::infra::Stage;
use crate::support::process::wait_until;
use crate::support::scripted::{Answer, Asked, Scripted, json as answer};

const OLD: &str = "2026-04-01T10:00:00Z";

/// The layer that all images share.
const LAYER: &[u8] = b"a layer";

/// A minimal registry: tag `n` was built in second `n` of 2026; the test counts requests.
fn shelf(tags: usize, request: &Asked) -> Answer {
    let path = request.target.split('?').next().unwrap_or_default();
    let config = |n: usize| {
        let at = jiff::Timestamp::from_second(1_767_225_600 + n as i64).expect("a time");
        json!({ "created": at.to_string(), "architecture": "amd64", "os": "linux" }).to_string().into_bytes()
    };
    let manifest = |n: usize| {
        let part =
            |bytes: &[u8]| json!({ "digest": support::registry::digest(bytes), "size": bytes.len(), "mediaType": "x" });
        json!({ "schemaVersion": 2, "layers": [part(LAYER)], "config": part(&config(n)) }).to_string().into_bytes()
    };
    let number = |tag: &str| usize::from_str_radix(tag.strip_prefix('a')?, 16).ok().filter(|n| *n < tags);
    if path.ends_with("/tags/list") {
        let names: Vec<String> = (0..tags).map(|n| format!("a{n:06x}")).collect();
        return answer(200, json!({ "tags": names }), &[]);
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    let all = || (0..tags).map(|n| if path.contains("/blobs/") { config(n) } else { manifest(n) });
    let body = match number(name) {
        Some(n) => Some(manifest(n)),
        None if name == support::registry::digest(LAYER) => Some(LAYER.to_vec()),
        None => all().find(|bytes| support::registry::digest(bytes) == name),
    };
    match body {
        Some(body) => {
            let digest = support::registry::digest(&body);
            Some((200, vec![("Docker-Content-Digest".to_owned(), digest)], body))
        }
        None => answer(404, json!({ "errors": [{ "code": "MANIFEST_UNKNOWN" }] }), &[]),
    }
}

fn client(host: &str, cache: Option<&std::path::Path>) -> Client {
    let own = HostConfig { host: host.to_owned(), plain_http: true, ..HostConfig::default() };
    let cache_dir = cache.map(std::path::Path::to_owned);
    Client::new(Config { hosts: vec![own], cache_dir, timeout: Duration::from_secs(2), ..Config::default() })
        .expect("a client")
}

fn repository(host: &str) -> Repository {
    format!("{host}/org/app").parse().expect("a name")
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// A stage whose images are on a scripted registry.
fn stage_on(server: &Scripted, policy: &str, files: &[(&str, &str)]) -> (Stage, String) {
    let host = server.host();
    let files: Vec<(&str, String)> = files.iter().map(|(name, text)| (*name, text.replace("SERVER", &host))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let stage = Stage::new(&files);
    let text = format!(
        "{}registries:\n- {{ host: \"{host}\", plainHttp: true }}\npolicies:\n{}\n",
        stage.sshd.config(&stage.origin),
        policy.replace("SERVER", &host)
    );
    let config = stage.home().join("scripted.yaml");
    std::fs::write(&config, text).expect("written");
    (stage, config.display().to_string())
}

#[test]
fn a_steady_cycle_costs_one_listing_and_a_new_tag_its_metadata_once() {
    let tags = Arc::new(AtomicUsize::new(20));
    let now = Arc::clone(&tags);
    let server = Scripted::start(move |request| shelf(now.load(Ordering::SeqCst), request));
    let policy = "- { images: [SERVER/org/*], tags: { sha: {} } }";
    let (stage, config) = stage_on(&server, policy, &[("app.yaml", "image: SERVER/org/app:a000000\n")]);
    let sync = || {
        let before = server.asked().len();
        let run = support::tagalong::run(stage.home(), &["sync", "--config", &config]).ok();
        (run, server.asked().len() - before)
    };
    let (_, first) = sync();
    assert!(stage.origin.read("app.yaml").ends_with("a000013\n"));
    // A listing, two requests per tag, whether the candidate's layer exists, and whether its tag still points to it:
    // everything else was just fetched.
    assert_eq!(first, 1 + 20 * 2 + 2);
    assert_eq!(sync().1, 1, "another process, and nothing new");
    tags.store(21, Ordering::SeqCst);
    let (_, new) = sync();
    assert!(stage.origin.read("app.yaml").ends_with("a000014\n"));
    assert_eq!(new, 1 + 4);
    assert_eq!(sync().1, 1);

    // The cache is only a cache: damaged or deleted, everything works as before.
    let file = stage.home().join(".cache/tagalong/registries.redb");
    std::fs::write(&file, "garbage").expect("there");
    let (run, again) = sync();
    assert!(run.stdout.contains("up to date") && run.stderr.is_empty(), "{run:#?}");
    assert_eq!(again, 1 + 21 * 2);
    std::fs::remove_file(&file).expect("there");
    assert_eq!(sync().1, 1 + 21 * 2);
}

#[test]
fn a_steady_cycle_reads_its_cache_once_an_image_however_many_tags_there_are() {
    let (images, tags) = (10, 60);
    let server = Scripted::start(move |request| shelf(tags, request));
    let names: Vec<String> = (0..images).map(|n| format!("app-{n}.yaml")).collect();
    let texts: Vec<String> = (0..images).map(|n| format!("image: SERVER/org/app-{n}:a000000\n")).collect();
    let files: Vec<(&str, &str)> =
        names.iter().zip(&texts).map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let (stage, config) = stage_on(&server, "- { images: [SERVER/org/*], tags: { sha: {} } }", &files);
    let text =
        std::fs::read_to_string(&config).expect("there") + "agent: { interval: 100ms, listen: \"127.0.0.1:0\" }\n";
    std::fs::write(&config, text).expect("written");
    let mut command = support::tagalong::command(stage.home());
    command.args(["run", "--log-level", "debug", "--log-format", "json", "--config", &config]);
    let agent = Agent::spawn(command);
    wait_until("some steady cycles are done", || agent.cycles() > 5);
    let log = agent.log();
    assert!(stage.origin.read("app-0.yaml").ends_with("a00003b\n"));
    let count = |lines: &str, text: &str| lines.lines().filter(|line| line.contains(text)).count();
    // From the end of one cycle to the end of the next.
    let steady: Vec<&str> = log.split("cycle finished").skip(3).take(2).collect();
    for cycle in steady {
        assert_eq!(count(cycle, "\"registry request\""), images, "{cycle}");
        let written = cycle.lines().find(|line| line.contains("wrote the registry cache")).expect("a line");
        let written: serde_json::Value = serde_json::from_str(written).expect("JSON");
        assert_eq!(written["reads"], images, "{written}");
    }
}

#[test]
fn the_first_cycle_inspects_some_of_many_tags_and_reports_the_rest() {
    let server = Scripted::start(move |request| shelf(50, request));
    let policy = "- { images: [SERVER/org/*], tags: { sha: {} }, inspectLimit: 20 }";
    let (stage, config) = stage_on(&server, policy, &[("app.yaml", "image: SERVER/org/app:a000000\n")]);
    let sync = || support::tagalong::run(stage.home(), &["sync", "--config", &config]).ok();
    let first = sync();
    assert!(first.stderr.contains("30 of 50 tags are not inspected yet (inspectLimit 20)"), "{first:#?}");
    // The names say nothing, so the end of the list is tried first.
    assert!(stage.origin.read("app.yaml").ends_with("a000031\n"));
    assert!(sync().stderr.contains("9 of 50 tags are not inspected yet"));
    assert!(sync().stderr.is_empty());
    let before = server.asked().len();
    sync();
    assert_eq!(server.asked().len() - before, 1);
}

#[test]
fn an_unchanged_listing_is_not_sent_again() {
    let server = Scripted::start(|request| {
        let page = if request.target.contains("last=") { "second" } else { "first" };
        let mark = format!("\"{page}\"");
        if request.if_none_match.as_deref() == Some(mark.as_str()) {
            return Some((304, Vec::new(), Vec::new()));
        }
        let link = ("Link", "</v2/org/app/tags/list?last=a>; rel=\"next\"");
        let mark = ("ETag", mark.as_str());
        match page {
            "first" => answer(200, json!({ "tags": ["a"] }), &[mark, link]),
            _ => answer(200, json!({ "tags": ["b"] }), &[mark]),
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    for round in 0..3 {
        let client = client(&server.host(), Some(folder.path()));
        let tags = run(client.tags(&repository(&server.host()))).expect("tags");
        assert_eq!(tags.len(), 2, "round {round}");
    }
    let marks: Vec<bool> = server.asked().iter().map(|asked| asked.if_none_match.is_some()).collect();
    assert_eq!(marks, [false, false, true, true, true, true]);
}

#[test]
fn identical_requests_are_combined_and_connections_reused() {
    let server = Scripted::start(|request| {
        std::thread::sleep(Duration::from_millis(30));
        shelf(8, request)
    });
    let (client, app) = (client(&server.host(), None), repository(&server.host()));
    run(async {
        let same = (0..20).map(|_| client.tags(&app));
        assert!(futures_util::future::join_all(same).await.iter().all(Result::is_ok));
        assert_eq!(server.asked().len(), 1);
        for n in 0..8 {
            client.image(&app, &Version::parse_tag(&format!("a{n:06x}")).expect("a tag")).await.expect("an image");
        }
    });
    assert_eq!(server.asked().len(), 17);
    assert_eq!(server.connections(), 1);
}

#[test]
fn concurrent_requests_share_one_token() {
    let tokens = Scripted::start(|_| {
        std::thread::sleep(Duration::from_millis(50));
        answer(200, json!({ "token": "good", "expires_in": 300 }), &[])
    });
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"tests\"", tokens.host());
    let server = Scripted::start(move |request| match request.authorization.as_deref() {
        Some("Bearer good") => shelf(8, request),
        _ => answer(401, json!({}), &[("WWW-Authenticate", &realm)]),
    });
    let (client, app) = (client(&server.host(), None), repository(&server.host()));
    run(async {
        let versions: Vec<Version> = (0..8).map(|n| Version::parse_tag(&format!("a{n:06x}")).expect("a tag")).collect();
        let all = futures_util::future::join_all(versions.iter().map(|version| client.image(&app, version))).await;
        assert!(all.iter().all(Result::is_ok), "{all:?}");
    });
    assert_eq!(tokens.asked().len(), 1);
}

#[test]
fn an_overloaded_registry_is_not_flooded() {
    // Rejects everything for a second and a half.
    let start = std::time::Instant::now();
    let server = Scripted::start(move |request| match start.elapsed() < Duration::from_millis(1500) {
        true => answer(429, json!({}), &[("Retry-After", "1")]),
        false => shelf(40, request),
    });
    let (client, app) = (client(&server.host(), None), repository(&server.host()));
    run(async {
        let versions: Vec<Version> =
            (0..40).map(|n| Version::parse_tag(&format!("a{n:06x}")).expect("a tag")).collect();
        let all = futures_util::future::join_all(versions.iter().map(|version| client.image(&app, version))).await;
        assert!(all.iter().all(Result::is_ok), "{all:?}");
    });
    let refused = server.asked().len() - 80;
    assert!(refused <= 80, "{refused} requests were refused");

    let never = Scripted::start(|_| answer(429, json!({}), &[]));
    let (client, app) = (self::client(&never.host(), None), repository(&never.host()));
    let started = std::time::Instant::now();
    run(async {
        for _ in 0..50 {
            let error = client.tags(&app).await.expect_err("refused");
            assert!(matches!(error, RegistryError::RateLimited { .. }), "{error}");
        }
    });
    assert!(never.asked().len() <= 6, "{}", never.asked().len());
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

#[test]
fn two_processes_on_one_cache_do_not_harm_each_other() {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa0\n")]);
    for n in 0..10 {
        stage.registry.push("org/app", &format!("aaaaaa{n}"), OLD.replace("10:00:00", &format!("10:00:0{n}")).as_str());
    }
    let config = stage.config().display().to_string();
    let start = || {
        let mut command = support::tagalong::command(stage.home());
        command.args(["images", "verify", "--config", &config]).stdout(std::process::Stdio::null());
        command.spawn().expect("it starts")
    };
    for _ in 0..3 {
        let mut processes: Vec<_> = (0..4).map(|_| start()).collect();
        // One is killed in the middle of whatever it does.
        std::thread::sleep(Duration::from_millis(40));
        processes[0].kill().expect("ended");
        let ends: Vec<bool> = processes.into_iter().map(|mut child| child.wait().expect("it ends").success()).collect();
        assert!(ends[1..].iter().all(|good| *good), "{ends:?}");
    }
    stage.tagalong(&["sync"]).ok();
    assert!(stage.origin.read("app.yaml").ends_with("aaaaaa9\n"));
}

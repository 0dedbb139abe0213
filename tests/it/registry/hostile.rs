//! What a hostile registry sends is limited in time, memory and length, and delays only its own images.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tagalong::cli::connect;
use tagalong::config::load;
use tagalong::config::overrides::Overrides;
use tagalong::cycle::operations::terms::Mode;
use tagalong::cycle::report::Report;
use tagalong::fault::Explain;
use tagalong::forge::client::Forge;
use tagalong::forge::config::{ApiBase, Config as ForgeConfig, Kind};
use tagalong::forge::error::ForgeError;
use tagalong::identity::token_source::TokenSource;
use tagalong::image::{Repository, Tag, Version};
use tagalong::plan::skip::{Reason, Skipped};
use tagalong::policy::scope::Scope;
use tagalong::registry::client::Client;
use tagalong::registry::config::{Api, Config, HostConfig};
use tagalong::registry::error::RegistryError;
use tagalong::registry::integrity::PartCache;
use tokio_util::sync::CancellationToken;

use crate::support::agent::Agent;
use crate::support::infra::Stage;
use crate::support::process::wait_until;
use crate::support::registry::{PASSWORD, USER, digest};
use crate::support::scripted::{Answer, Asked, Scripted, json as answer};

/// The memory that a pod may use (deploy/flux-system), in bytes.
const POD: u64 = 256 << 20;

fn client_with(host: &str, change: impl FnOnce(&mut HostConfig)) -> Client {
    let mut own = HostConfig { host: host.to_owned(), plain_http: true, ..HostConfig::default() };
    own.requests_per_second = Some(100_000);
    change(&mut own);
    Client::new(Config { hosts: vec![own], ..Config::default() }).expect("a client")
}

fn client(host: &str) -> Client {
    client_with(host, |_| {})
}

fn app(host: &str) -> Repository {
    format!("{host}/org/app").parse().expect("a name")
}

fn tag() -> Version {
    Version::parse_tag("aaaaaa1").expect("a tag")
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// A response with a body and its digest.
fn content(body: Vec<u8>) -> Answer {
    Some((200, vec![("Docker-Content-Digest".to_owned(), digest(&body))], body))
}

/// A page of tags that links to the next, without end. `tags` makes the tags of a page.
fn endless(request: &Asked, tags: impl Fn(usize) -> Vec<String>) -> Answer {
    let page: usize = request.target.split("page=").nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    let path = request.target.split('?').next().unwrap_or_default();
    let link = format!("<{path}?page={}>; rel=\"next\"", page + 1);
    answer(200, json!({ "tags": tags(page) }), &[("Link", &link), ("ETag", &format!("\"{page}\""))])
}

/// Runs one cycle of the agent with a budget on images of `hosts`, in addition to the image of the stage's own
/// registry.
fn cycle(stage: &Stage, hosts: &[String], budget: Duration) -> Report {
    let config = stage.config();
    let mut text = std::fs::read_to_string(&config).expect("there");
    for host in hosts {
        let registry = format!("registries:\n- {{ host: \"{host}\", plainHttp: true }}\n");
        text = text.replacen("registries:\n", &registry, 1);
        let policy = format!("policies:\n- {{ images: [\"{host}/org/*\"], tags: {{ sha: {{}} }} }}\n");
        text = text.replacen("policies:\n", &policy, 1);
    }
    std::fs::write(&config, text).expect("written");
    let home = stage.home().display().to_string();
    let overrides = Overrides { file: Some(config), ..Overrides::default() };
    let config = load::Config::load(&overrides, &|name| (name == "HOME").then(|| home.clone())).expect("valid");
    let engine = connect::engine(&config).expect("an engine");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let go_on = CancellationToken::new();
    runtime.block_on(engine.follow_scope(&Scope::All, Mode::Push, budget, &go_on)).expect("a cycle")
}

fn skipped<'r>(report: &'r Report, image: &str) -> &'r Skipped {
    let found = report.skipped.iter().find(|skipped| skipped.image.as_str().ends_with(image));
    found.unwrap_or_else(|| panic!("{image}: {report:#?}"))
}

#[test]
fn registries_that_never_finish_delay_only_their_own_images() {
    // Every page comes soon enough and has a new tag, so no request ever fails.
    let listing = Scripted::start(|request| {
        std::thread::sleep(Duration::from_millis(100));
        endless(request, |page| vec![format!("{page:07x}")])
    });
    // The listing is fine, and so is every single answer, but there is no end to what has to be asked.
    let nested = Scripted::start(|request| match request.target.ends_with("/tags/list") {
        true => answer(200, json!({ "tags": ["aaaaaa1", "aaaaaa2"] }), &[]),
        false => {
            std::thread::sleep(Duration::from_millis(100));
            let child = |n: usize| {
                let created = "2026-04-01T10:00:00Z";
                let annotations = json!({ "org.opencontainers.image.created": created });
                json!({ "annotations": annotations, "config": { "digest": n.to_string() } }).to_string()
            };
            let listed = |n: usize| json!({ "digest": digest(child(n).as_bytes()), "size": child(n).len() });
            let named = |text: &String| request.target.ends_with(&digest(text.as_bytes()));
            let index = || json!({ "manifests": (0..200).map(listed).collect::<Vec<_>>() }).to_string();
            content((0..200).map(child).find(named).unwrap_or_else(index).into_bytes())
        }
    });
    let hosts = [listing.host(), nested.host()];
    // More images than are scanned at a time, so that a healthy one would have to wait for one of them.
    let mut files: Vec<(String, String)> = Vec::new();
    for n in 0..20 {
        files.push((format!("listing-{n}.yaml"), format!("image: {}/org/listing-{n}:latest\n", hosts[0])));
        files.push((format!("nested-{n}.yaml"), format!("image: {}/org/nested-{n}:latest\n", hosts[1])));
    }
    files.push(("good.yaml".to_owned(), "image: HOST/org/app:aaaaaa1\n".to_owned()));
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let stage = Stage::new(&files);
    stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
    stage.registry.push("org/app", "aaaaaa2", "2026-04-02T10:00:00Z");
    let report = cycle(&stage, &hosts, Duration::from_secs(2));
    assert!(stage.origin.read("good.yaml").ends_with("aaaaaa2\n"), "{report:#?}");
    for image in ["listing", "nested"] {
        let failed = report.skipped.iter().filter(|skipped| skipped.image.as_str().contains(image));
        let failed: Vec<&Skipped> = failed.filter(|skipped| skipped.reason == Reason::RegistryError).collect();
        assert!(!failed.is_empty(), "{image}: {report:#?}");
        assert!(failed.iter().all(|skipped| skipped.detail.contains("did not finish")), "{failed:#?}");
    }
}

#[test]
fn images_with_more_parts_than_can_be_are_broken_not_endless() {
    let child = json!({ "digest": digest(b"a child"), "size": 1 });
    let index = json!({ "manifests": vec![child; 30_000] }).to_string().into_bytes();
    let server = Scripted::start(move |request| match request.target.ends_with("/tags/list") {
        true => answer(200, json!({ "tags": ["aaaaaa1", "aaaaaa2"] }), &[]),
        false => content(index.clone()),
    });
    let stage = Stage::new(&[("app.yaml", &format!("image: {}/org/app:latest\n", server.host()))]);
    let report = cycle(&stage, &[server.host()], Duration::from_secs(20));
    let skipped = skipped(&report, "org/app");
    assert_eq!(skipped.reason, Reason::BlockedImage, "{report:#?}");
    assert!(skipped.detail.contains("lists 30000 parts, more than 1024"), "{skipped:#?}");
    // The listing, and each manifest twice: its size is known only then.
    assert!(server.asked().len() <= 5, "{:#?}", server.asked().len());

    // No more than a fixed number of parts is checked, however they are nested.
    let part = |text: &str| json!({ "digest": digest(text.as_bytes()), "size": 1 });
    let layers: Vec<_> = (0..500).map(|n| part(&format!("layer {n}"))).collect();
    let manifest = |n: usize| json!({ "config": part(&format!("config {n}")), "layers": layers }).to_string();
    let manifests: HashMap<String, String> =
        (0..100).map(manifest).map(|text| (digest(text.as_bytes()), text)).collect();
    let child = |(digest, text): (&String, &String)| json!({ "digest": digest, "size": text.len() });
    let index = json!({ "manifests": manifests.iter().map(child).collect::<Vec<_>>() }).to_string();
    let server = Scripted::start(move |request| match request.target.rsplit('/').next() {
        Some("aaaaaa1") => content(index.clone().into_bytes()),
        Some(name) if request.target.contains("/manifests/") => content(manifests[name].clone().into_bytes()),
        _ => Some((200, Vec::new(), vec![b' '])),
    });
    let client = client(&server.host());
    let (app, version, part_cache) = (app(&server.host()), tag(), PartCache::default());
    let error = run(client.check_integrity(&app, &version, &[], &part_cache)).expect_err("too many");
    assert!(error.to_string().contains("more than 4096 parts"), "{error}");
    assert!(error.to_string().contains(" more flaws") && error.to_string().len() < 4000, "{error}");
}

#[test]
fn a_host_that_asks_to_wait_for_decades_is_granted_minutes() {
    let now = jiff::Timestamp::now().as_second();
    let cases: Vec<(u16, &'static str, String, u64)> = vec![
        (200, "RateLimit-Reset", u64::MAX.to_string(), 600),
        (200, "RateLimit-Reset", "99999999999999999999999".to_owned(), 600),
        (200, "RateLimit-Reset", "4000000000".to_owned(), 600),
        (200, "X-RateLimit-Reset", (now + 90).to_string(), 90),
        (429, "Retry-After", "1000000000000000".to_owned(), 600),
        (429, "Retry-After", "Fri, 01 Jan 2100 00:00:00 GMT".to_owned(), 600),
    ];
    for (status, name, value, longest) in cases {
        let sent = value.clone();
        let server = Scripted::start(move |_| {
            answer(status, json!({ "tags": ["a"] }), &[("RateLimit-Remaining", "0"), (name, &sent)])
        });
        let (client, repository) = (client(&server.host()), app(&server.host()));
        let results = run(async {
            let short = Duration::from_secs(3);
            let first = tokio::time::timeout(short, client.tags(&repository)).await;
            (first.is_ok_and(|listed| listed.is_ok()), tokio::time::timeout(short, client.tags(&repository)).await)
        });
        assert_eq!(results.0, status == 200, "{name}: {value}");
        match results.1 {
            Ok(Err(RegistryError::RateLimited { wait, .. })) => {
                let wait = wait.expect("a wait").as_secs();
                assert!(wait <= longest && wait + 20 >= longest, "{name}: {value}: {wait} s");
            }
            other => panic!("{name}: {value}: {other:?}"),
        }
    }
}

#[test]
fn long_lists_of_tags_are_refused() {
    let many = (0..300_001).map(|n| format!("{n:07x}")).collect::<Vec<String>>();
    let long = |page: usize| (0..60_000).map(|n| format!("{page:08x}{n:0100}")).collect::<Vec<String>>();
    type Script = Box<dyn Fn(&Asked) -> Answer + Send + Sync>;
    let cases: Vec<(Script, &str)> = vec![
        (Box::new(move |_| answer(200, json!({ "tags": many }), &[])), "more than 300000 tags"),
        (Box::new(move |request| endless(request, long)), "more than 25165824 bytes"),
        (Box::new(|_| Some((200, Vec::new(), vec![b' '; 17 << 20]))), "larger than 16777216 bytes"),
        (
            Box::new(|_| {
                answer(200, json!({ "tags": ["a"] }), &[("Link", &format!("</{}>; rel=next", "x".repeat(5000)))])
            }),
            "the address of its next page has 5001 bytes",
        ),
    ];
    for (script, words) in cases {
        let server = Scripted::start(script);
        let error = run(client(&server.host()).tags(&app(&server.host()))).expect_err(words);
        assert!(error.to_string().contains(words) && error.to_string().len() < 1000, "{error}");
        assert!(error.help().is_some());
    }
}

#[test]
fn texts_of_a_registry_are_cut_before_they_are_shown() {
    let long = "0123456789\u{1b}[2J\r\n".repeat(100_000);
    let cases: Vec<(&str, Answer)> = vec![
        ("a digest", content(json!({ "config": { "digest": long } }).to_string().into_bytes())),
        ("a size", content(json!({ "config": { "digest": "x", "size": long } }).to_string().into_bytes())),
        (
            "a type",
            Some((200, vec![("Content-Type".to_owned(), format!("text/html{}", "x".repeat(60_000)))], Vec::new())),
        ),
        ("a redirect", answer(307, json!({}), &[("Location", &format!("http://{}/", "x".repeat(60_000)))])),
    ];
    for (name, script) in cases {
        let server = Scripted::start(move |request| match request.target.ends_with("/tags/list") {
            true => answer(200, json!({ "tags": ["aaaaaa1", "aaaaaa2"] }), &[]),
            false => script.clone(),
        });
        let text = format!("image: {}/org/app:latest\n", server.host());
        let stage = Stage::new(&[("app.yaml", text.as_str())]);
        let config = stage.config();
        let host = server.host();
        let settings = std::fs::read_to_string(&config).expect("there");
        let settings =
            settings.replacen("registries:\n", &format!("registries:\n- {{ host: \"{host}\", plainHttp: true }}\n"), 1);
        let policy = format!("policies:\n- {{ images: [\"{host}/org/*\"], tags: {{ sha: {{}} }} }}\n");
        std::fs::write(&config, settings.replacen("policies:\n", &policy, 1)).expect("written");
        let sync = stage.tagalong(&["sync", "--output", "json", "--log-level", "debug"]);
        assert!(sync.stdout.len() < 20_000 && !sync.stdout.contains('\u{1b}'), "{name}: {} bytes", sync.stdout.len());
        assert!(sync.stderr.lines().all(|line| line.len() < 4_000), "{name}: {}", sync.stderr.len());
        assert!(sync.json()["skipped"].as_array().is_some_and(|skipped| !skipped.is_empty()), "{name}: {sync:#?}");
    }
}

#[test]
fn tokens_and_challenges_are_limited() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = |length: usize| json!({ "token": "x".repeat(length), "expires_in": u64::MAX });
    for (length, words) in [(70_000, "its token is longer than 64 KiB"), (300_000, "larger than 262144 bytes")] {
        let server = Scripted::start(move |request| match &request.authorization {
            Some(bearer) if bearer.starts_with("Bearer") => answer(200, json!({ "tags": ["a"] }), &[]),
            _ if request.target.starts_with("/token") => answer(200, token(length), &[]),
            _ => {
                let host = request.head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
                answer(401, json!({}), &[("WWW-Authenticate", &format!("Bearer realm=\"http://{host}/token\""))])
            }
        });
        let file = folder.path().join("config.json");
        let login = json!({ "auths": { server.host(): { "username": USER, "password": PASSWORD } } });
        std::fs::write(&file, login.to_string()).expect("written");
        let client = client_with(&server.host(), |own| own.credentials_file = Some(file));
        let error = run(client.tags(&app(&server.host()))).expect_err("too long");
        assert!(error.to_string().contains(words) && error.to_string().len() < 1000, "{error}");
    }
    for challenge in ["Bearer ", "=\"", "Bearer realm=\"", "Bearer a=\"\",", ",,,", "Bearer realm=a="] {
        let server = Scripted::start(move |_| answer(401, json!({}), &[("WWW-Authenticate", &challenge.repeat(2000))]));
        let start = Instant::now();
        let error = run(client(&server.host()).tags(&app(&server.host()))).expect_err(challenge);
        assert!(error.to_string().len() < 1000 && start.elapsed() < Duration::from_secs(20), "{error}");
    }
}

#[test]
fn apis_that_report_push_times_are_limited() {
    let entry = json!({ "name": "app", "version": "a", "created_at": "2026-04-01T10:00:00Z" });
    for (count, words) in [(2_000, "lists 2000 entries, more than 1000"), (80_000, "larger than 4194304 bytes")] {
        let entries = json!(vec![entry.clone(); count]);
        let server = Scripted::start(move |_| answer(200, entries.clone(), &[]));
        let client = client_with(&server.host(), |own| own.api = Some(Api::Gitea));
        let wanted: Tag = "b".parse().expect("a tag");
        let error = run(client.push_times(&app(&server.host()), &[&wanted].into())).expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_question_takes_a_limited_time_however_many_requests_it_has() {
    let server = Scripted::start(|request| {
        std::thread::sleep(Duration::from_millis(50));
        endless(request, |page| vec![format!("t{page}")])
    });
    let client = client_with(&server.host(), |own| own.timeout = Some(Duration::from_millis(400)));
    let error = run(client.tags(&app(&server.host()))).expect_err("endless");
    assert!(matches!(error, RegistryError::Unfinished { .. }), "{error}");
    assert!(error.to_string().contains("did not finish listing tags within 8 s"), "{error}");
}

fn forge(server: &Scripted, folder: &Path, timeout: Duration) -> std::sync::Arc<Forge> {
    let token_file = folder.join("token");
    std::fs::write(&token_file, "a token").expect("written");
    let token = TokenSource::File(token_file);
    let kind = Kind::Gitea;
    let api = format!("http://{}", server.host()).parse::<ApiBase>().expect("a URL").completed(kind);
    let (repository, head, base) = ("org/infra".to_owned(), "tagalong".to_owned(), "main".to_owned());
    let labels = Vec::new();
    Forge::new(ForgeConfig { kind, api, repository, head, base, token, labels, timeout }).expect("a client")
}

#[test]
fn a_forge_that_never_finishes_is_abandoned() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Scripted::start(|_| {
        std::thread::sleep(Duration::from_millis(150));
        answer(200, json!([]), &[("Link", "<http://x/?page=2>; rel=\"next\"")])
    });
    let error = run(forge(&server, folder.path(), Duration::from_millis(200)).pull_requests()).expect_err("endless");
    assert!(matches!(error, ForgeError::TimedOut { .. }), "{error}");
    assert!(server.asked().len() < 20, "{}", server.asked().len());

    // An error that is larger than an error can be is not parsed, let alone shown.
    let server = Scripted::start(|_| answer(422, json!({ "message": "x".repeat(1 << 20) }), &[]));
    let error = run(forge(&server, folder.path(), Duration::from_secs(20)).pull_requests()).expect_err("an error");
    assert!(error.to_string().len() < 1000, "{error}");
}

#[test]
fn what_hostile_registries_send_fits_into_a_pod() {
    // Long tags, in as many pages as are read, and images whose manifests are nothing but annotations.
    let listing = Scripted::start(|request| {
        endless(request, |page| (0..30_000).map(|n| format!("{page:028x}{n:0100}")).collect())
    });
    let annotations: serde_json::Map<String, serde_json::Value> =
        (0..250_000).map(|n| (format!("{n:x}"), json!(""))).collect();
    let manifest = json!({ "annotations": annotations, "config": { "digest": digest(b"x") } }).to_string();
    let manifests = Scripted::start(move |request| match request.target.ends_with("/tags/list") {
        true => answer(200, json!({ "tags": (0..8).map(|n| format!("{n:07x}")).collect::<Vec<_>>() }), &[]),
        false => content(format!("{manifest}{}", " ".repeat(request.target.len())).into_bytes()),
    });
    let hosts = [listing.host(), manifests.host()];
    let files: Vec<(String, String)> = (0..3)
        .flat_map(|n| hosts.iter().enumerate().map(move |(of, host)| (n, of, host)))
        .map(|(n, of, host)| (format!("app-{of}-{n}.yaml"), format!("image: {host}/org/app-{n}:latest\n")))
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let stage = Stage::new(&files);
    let config = stage.config();
    let mut text = std::fs::read_to_string(&config).expect("there");
    for host in &hosts {
        text = text.replacen("registries:\n", &format!("registries:\n- {{ host: \"{host}\", plainHttp: true }}\n"), 1);
        let policy = format!("policies:\n- {{ images: [\"{host}/org/*\"], tags: {{ sha: {{}} }} }}\n");
        text = text.replacen("policies:\n", &policy, 1);
    }
    std::fs::write(&config, text.replace("agent: {", "agent: { deadline: 12s,")).expect("written");
    let agent = Agent::start(stage.home(), &config);
    wait_until("a cycle is finished", || agent.cycles() > 0);
    let peak = agent.peak_memory() * 1024;
    assert!(peak < POD, "{} MB", peak >> 20);
    assert!(agent.log().contains("cycle finished"), "{}", agent.log());
}

//! Real registries get the requests they expect, and errors of bad ones are told apart.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tagalong::fault::{Explain, Fault};
use tagalong::image::{Repository, Version};
use tagalong::registry::client::Client;
use tagalong::registry::config::{Config, HostConfig};
use tagalong::registry::error::RegistryError;

use crate::support;
use crate::support::registry::{Kind, PASSWORD, Registry, USER, digest};
use crate::support::scripted::{Answer, Scripted, json as answer};

const AT: &str = "2026-04-01T10:00:00Z";

fn client(host: &str, change: impl FnOnce(&mut HostConfig)) -> Client {
    let mut own = HostConfig { host: host.to_owned(), plain_http: true, ..HostConfig::default() };
    change(&mut own);
    let config = Config { hosts: vec![own], timeout: Duration::from_secs(20), ..Config::default() };
    Client::new(config).expect("a client")
}

fn repository(host: &str) -> Repository {
    format!("{host}/org/app").parse().expect("a name")
}

fn tag(text: &str) -> Version {
    Version::parse_tag(text).expect("a tag")
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

fn docker_config(folder: &Path, host: &str, user: &str, password: &str) -> std::path::PathBuf {
    let file = folder.join(format!("config-{password}.json"));
    let text = json!({ "auths": { host: { "username": user, "password": password } } });
    std::fs::write(&file, text.to_string()).expect("written");
    file
}

#[test]
fn a_plain_registry_gives_tags_digests_and_ages() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(folder.path(), Kind::Plain);
    let single = registry.push("org/app", "one", AT);
    let index = registry.push_index("org/app", "two", "2026-04-02T10:00:00Z");
    registry.push("org/app", "epoch", "1970-01-01T00:00:00Z");
    let (client, app) = (client(&registry.host(), |_| {}), repository(&registry.host()));
    run(async {
        client.ping(&registry.host()).await.expect("it answers");
        let mut tags: Vec<String> = client.tags(&app).await.expect("tags").iter().map(ToString::to_string).collect();
        tags.sort();
        assert_eq!(tags, ["epoch", "one", "two"]);
        assert_eq!(client.digest(&app, &tag("one")).await.expect("a digest").as_str(), single);
        let one = client.image(&app, &tag("one")).await.expect("an image");
        assert_eq!((one.digest.as_str(), one.created), (single.as_str(), Some(AT.parse().expect("a time"))));
        let two = client.image(&app, &tag("two")).await.expect("an image");
        assert_eq!(two.digest.as_str(), index);
        assert_eq!(two.created, Some("2026-04-02T10:00:00Z".parse().expect("a time")));
        assert_eq!(client.image(&app, &tag("epoch")).await.expect("an image").created, None);
        assert!(matches!(client.image(&app, &tag("three")).await, Err(RegistryError::NoImage { .. })));
        let other = format!("{}/org/none", registry.host()).parse().expect("a name");
        assert!(matches!(client.tags(&other).await, Err(RegistryError::NoRepository(_))));
    });
}

#[test]
fn a_registry_with_passwords_requires_the_right_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(folder.path(), Kind::Htpasswd);
    registry.push("org/app", "one", AT);
    let (host, app) = (registry.host(), repository(&registry.host()));
    let with = |password: &str| {
        let file = docker_config(folder.path(), &host, USER, password);
        client(&host, |own| own.credentials_file = Some(file))
    };
    run(async {
        assert_eq!(with(PASSWORD).tags(&app).await.expect("tags").len(), 1);
        let error = with("wrong").tags(&app).await.expect_err("refused");
        assert!(matches!(error, RegistryError::Denied { .. }), "{error}");
        assert_eq!(error.fault(), Fault::Denied);
        assert!(!format!("{error} {error:?} {:?}", error.help()).contains("wrong\""), "{error:?}");
        let error = client(&host, |_| {}).tags(&app).await.expect_err("refused");
        assert!(matches!(error, RegistryError::NoCredentials { .. }), "{error}");
    });
}

#[test]
fn a_private_authority_is_trusted_only_when_configured() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(folder.path(), Kind::Tls);
    registry.push("org/app", "one", AT);
    let (host, app) = (registry.host(), repository(&registry.host()));
    run(async {
        let trusted = client(&host, |own| {
            own.plain_http = false;
            own.ca_file = Some(registry.ca_file());
        });
        assert_eq!(trusted.tags(&app).await.expect("tags").len(), 1);
        let error = client(&host, |own| own.plain_http = false).tags(&app).await.expect_err("refused");
        assert!(error.help().expect("help").contains("caFile"), "{error}");
    });
    // TLS to a plain port, and plain HTTP to a TLS port, are reported as such.
    let plain = Registry::start(&folder.path().join("plain"), Kind::Plain);
    run(async {
        let error = client(&plain.host(), |own| own.plain_http = false).ping(&plain.host()).await.expect_err("refused");
        assert!(error.help().expect("help").contains("plainHttp"), "{error}");
    });
}

#[test]
fn every_page_is_read_and_page_loops_end() {
    let pages = |request: &support::scripted::Asked| -> Answer {
        let last: usize = request.target.split("last=").nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
        let tags: Vec<String> = (last..250.min(last + 100)).map(|n| format!("t{n}")).collect();
        let link = format!("</v2/org/app/tags/list?n=100&last={}>; rel=\"next\"", last + 100);
        let more: &[(&str, &str)] = if last + 100 < 250 { &[("Link", &link)] } else { &[] };
        answer(200, json!({ "tags": tags }), more)
    };
    let server = Scripted::start(pages);
    let tags = run(async { client(&server.host(), |_| {}).tags(&repository(&server.host())).await.expect("tags") });
    assert_eq!(tags.len(), 250);
    assert_eq!(server.asked().len(), 3);

    let endless = Scripted::start(|request| {
        let n = request.target.len();
        let link = format!("</v2/org/app/tags/list?x={}>; rel=\"next\"", "x".repeat(n));
        answer(200, json!({ "tags": ["a", "b"] }), &[("Link", &link)])
    });
    let tags = run(async { client(&endless.host(), |_| {}).tags(&repository(&endless.host())).await.expect("tags") });
    assert_eq!(tags.len(), 2);
    assert_eq!(endless.asked().len(), 2);
}

#[test]
fn an_announced_rate_limit_is_waited_out() {
    let count = AtomicUsize::new(0);
    let server = Scripted::start(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => answer(429, json!({}), &[("Retry-After", "1")]),
        _ => answer(200, json!({ "tags": ["a"] }), &[]),
    });
    let start = std::time::Instant::now();
    run(async { client(&server.host(), |_| {}).tags(&repository(&server.host())).await.expect("tags") });
    assert!(start.elapsed() >= Duration::from_secs(1));

    let never = Scripted::start(|_| answer(429, json!({}), &[("Retry-After", "3600")]));
    let error =
        run(async { client(&never.host(), |_| {}).tags(&repository(&never.host())).await.expect_err("limited") });
    assert!(error.to_string().contains("wait 600 s"), "no host is granted an hour: {error}");
    assert_eq!(never.asked().len(), 1, "an hour is not waited for");
}

#[test]
fn a_token_is_requested_once_per_scope() {
    let tokens = Scripted::start(|request| {
        assert!(request.target.contains("scope=repository%3Aorg%2Fapp%3Apull"), "{}", request.target);
        assert_eq!(request.authorization.as_deref(), Some("Basic cHVsbGVyOm9wZW4tc2VzYW1lLTc="));
        answer(200, json!({ "token": "good-token", "expires_in": 300 }), &[])
    });
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"tests\"", tokens.host());
    let server = Scripted::start(move |request| match request.authorization.as_deref() {
        Some("Bearer good-token") => answer(200, json!({ "tags": ["a"] }), &[]),
        _ => answer(401, json!({}), &[("WWW-Authenticate", &realm)]),
    });
    let folder = tempfile::tempdir().expect("a folder");
    let file = docker_config(folder.path(), &server.host(), USER, PASSWORD);
    let realm = format!("http://{}", tokens.host()).parse().expect("an origin");
    let client = client(&server.host(), |own| (own.credentials_file, own.realm) = (Some(file), Some(realm)));
    run(async {
        for _ in 0..3 {
            client.tags(&repository(&server.host())).await.expect("tags");
        }
    });
    assert_eq!(tokens.asked().len(), 1);
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn concurrent_requests_to_a_host_are_limited() {
    static OPEN: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let server = Scripted::start(|_| {
        MOST.fetch_max(OPEN.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        OPEN.fetch_sub(1, Ordering::SeqCst);
        answer(200, json!({ "tags": ["a"] }), &[])
    });
    let client = client(&server.host(), |_| {});
    run(async {
        let questions = (0..60).map(|n| format!("{}/org/app-{n}", server.host()).parse().expect("a name"));
        let questions: Vec<Repository> = questions.collect();
        let all = futures_util::future::join_all(questions.iter().map(|name| client.tags(name))).await;
        assert!(all.into_iter().all(|tags| tags.is_ok()));
    });
    assert_eq!(MOST.load(Ordering::SeqCst), Config::default().concurrency);
}

#[test]
fn credentials_do_not_follow_a_redirect_to_another_host() {
    let elsewhere = Scripted::start(|_| answer(200, json!({ "tags": ["a"] }), &[]));
    let target = format!("http://{}/v2/org/app/tags/list", elsewhere.host());
    let server = Scripted::start(move |request| match &request.authorization {
        None => answer(401, json!({}), &[("WWW-Authenticate", "Basic realm=x")]),
        Some(_) => answer(307, json!({}), &[("Location", &target)]),
    });
    let folder = tempfile::tempdir().expect("a folder");
    let file = docker_config(folder.path(), &server.host(), USER, PASSWORD);
    let client = client(&server.host(), |own| own.credentials_file = Some(file));
    run(async { client.tags(&repository(&server.host())).await.expect("tags") });
    assert_eq!(elsewhere.asked().len(), 1);
    assert_eq!(elsewhere.asked()[0].authorization, None);
}

#[test]
fn server_errors_are_told_apart() {
    let html = |_: &support::scripted::Asked| -> Answer {
        Some((200, vec![("Content-Type".to_owned(), "text/html; charset=utf-8".to_owned())], b"<html>".to_vec()))
    };
    let manifest = json!({ "schemaVersion": 2, "config": { "digest": digest(b"{}") }, "layers": [] }).to_string();
    let lie = format!("sha256:{}", "0".repeat(64));
    type Case = (&'static str, Box<dyn Fn(&support::scripted::Asked) -> Answer + Send + Sync>, &'static str);
    let cases: Vec<Case> = vec![
        ("html", Box::new(html), "is not a registry"),
        ("broken JSON", Box::new(|_| Some((200, Vec::new(), b"{\"tags\": [".to_vec()))), "invalid response"),
        ("500", Box::new(|_| answer(500, json!({}), &[])), "responded with 500"),
        ("huge", Box::new(|_| Some((200, Vec::new(), vec![b' '; (16 << 20) + 1]))), "larger than"),
        ("silent", Box::new(|_| None), "did not respond within"),
        (
            "a lying digest",
            Box::new(move |request| {
                assert!(request.target.starts_with("/v2/"));
                let headers = vec![("Docker-Content-Digest".to_owned(), lie.clone())];
                Some((200, headers, manifest.clone().into_bytes()))
            }),
            "hash to",
        ),
    ];
    for (name, script, words) in cases {
        let server = Scripted::start(script);
        // Only silence is worth waiting for.
        let timeout = (name == "silent").then_some(Duration::from_millis(1500));
        let client = client(&server.host(), |own| own.timeout = timeout);
        let error = run(async {
            if name == "a lying digest" {
                client.image(&repository(&server.host()), &tag("one")).await.expect_err(name)
            } else {
                client.tags(&repository(&server.host())).await.expect_err(name)
            }
        });
        assert!(error.to_string().contains(words), "{name}: {error}");
        assert!(error.to_string().contains(&server.host()) && error.help().is_some(), "{name}: {error}");
    }
}

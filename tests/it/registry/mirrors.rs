//! A mirror provides content, which is verified by its digest; what a tag means is decided by the registry.

use std::time::Duration;

use serde_json::json;
use tagalong::image::{Repository, Version};
use tagalong::registry::client::Client;
use tagalong::registry::config::{Config, HostConfig};
use tagalong::registry::integrity::PartCache;

use crate::support;
use crate::support::registry::{Kind, Registry};
use crate::support::scripted::{Scripted, json as answer};

const OLD: &str = "2026-04-01T10:00:00Z";
const NEW: &str = "2026-04-02T10:00:00Z";

fn client(origin: &str, mirror: &str, mirror_tags: bool) -> Client {
    let mirror = Some(mirror.parse().expect("a mirror"));
    let own = HostConfig { host: origin.to_owned(), plain_http: true, mirror, mirror_tags, ..HostConfig::default() };
    let config = Config { hosts: vec![own], timeout: Duration::from_secs(2), ..Config::default() };
    Client::new(config).expect("a client")
}

fn app(host: &str) -> Repository {
    format!("{host}/org/app").parse().expect("a name")
}

fn tag(text: &str) -> Version {
    Version::parse_tag(text).expect("a tag")
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// A registry behind a server that records requests: method and target.
fn counted(registry: &Registry) -> Scripted {
    let host = registry.host();
    Scripted::start(move |request| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let method = request.method.parse().expect("a method");
            let accept = request.accept.clone().unwrap_or_default();
            let url = format!("http://{host}{}", request.target);
            let sent = reqwest::Client::new().request(method, url).header("Accept", accept).send().await.expect("sent");
            let (status, mut headers) = (sent.status().as_u16(), sent.headers().clone());
            let length = headers.remove("content-length");
            headers.remove("transfer-encoding");
            let headers =
                headers.iter().map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()));
            let mut headers: Vec<(String, String)> = headers.collect();
            let body = sent.bytes().await.expect("a body").to_vec();
            // The answer to HEAD has a length and no body.
            if request.method == "HEAD" {
                let length = length.map(|length| length.to_str().expect("text").to_owned());
                headers.extend(length.map(|length| ("Content-Length".to_owned(), length)));
            }
            Some((status, headers, body))
        })
    })
}

fn pulled(server: &Scripted) -> usize {
    server.asked().iter().filter(|asked| asked.method == "GET" && !asked.target.contains("/tags/list")).count()
}

#[test]
fn content_comes_from_the_mirror_and_tags_from_the_registry() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(&folder.path().join("origin"), Kind::Plain);
    let copy = Registry::start(&folder.path().join("mirror"), Kind::Plain);
    registry.push("org/app", "one", NEW);
    copy.push("org/app", "one", NEW);
    // The mirror is outdated: its tag points to another image.
    registry.push("org/app", "moved", NEW);
    copy.push("org/app", "moved", OLD);
    copy.push("org/app", "only-there", OLD);
    let (origin, mirror) = (counted(&registry), counted(&copy));
    let client = client(&origin.host(), &format!("http://{}", mirror.host()), false);
    run(async {
        let app = app(&origin.host());
        let mut tags: Vec<String> = client.tags(&app).await.expect("tags").iter().map(ToString::to_string).collect();
        tags.sort();
        assert_eq!(tags, ["moved", "one"]);
        client.image(&app, &tag("one")).await.expect("an image");
        client.check_integrity(&app, &tag("one"), &[], &PartCache::default()).await.expect("whole");
        assert_eq!(pulled(&origin), 0, "{:#?}", origin.asked());
        assert!(pulled(&mirror) >= 2);
        assert!(mirror.asked().iter().all(|asked| asked.target.ends_with(&format!("?ns={}", origin.host()))));
        let moved = client.image(&app, &tag("moved")).await.expect("an image");
        assert_eq!(moved.created, Some(NEW.parse().expect("a time")));
        assert!(pulled(&origin) > 0, "what the mirror lacks comes from the registry");
    });
}

#[test]
fn content_missing_in_the_registry_is_missing_even_if_the_mirror_has_it() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(&folder.path().join("origin"), Kind::Plain);
    let copy = Registry::start(&folder.path().join("mirror"), Kind::Plain);
    registry.push_index("org/app", "one", NEW);
    copy.push_index("org/app", "one", NEW);
    let child = registry.manifest("org/app", "one")["manifests"][0]["digest"].as_str().expect("a digest").to_owned();
    registry.lose(&child);
    let url = format!("http://{}", copy.host());
    run(async {
        let app = app(&registry.host());
        let strict = client(&registry.host(), &url, false);
        let error = strict.check_integrity(&app, &tag("one"), &[], &PartCache::default()).await.expect_err("not whole");
        assert!(error.to_string().contains(&child), "{error}");
        let trusting = client(&registry.host(), &url, true);
        trusting
            .check_integrity(&app, &tag("one"), &[], &PartCache::default())
            .await
            .expect("whole, as the mirror says");
    });
}

#[test]
fn a_lying_failing_or_missing_mirror_costs_only_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(folder.path(), Kind::Plain);
    registry.push("org/app", "one", NEW);
    let lies = Scripted::start(|_| answer(200, json!({ "config": null, "manifests": [] }), &[]));
    let fails = Scripted::start(|_| answer(500, json!({}), &[]));
    let wants = Scripted::start(|_| answer(401, json!({}), &[("WWW-Authenticate", "Basic realm=x")]));
    let gone = format!("127.0.0.1:{}", support::process::free_port());
    for mirror in [lies.host(), fails.host(), wants.host(), gone] {
        for mirror_tags in [false, true] {
            // A mirror may be wrong about tags, and is trusted anyway: that is what `mirrorTags` means.
            if mirror == lies.host() && mirror_tags {
                continue;
            }
            let client = client(&registry.host(), &format!("http://{mirror}"), mirror_tags);
            run(async {
                let app = app(&registry.host());
                assert_eq!(client.tags(&app).await.expect("tags").len(), 1);
                let image = client.image(&app, &tag("one")).await.expect("an image");
                assert_eq!(image.created, Some(NEW.parse().expect("a time")));
                client.check_integrity(&app, &tag("one"), &[], &PartCache::default()).await.expect("whole");
            });
        }
    }
}

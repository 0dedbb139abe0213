//! `order: pushed`: the registry's own API provides push times. Scripted servers replace products that cannot run here,
//! with the response formats that each product documents.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tagalong::image::{Repository, Tag};
use tagalong::registry::client::Client;
use tagalong::registry::config::{Api, Config, HostConfig};
use tagalong::registry::error::RegistryError;

use crate::support::infra::Stage;
use crate::support::scripted::{Asked, Scripted, forward, json as answer};
use crate::support::tagalong::run;

fn client(host: &str, api: Api, credentials: Option<&Path>) -> Client {
    let own = HostConfig {
        host: host.to_owned(),
        plain_http: true,
        api: Some(api),
        credentials_file: credentials.map(Path::to_owned),
        ..HostConfig::default()
    };
    Client::new(Config { hosts: vec![own], timeout: Duration::from_secs(5), ..Config::default() }).expect("a client")
}

/// The push times that a client gets, as `tag time`.
fn pushed(client: &Client, host: &str, path: &str, tags: &[&str]) -> Result<Vec<String>, RegistryError> {
    let repository: Repository = format!("{host}/{path}").parse().expect("a name");
    let tags: Vec<Tag> = tags.iter().map(|tag| tag.parse().expect("a tag")).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let wanted: BTreeSet<&Tag> = tags.iter().collect();
    let told = runtime.block_on(client.push_times(&repository, &wanted))?;
    Ok(told.iter().map(|(tag, at)| format!("{tag} {at}")).collect())
}

/// A Docker config file with a user and a password for a host.
fn credentials(folder: &Path, host: &str) -> std::path::PathBuf {
    use base64::Engine;
    let auth = base64::engine::general_purpose::STANDARD.encode("puller:open-sesame-7");
    let file = folder.join("config.json");
    std::fs::write(&file, json!({ "auths": { host: { "auth": auth } } }).to_string()).expect("written");
    file
}

/// A query parameter of a request.
fn parameter(request: &Asked, name: &str) -> String {
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// One page of the items, by page number from 1.
fn page_of(all: &[Value], number: &str, size: &str) -> Vec<Value> {
    let (number, size): (usize, usize) = (number.parse().expect("a number"), size.parse().expect("a number"));
    all.iter().skip((number - 1) * size).take(size).cloned().collect()
}

const BASIC: &str = "Basic cHVsbGVyOm9wZW4tc2VzYW1lLTc=";

#[test]
fn gitea_push_times_come_from_its_packages() {
    let server = Scripted::start(|request| {
        if request.authorization.as_deref() != Some(BASIC) {
            return answer(401, json!({ "message": "token is required" }), &[]);
        }
        assert!(request.target.starts_with("/api/v1/packages/acme?type=container&q=team%2Fapp&"), "{}", request.target);
        let package = |n: u32, name: &str, version: &str| {
            json!({ "id": n, "owner": { "login": "acme" }, "repository": null, "creator": { "login": "ci" },
                "type": "container", "name": name, "version": version, "html_url": "https://x",
                "created_at": format!("2026-04-01T10:{:02}:00Z", 59 - n % 60) })
        };
        let mut all = vec![package(0, "team/app-worker", "aaaaaa9"), package(1, "team/app", "sha256:00")];
        all.extend((2..59).map(|n| package(n, "team/app", &format!("aaaaa{n:02}"))));
        answer(200, json!(page_of(&all, &parameter(request, "page"), &parameter(request, "limit"))), &[])
    });
    let folder = tempfile::tempdir().expect("a folder");
    let file = credentials(folder.path(), &server.host());
    let client = client(&server.host(), Api::Gitea, Some(&file));
    let told = pushed(&client, &server.host(), "acme/team/app", &["aaaaa02", "aaaaa03"]).expect("told");
    assert_eq!(told, ["aaaaa02 2026-04-01T10:57:00.000000002Z", "aaaaa03 2026-04-01T10:56:00.000000003Z"]);
    assert_eq!(server.asked().len(), 1, "the first page told all");
    // One more, on the second page; known ones are not requested again.
    let told = pushed(&client, &server.host(), "acme/team/app", &["aaaaa02", "aaaaa55"]).expect("told");
    assert_eq!(told[1], "aaaaa55 2026-04-01T10:04:00.000000055Z");
    assert_eq!(server.asked().len(), 3);
    // A tag that it does not have, and one of another package: reads to the end and no further.
    let told = pushed(&client, &server.host(), "acme/team/app", &["aaaaaa9", "bbbbbb1"]).expect("told");
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(server.asked().len(), 6);
}

#[test]
fn harbor_push_times_come_from_its_artifacts() {
    let server = Scripted::start(|request| {
        let path = request.target.split('?').next().unwrap_or_default();
        if path != "/api/v2.0/projects/acme/repositories/team%252Fapp/artifacts" {
            let body = json!({ "errors": [{ "code": "NOT_FOUND", "message": "repository not found" }] });
            return answer(404, body, &[]);
        }
        assert_eq!((parameter(request, "with_tag"), parameter(request, "sort")), ("true".into(), "-push_time".into()));
        let all = [
            json!({ "id": 2, "type": "IMAGE", "digest": "sha256:00", "push_time": "2026-04-03T10:00:00.000Z", "tags": [
                { "id": 5, "name": "aaaaaa2", "push_time": "2026-04-03T10:00:01.123Z", "pull_time": "0001-01-01T00:00:00.000Z" },
                { "id": 6, "name": "latest", "push_time": "2026-04-03T10:00:02.000Z" } ] }),
            json!({ "id": 1, "type": "IMAGE", "digest": "sha256:01", "push_time": "2026-04-01T10:00:00.000Z", "tags": null }),
            json!({ "id": 0, "type": "IMAGE", "digest": "sha256:02", "push_time": "2026-04-01T10:00:00.000Z", "tags": [
                { "id": 4, "name": "aaaaaa1", "push_time": "2026-04-01T10:00:00.000Z" } ] }),
        ];
        answer(200, json!(page_of(&all, &parameter(request, "page"), &parameter(request, "page_size"))), &[])
    });
    let client = client(&server.host(), Api::Harbor, None);
    let told = pushed(&client, &server.host(), "acme/team/app", &["aaaaaa1", "aaaaaa2"]).expect("told");
    assert_eq!(told, ["aaaaaa1 2026-04-01T10:00:00Z", "aaaaaa2 2026-04-03T10:00:01.123Z"]);
    let missing = pushed(&client, &server.host(), "acme/other", &["aaaaaa1"]).expect_err("not there");
    assert!(matches!(missing, RegistryError::NoRepository(_)), "{missing}");
}

#[test]
fn docker_hub_push_times_come_from_its_tags() {
    let server = Scripted::start(|request| {
        if request.target == "/v2/auth/token" {
            let sent: Value = serde_json::from_str(&request.body).expect("JSON");
            return match sent == json!({ "identifier": "puller", "secret": "open-sesame-7" }) {
                true => answer(200, json!({ "access_token": "a.b.c" }), &[]),
                false => answer(401, json!({ "detail": "Incorrect authentication credentials" }), &[]),
            };
        }
        if request.authorization.as_deref() != Some("Bearer a.b.c") {
            return answer(404, json!({ "message": "object not found", "errinfo": {} }), &[]);
        }
        assert!(request.target.starts_with("/v2/namespaces/acme/repositories/app/tags?"), "{}", request.target);
        let tag = |name: &str, pushed: Value| {
            json!({ "creator": 1, "id": 2, "name": name, "repository": 3, "full_size": 4, "v2": true, "images": [],
                "tag_status": "active", "last_updated": "2026-04-02T10:00:00.5Z", "tag_last_pushed": pushed })
        };
        let results = json!([tag("aaaaaa2", Value::Null), tag("aaaaaa1", json!("2026-04-01T10:00:00.123456Z"))]);
        match parameter(request, "page").as_str() {
            "1" => answer(200, json!({ "count": 2, "next": null, "previous": null, "results": results }), &[]),
            _ => answer(404, json!({ "message": "object not found" }), &[]),
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let file = credentials(folder.path(), &server.host());
    let signed_in = client(&server.host(), Api::DockerHub, Some(&file));
    let told = pushed(&signed_in, &server.host(), "acme/app", &["aaaaaa1", "aaaaaa2", "bbbbbb1"]).expect("told");
    assert_eq!(told, ["aaaaaa1 2026-04-01T10:00:00.123456Z", "aaaaaa2 2026-04-02T10:00:00.5Z"]);
    assert_eq!(server.asked().iter().filter(|asked| asked.target == "/v2/auth/token").count(), 1);
    let anonymous = client(&server.host(), Api::DockerHub, None);
    assert!(pushed(&anonymous, &server.host(), "acme/app", &["aaaaaa1"]).is_err());
}

#[test]
fn an_invalid_api_response_is_reported() {
    let server = Scripted::start(|_| answer(200, json!({ "unexpected": true }), &[]));
    for api in [Api::Gitea, Api::Harbor, Api::DockerHub] {
        let error = pushed(&client(&server.host(), api, None), &server.host(), "acme/app", &["aaaaaa1"]);
        assert!(matches!(error, Err(RegistryError::InvalidResponse { .. })), "{error:?}");
    }
    // Stops if it returns the same page forever.
    let package = json!([{ "name": "app", "version": "x", "created_at": "2026-04-01T10:00:00Z" }]);
    let server = Scripted::start(move |_| answer(200, package.clone(), &[]));
    let told = pushed(&client(&server.host(), Api::Gitea, None), &server.host(), "acme/app", &["aaaaaa1"]);
    assert!(told.expect("told").is_empty());
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn the_push_time_decides_not_the_build_time() {
    let stage = Stage::new(&[("app.yaml", "image: FRONT/org/app:aaaaaa1\n")]);
    // A registry with an API: a real one behind a front end that responds for the product.
    let behind = stage.registry.host();
    let front = Scripted::start(move |request| match request.target.starts_with("/api/") {
        true => {
            let package = |version: &str, hour: u32| json!({ "name": "app", "version": version, "created_at": format!("2026-04-02T{hour:02}:00:00Z") });
            let all = [
                package("aaaaaa3", 11),
                package("aaaaaa2", 12),
                package("aaaaaa1", 10),
                package("bbbbbbb", 13),
                package(&"b".repeat(40), 14),
                package("main-aaaaaa2", 15),
            ];
            answer(200, json!(page_of(&all, &parameter(request, "page"), "50")), &[])
        }
        false => forward(&behind, request),
    });
    for (tag, created) in [("aaaaaa1", "09"), ("aaaaaa2", "01"), ("aaaaaa3", "05")] {
        stage.registry.push("org/app", tag, &format!("2026-04-01T{created}:00:00Z"));
    }
    let text = format!("image: {}/org/app:aaaaaa1\n", front.host());
    stage.origin.commit("behind the front", &[("app.yaml", &text)]);
    let sync = |api: &str| {
        let config = stage.home().join("pushed.yaml");
        let text = format!(
            "{}registries:\n- {{ host: \"{host}\", plainHttp: true{api} }}\npolicies:\n- images: [\"{host}/org/*\"]\n  tags: {{ sha: {{ order: pushed }} }}\n",
            stage.sshd.config(&stage.origin),
            host = front.host()
        );
        std::fs::write(&config, text).expect("written");
        run(stage.home(), &["sync", "--output", "json", "--config", &config.display().to_string()])
    };
    let report = sync("").ok().json();
    let detail = report["skipped"][0]["detail"].as_str().expect("text").to_owned();
    assert!(detail.contains("`order: pushed` needs the API of"), "{detail}");
    let run = sync(", api: gitea").ok();
    assert!(stage.origin.read("app.yaml").ends_with("aaaaaa2\n"), "{run:#?}");
    assert_eq!(sync(", api: gitea").ok().json()["skipped"][0]["reason"], "up-to-date");
    // For a build with several tags the first push counts, and the field keeps its form.
    stage.registry.tag("org/app", "aaaaaa2", "main-aaaaaa2");
    assert_eq!(sync(", api: gitea").ok().json()["skipped"][0]["reason"], "up-to-date");
    stage.registry.push("org/app", "bbbbbbb", "2026-04-01T00:00:00Z");
    stage.registry.tag("org/app", "bbbbbbb", &"b".repeat(40));
    let run = sync(", api: gitea").ok();
    assert!(stage.origin.read("app.yaml").ends_with(":bbbbbbb\n"), "{run:#?}");
    assert_eq!(sync(", api: gitea").ok().json()["skipped"][0]["reason"], "up-to-date");
    assert_eq!(sync(", api: quay").fails_with(2).code, 2);
}

/// A stage whose registry is behind a front end that answers with these packages like Gitea.
fn behind_gitea(packages: Vec<Value>) -> (Stage, Scripted) {
    let stage = Stage::new(&[("app.yaml", "image: none\n")]);
    let behind = stage.registry.host();
    let front = Scripted::start(move |request| match request.target.starts_with("/api/") {
        true => answer(200, json!(page_of(&packages, &parameter(request, "page"), "50")), &[]),
        false => forward(&behind, request),
    });
    let text = format!("image: {}/org/app:aaaaaa1\n", front.host());
    stage.origin.commit("behind the front", &[("app.yaml", &text)]);
    let config = format!(
        "{}registries:\n- {{ host: \"{host}\", plainHttp: true, api: gitea }}\npolicies:\n- images: [\"{host}/org/*\"]\n  tags: {{ sha: {{ order: pushed }} }}\n",
        stage.sshd.config(&stage.origin),
        host = front.host()
    );
    std::fs::write(stage.home().join("gitea.yaml"), config).expect("written");
    (stage, front)
}

fn sync_behind_gitea(stage: &Stage) -> Value {
    let config = stage.home().join("gitea.yaml").display().to_string();
    run(stage.home(), &["sync", "--output", "json", "--config", &config]).ok().json()
}

fn package(id: u64, version: &str, second: u32) -> Value {
    json!({ "id": id, "name": "app", "version": version, "created_at": format!("2026-04-02T10:00:{second:02}Z") })
}

#[test]
fn gitea_orders_what_was_pushed_within_a_second() {
    // As Gitea 1.26 lists what one pipeline pushed: whole seconds, in the order of the numbers of the versions.
    let packages = vec![package(9, "aaaaaa3", 7), package(8, "aaaaaa2", 7), package(3, "aaaaaa1", 5)];
    let (stage, _front) = behind_gitea(packages);
    for (tag, hour) in [("aaaaaa1", 9), ("aaaaaa2", 3), ("aaaaaa3", 5)] {
        stage.registry.push("org/app", tag, &format!("2026-04-01T{hour:02}:00:00Z"));
    }
    let report = sync_behind_gitea(&stage);
    assert!(stage.origin.read("app.yaml").ends_with(":aaaaaa3\n"), "{report:#}");
    assert_eq!(sync_behind_gitea(&stage)["skipped"][0]["reason"], "up-to-date");
}

#[test]
fn one_image_pushed_twice_at_the_same_time_is_one_candidate() {
    // Without numbers, nothing tells the two apart but their names.
    let mut packages = vec![package(9, "aaaaaa3", 7), package(8, "aaaaaa2", 7), package(3, "aaaaaa1", 5)];
    packages.iter_mut().for_each(|package| package["id"] = Value::Null);
    for is_one_image in [true, false] {
        let (stage, _front) = behind_gitea(packages.clone());
        stage.registry.push("org/app", "aaaaaa1", "2026-04-01T01:00:00Z");
        stage.registry.push("org/app", "aaaaaa2", "2026-04-01T02:00:00Z");
        if is_one_image {
            stage.registry.tag("org/app", "aaaaaa2", "aaaaaa3");
            let report = sync_behind_gitea(&stage);
            assert!(stage.origin.read("app.yaml").ends_with(":aaaaaa2\n"), "{report:#}");
            assert_eq!(sync_behind_gitea(&stage)["skipped"][0]["reason"], "up-to-date");
        } else {
            stage.registry.push("org/app", "aaaaaa3", "2026-04-01T03:00:00Z");
            let report = sync_behind_gitea(&stage);
            let detail = report["skipped"][0]["detail"].as_str().expect("a text");
            assert!(detail.starts_with("aaaaaa2 and aaaaaa3 are different builds"), "{report:#}");
        }
    }
}

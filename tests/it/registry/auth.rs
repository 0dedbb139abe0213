//! Signing in to registries as users do: tokens, refresh tokens, credential helpers, pull secrets.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tagalong::image::Repository;
use tagalong::registry::client::Client;
use tagalong::registry::config::{Config, HostConfig};
use tagalong::registry::error::RegistryError;

use crate::support;
use crate::support::registry::{Kind, PASSWORD, Registry, USER};
use crate::support::tokens::{REFRESH_TOKEN, TokenServer};

const AT: &str = "2026-04-01T10:00:00Z";

fn client(host: &str, tokens: &TokenServer, credentials_file: Option<PathBuf>) -> Client {
    let realm = Some(format!("http://{}", tokens.server.host()).parse().expect("an origin"));
    let own = HostConfig { host: host.to_owned(), plain_http: true, credentials_file, realm, ..HostConfig::default() };
    let config = Config { hosts: vec![own], timeout: Duration::from_secs(3), ..Config::default() };
    Client::new(config).expect("a client")
}

fn repository(host: &str, name: &str) -> Repository {
    format!("{host}/{name}").parse().expect("a name")
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

fn written(folder: &Path, name: &str, content: &Value) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, content.to_string()).expect("written");
    file
}

/// A registry that requires tokens, with two images.
fn token_registry(folder: &Path) -> (TokenServer, Registry) {
    let tokens = TokenServer::start(&folder.join("tokens"));
    let plain = Registry::start(&folder.join("registry"), Kind::Plain);
    plain.push("org/app", "one", AT);
    plain.push("org/other", "one", AT);
    drop(plain);
    let auth = tokens.registry_auth(&folder.join("tokens"));
    (tokens, Registry::start_with_auth(&folder.join("registry"), &auth))
}

#[test]
fn a_real_registry_accepts_tokens_from_its_token_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let (tokens, registry) = token_registry(folder.path());
    let host = registry.host();
    let login = |name: &str, password: &str| {
        written(folder.path(), name, &json!({ "auths": { &host: { "username": USER, "password": password } } }))
    };
    run(async {
        let good = client(&host, &tokens, Some(login("good.json", PASSWORD)));
        for _ in 0..3 {
            assert_eq!(good.tags(&repository(&host, "org/app")).await.expect("tags").len(), 1);
        }
        let version = tagalong::image::Version::parse_tag("one").expect("a tag");
        good.check_integrity(&repository(&host, "org/app"), &version, &[], &Default::default()).await.expect("whole");
        assert_eq!(tokens.server.asked().len(), 1, "one token for one scope");
        good.tags(&repository(&host, "org/other")).await.expect("tags");
        assert_eq!(tokens.server.asked().len(), 2);

        let error = client(&host, &tokens, Some(login("bad.json", "wrong"))).tags(&repository(&host, "org/app")).await;
        assert!(matches!(error, Err(RegistryError::Denied { .. })), "{error:?}");
        let error = client(&host, &tokens, None).tags(&repository(&host, "org/app")).await;
        assert!(matches!(error, Err(RegistryError::NoCredentials { .. })), "{error:?}");
    });
}

#[test]
fn an_expired_token_is_replaced_midway() {
    let folder = tempfile::tempdir().expect("a folder");
    let (tokens, registry) = token_registry(folder.path());
    let host = registry.host();
    let file =
        written(folder.path(), "c.json", &json!({ "auths": { &host: { "username": USER, "password": PASSWORD } } }));
    tokens.seconds.store(4, Ordering::SeqCst);
    let client = client(&host, &tokens, Some(file));
    run(async {
        client.tags(&repository(&host, "org/app")).await.expect("tags");
        let asked = tokens.server.asked().len();
        client.tags(&repository(&host, "org/app")).await.expect("tags");
        assert_eq!(tokens.server.asked().len(), asked, "it is still good");
        tokio::time::sleep(Duration::from_millis(4500)).await;
        client.tags(&repository(&host, "org/app")).await.expect("tags");
        assert_eq!(tokens.server.asked().len(), asked + 1);
    });
}

#[test]
fn an_identity_token_is_exchanged_for_an_access_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let (tokens, registry) = token_registry(folder.path());
    let host = registry.host();
    let with = |token: &str| {
        let auth = STANDARD.encode("00000000-0000-0000-0000-000000000000:");
        let entry = json!({ "auths": { &host: { "auth": auth, "identitytoken": token } } });
        client(&host, &tokens, Some(written(folder.path(), &format!("{token}.json"), &entry)))
    };
    run(async {
        with(REFRESH_TOKEN).tags(&repository(&host, "org/app")).await.expect("tags");
        assert_eq!(tokens.server.asked()[0].method, "POST");
        assert!(!tokens.server.asked()[0].target.contains(REFRESH_TOKEN), "no secret in a URL");
        let error = with("worn-out").tags(&repository(&host, "org/app")).await.expect_err("refused");
        assert!(matches!(error, RegistryError::Denied { .. }), "{error}");
    });
}

/// Writes a credential helper and returns the folder to put on the PATH.
fn helper(folder: &Path, name: &str, script: &str) -> String {
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).expect("a folder");
    let file = bin.join(format!("docker-credential-{name}"));
    fs::write(&file, format!("#!/bin/sh\nread host\n{script}\n")).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("made executable");
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default())
}

/// Runs `tagalong images verify` on a folder with one image, with credentials from a file.
fn verify(folder: &Path, host: &str, docker_config: &Value, path: &str) -> support::tagalong::Run {
    fs::create_dir_all(folder.join("tree")).expect("a folder");
    fs::write(folder.join("tree/app.yaml"), format!("image: {host}/org/app:one\n")).expect("written");
    let config = format!("registries:\n- {{ host: \"{host}\", plainHttp: true }}\n");
    fs::write(folder.join("tagalong.yaml"), config).expect("written");
    let file = written(folder, "docker.json", docker_config);
    let output = support::tagalong::command(folder)
        .args(["images", "verify", "--output", "json", "--dir"])
        .arg(folder.join("tree"))
        .arg("--config")
        .arg(folder.join("tagalong.yaml"))
        .env("PATH", path)
        .env("REGISTRY_AUTH_FILE", file)
        .output()
        .expect("it starts");
    support::tagalong::finished(output)
}

#[test]
fn credential_helpers_are_called_and_may_have_no_credentials() {
    let folder = tempfile::tempdir().expect("a folder");
    let closed = Registry::start(&folder.path().join("closed"), Kind::Htpasswd);
    let open = Registry::start(&folder.path().join("open"), Kind::Plain);
    closed.push("org/app", "one", AT);
    open.push("org/app", "one", AT);
    let knows = format!(
        "if [ \"$host\" = {} ]; then echo '{{\"ServerURL\":\"x\",\"Username\":\"{USER}\",\"Secret\":\"{PASSWORD}\"}}'; \
         else echo 'credentials not found in native keychain'; exit 1; fi",
        closed.host()
    );
    let path = helper(folder.path(), "knows", &knows);
    helper(folder.path(), "fails", "echo leaked-secret-5; exit 3");
    for config in [json!({ "credsStore": "knows" }), json!({ "credHelpers": { closed.host(): "knows" } })] {
        verify(folder.path(), &closed.host(), &config, &path).ok();
        verify(folder.path(), &open.host(), &config, &path).ok();
    }
    // The helper's output may be a secret.
    let config = json!({ "credHelpers": { closed.host(): "fails" } });
    let run = verify(folder.path(), &closed.host(), &config, &path);
    assert_eq!(run.code, 5, "{run:#?}");
    assert!(run.stdout.contains("docker-credential-fails failed"), "{run:#?}");
    assert!(!format!("{run:?}").contains("leaked-secret-5"), "{run:#?}");
    let run = verify(folder.path(), &closed.host(), &json!({ "credsStore": "absent" }), &path);
    assert!(run.stdout.contains("cannot run docker-credential-absent"), "{run:#?}");
}

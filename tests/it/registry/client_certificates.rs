//! Client certificates: real registries and every server see the right one, and nobody else sees any.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::version::{TLS12, TLS13};
use serde_json::json;
use tagalong::fault::{Explain, Fault};
use tagalong::http::proxy::Proxy;
use tagalong::image::{Repository, Version};
use tagalong::registry::client::Client;
use tagalong::registry::config::{CertificateFiles, Config, HostConfig};
use tagalong::registry::error::RegistryError;

use crate::support::certificates::{self, Authority, Pair};
use crate::support::forward_proxy::ForwardProxy;
use crate::support::registry::{Kind, Registry};
use crate::support::scripted::{Answer, Scripted, json as answer};

const BUILT: &str = "2026-04-01T10:00:00Z";
/// A connection that is lost in another way than usual shows only sometimes.
const REPEATS: usize = 20;

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(work)
}

fn files((cert_file, key_file): (PathBuf, PathBuf)) -> Option<CertificateFiles> {
    Some(CertificateFiles { cert_file, key_file })
}

fn settings(host: &str, ca_file: &Path, client_certificate: Option<CertificateFiles>) -> HostConfig {
    HostConfig { host: host.to_owned(), ca_file: Some(ca_file.to_owned()), client_certificate, ..HostConfig::default() }
}

fn client(hosts: Vec<HostConfig>) -> Result<Client, RegistryError> {
    Client::new(Config { hosts, ..Config::default() })
}

/// Lists the tags of an image, and returns the message, the help and the kind of the error.
fn listed(own: HostConfig) -> Result<usize, (String, String, Fault)> {
    let name: Repository = format!("{}/org/app", own.host).parse().expect("a name");
    let told = |error: RegistryError| (error.to_string(), error.help().unwrap_or_default(), error.fault());
    let client = client(vec![own]).map_err(told)?;
    run(client.tags(&name)).map(|tags| tags.len()).map_err(told)
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/client-certificates").join(name)
}

#[test]
fn a_real_registry_accepts_keys_in_every_form() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(folder.path(), Kind::Mutual);
    registry.push("org/app", "aaaaaa1", BUILT);
    for name in ["rsa-pkcs1", "rsa-pkcs8", "ec-sec1", "ec-pkcs8", "ed25519"] {
        let pair = (fixture(&format!("{name}.pem")), fixture(&format!("{name}.key")));
        assert_eq!(listed(settings(&registry.host(), &registry.ca_file(), files(pair))), Ok(1), "{name}");
    }
}

#[test]
fn what_is_wrong_with_the_files_is_said_before_anything_is_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    certificates::make(folder.path());
    let server = Scripted::start_tls(folder.path(), |_| answer(200, json!({ "tags": [] }), &[]));
    let (certificate, key) = (fixture("ec-sec1.pem"), fixture("ec-sec1.key"));
    let gone = folder.path().join("gone");
    for (pair, message) in [
        ((certificate.clone(), fixture("ed25519.key")), "does not belong to the client certificate"),
        ((certificate.clone(), fixture("encrypted.key")), "its key is encrypted"),
        ((certificate.clone(), certificate.clone()), "it contains no private key"),
        ((key.clone(), key.clone()), "it contains no certificate"),
        ((gone.clone(), key.clone()), "No such file"),
        ((certificate, gone), "No such file"),
    ] {
        let own = settings(&server.tls_host(), &folder.path().join("ca.pem"), files(pair.clone()));
        let (error, help, fault) = listed(own).expect_err("refused");
        assert!(error.contains(message) && !help.is_empty(), "{error}");
        assert_eq!(fault, Fault::BadInput, "{error}");
        let names_a_file = [pair.0, pair.1].iter().any(|file| error.contains(&file.display().to_string()));
        assert!(names_a_file, "{error}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_real_registry_that_refuses_is_understood_every_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(&folder.path().join("registry"), Kind::Mutual);
    registry.push("org/app", "aaaaaa1", BUILT);
    let stranger = Authority::new("a stranger").client("mallory", 2020, 2100).write(folder.path(), "stranger");
    for _ in 0..REPEATS {
        let own = |pair| settings(&registry.host(), &registry.ca_file(), pair);
        let (error, help, fault) = listed(own(None)).expect_err("refused");
        assert_eq!(error, format!("{} requires a client certificate", registry.host()));
        assert_eq!(fault, Fault::Denied);
        assert!(help.contains("set `clientCertificate` in the entry of"), "{help}");
        let (error, _, fault) = listed(own(files(stranger.clone()))).expect_err("refused");
        assert!(error.starts_with(&format!("{} refused the client certificate in ", registry.host())), "{error}");
        assert!(error.contains("stranger.pem") && fault == Fault::Denied, "{error}");
    }
}

#[test]
fn objections_are_told_apart_in_both_versions_of_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    certificates::make(folder);
    let clients = Authority::new("an authority for clients");
    let good = clients.client("tagalong", 2020, 2100).write(folder, "good");
    let expired = clients.client("tagalong", 2020, 2021).write(folder, "expired");
    let stranger = Authority::new("a stranger").client("tagalong", 2020, 2100).write(folder, "stranger");
    for version in [&TLS12, &TLS13] {
        let tls = certificates::mutual_config(folder, &clients, true, version);
        let server = Scripted::start_with(tls, |_| answer(200, json!({ "tags": ["a"] }), &[]));
        let host = server.tls_host();
        let listed = |pair| listed(settings(&host, &folder.join("ca.pem"), pair));
        assert_eq!(listed(files(good.clone())), Ok(1));
        for _ in 0..REPEATS {
            let reason = |pair| listed(pair).expect_err("refused").0;
            assert_eq!(reason(None), format!("{host} requires a client certificate"), "{version:?}");
            let unknown = reason(files(stranger.clone()));
            assert!(
                unknown.ends_with("the host does not trust the authority that signed it"),
                "{version:?}: {unknown}"
            );
            let expired = reason(files(expired.clone()));
            assert!(expired.ends_with("it expired at 2021-01-01T00:00:00Z"), "{version:?}: {expired}");
        }
    }
}

#[test]
fn a_web_server_that_asks_for_a_certificate_in_its_page_is_understood() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    certificates::make(folder);
    // As nginx 1.22 answers with `ssl_verify_client on`.
    let page = |what: &'static str| {
        move |_: &_| -> Answer {
            let body = format!(
                "<html>\r\n<head><title>400 {what}</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n\
                 <center>{what}</center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
            );
            Some((400, vec![("Content-Type".to_owned(), "text/html".to_owned())], body.into_bytes()))
        }
    };
    let own = |server: &Scripted, pair| settings(&server.tls_host(), &folder.join("ca.pem"), pair);
    let missing = Scripted::start_tls(folder, page("No required SSL certificate was sent"));
    let error = listed(own(&missing, None)).expect_err("refused").0;
    assert_eq!(error, format!("{} requires a client certificate", missing.tls_host()));
    let wrong = Scripted::start_tls(folder, page("The SSL certificate error"));
    let error = listed(own(&wrong, files((fixture("ed25519.pem"), fixture("ed25519.key"))))).expect_err("refused").0;
    assert!(error.contains("refused the client certificate in") && error.contains("ed25519.pem"), "{error}");
}

#[test]
fn a_handshake_that_is_refused_without_a_reason_may_be_about_a_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    certificates::make(folder.path());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let host = format!("localhost:{}", listener.local_addr().expect("an address").port());
    // As OpenSSL answers in TLS 1.2: a fatal alert, handshake_failure.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(&[21, 3, 3, 0, 2, 2, 40]);
        }
    });
    let (error, help, _) = listed(settings(&host, &folder.path().join("ca.pem"), None)).expect_err("refused");
    assert!(error.ends_with("as servers do that require a client certificate or other ciphers"), "{error}");
    assert!(help.contains("set `clientCertificate` in the entry of"), "{help}");
}

/// A server that requests a certificate and works without one.
fn curious(folder: &Path, clients: &Authority, script: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Scripted {
    let tls = certificates::mutual_config(folder, clients, false, &TLS13);
    Scripted::start_with(tls, move |asked| script(&asked.target))
}

/// Checks that a server has seen requests, and who sent them.
#[track_caller]
fn saw(server: &Scripted, expected: Option<&Pair>) {
    let asked = server.asked();
    assert!(!asked.is_empty(), "it was not asked");
    for asked in asked {
        assert_eq!(asked.certificate, expected.map(Pair::der), "{}", asked.target);
    }
}

#[test]
fn only_the_host_itself_is_shown_the_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    certificates::make(folder);
    let clients = Authority::new("an authority for clients");
    let pair = clients.client("tagalong", 2020, 2100);
    let (ca_file, pair_files) = (folder.join("ca.pem"), pair.write(folder, "client"));

    // A token server at another origin, configured as the registry's own.
    let tokens = curious(folder, &clients, |_| answer(200, json!({ "token": "t" }), &[]));
    let challenge = format!("Bearer realm=\"https://{}/token\",service=\"tests\"", tokens.tls_host());
    let tls = certificates::mutual_config(folder, &clients, true, &TLS13);
    let registry = Scripted::start_with(tls, move |asked| match &asked.authorization {
        Some(_) => answer(200, json!({ "tags": ["a"] }), &[]),
        None => answer(401, json!({}), &[("WWW-Authenticate", &challenge)]),
    });
    let realm = format!("https://{}", tokens.tls_host()).parse().ok();
    let own = settings(&registry.tls_host(), &ca_file, files(pair_files.clone()));
    assert_eq!(listed(HostConfig { realm, ..own }), Ok(1));
    saw(&registry, Some(&pair));
    saw(&tokens, None);

    // A redirect to another origin, and one that leads back from there.
    let back: Arc<OnceLock<String>> = Arc::default();
    let home = Arc::clone(&back);
    let storage = curious(folder, &clients, move |_| answer(307, json!({}), &[("Location", home.get().expect("set"))]));
    let away = format!("https://{}/blob", storage.tls_host());
    let registry = curious(folder, &clients, move |target| match target {
        "/back" => answer(200, json!({ "tags": ["a", "b"] }), &[]),
        _ => answer(307, json!({}), &[("Location", &away)]),
    });
    back.set(format!("https://{}/back", registry.tls_host())).expect("set once");
    assert_eq!(listed(settings(&registry.tls_host(), &ca_file, files(pair_files.clone()))), Ok(2));
    saw(&storage, None);
    let shown: Vec<_> =
        registry.asked().into_iter().map(|asked| (asked.target == "/back", asked.certificate)).collect();
    assert_eq!(shown, [(false, Some(pair.der())), (true, None)]);

    // A mirror, without and with a certificate of its own.
    for has_own in [false, true] {
        let mirror = curious(folder, &clients, |_| answer(404, json!({ "errors": [] }), &[]));
        let registry = curious(folder, &clients, |_| answer(404, json!({ "errors": [] }), &[]));
        let mut hosts = vec![HostConfig {
            mirror: format!("https://{}", mirror.tls_host()).parse().ok(),
            ..settings(&registry.tls_host(), &ca_file, files(pair_files.clone()))
        }];
        let of_mirror = has_own.then(|| pair_files.clone()).and_then(files);
        hosts.push(settings(&mirror.tls_host(), &ca_file, of_mirror));
        let name: Repository = format!("{}/org/app", registry.tls_host()).parse().expect("a name");
        let digest = format!("sha256:{}", "a".repeat(64));
        let version: Version = Version { digest: digest.parse().ok(), ..Version::default() };
        let client = client(hosts).expect("a client");
        assert!(run(client.image(&name, &version)).is_err());
        saw(&mirror, has_own.then_some(&pair));
        saw(&registry, Some(&pair));
    }
}

#[test]
fn a_redirect_to_a_server_that_requires_a_certificate_is_explained() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    certificates::make(folder);
    let clients = Authority::new("an authority for clients");
    let pair = clients.client("tagalong", 2020, 2100).write(folder, "client");
    let tls = certificates::mutual_config(folder, &clients, true, &TLS13);
    let storage = Scripted::start_with(tls, |_| answer(200, json!({ "tags": ["a"] }), &[]));
    let away = format!("https://{}/x", storage.tls_host());
    let registry = curious(folder, &clients, move |_| answer(307, json!({}), &[("Location", &away)]));
    let (error, help, _) =
        listed(settings(&registry.tls_host(), &folder.join("ca.pem"), files(pair))).expect_err("refused");
    let expected = format!(
        "https://{}, which {} refers to, requires a client certificate and does not get one",
        storage.tls_host(),
        registry.tls_host()
    );
    assert_eq!(error, expected);
    assert!(help.contains("only to"), "{help}");
}

#[test]
fn a_certificate_goes_through_a_proxy_unless_the_proxy_would_see_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(folder.path(), Kind::Mutual);
    registry.push("org/app", "aaaaaa1", BUILT);
    let proxy = ForwardProxy::start();
    let own = |proxy: String| HostConfig {
        proxy: proxy.parse::<Proxy>().expect("a proxy"),
        ..settings(&registry.host(), &registry.ca_file(), files(registry.client_files()))
    };
    assert_eq!(listed(own(format!("http://127.0.0.1:{}", proxy.port))), Ok(1));
    assert_eq!(proxy.asked(), [registry.host()]);
    let (error, help, fault) = listed(own("https://proxy.example.com".to_owned())).expect_err("refused");
    assert!(error.contains("which the proxy https://proxy.example.com would be shown as well"), "{error}");
    assert!(help.contains("set `proxy`") && fault == Fault::BadInput, "{help}");
    let plain = HostConfig { plain_http: true, ..own("direct".to_owned()) };
    let (error, _, fault) = listed(plain).expect_err("refused");
    assert!(error.contains("used over plain HTTP") && fault == Fault::BadInput, "{error}");
}

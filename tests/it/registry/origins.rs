//! Every secret stays with the scheme, host and port it is for, whatever a server redirects to or names as its realm.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prometheus_client::encoding::text::encode;
use serde_json::json;
use tagalong::cluster::config::Receiver;
use tagalong::cluster::receiver;
use tagalong::fault::Explain;
use tagalong::forge::client::Forge;
use tagalong::forge::config::{ApiBase, Config as ForgeConfig, Kind};
use tagalong::forge::pull_request::Draft;
use tagalong::identity::token_source::TokenSource;
use tagalong::image::{Repository, Tag};
use tagalong::notify::config::{Channel, Service};
use tagalong::notify::dispatcher::Dispatcher;
use tagalong::notify::event::{Event, Kind as EventKind};
use tagalong::notify::metrics::NotifyMetrics;
use tagalong::notify::secret_source::SecretSource;
use tagalong::notify::webhook::Body;
use tagalong::registry::client::Client;
use tagalong::registry::config::{Api, Config, HostConfig};
use tagalong::registry::error::RegistryError;
use tagalong::secret::Secret;

use crate::support::certificates;
use crate::support::registry::{PASSWORD, USER};
use crate::support::scripted::{Answer, Asked, Scripted, json as answer};
use crate::support::tokens::REFRESH_TOKEN;

const FORGE_TOKEN: &str = "forge-token-5512";
const WEBHOOK_TOKEN: &str = "webhook-token-8841";
const BEARER: &str = "bearer-token-77120";
/// The folder with the certificates, in the process that trusts them.
const FOLDER: &str = "TAGALONG_TEST_ORIGINS";

/// What may never reach a stranger: secrets, and the headers with signatures.
fn secrets() -> [String; 8] {
    let basic = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let fixed = [PASSWORD, REFRESH_TOKEN, FORGE_TOKEN, WEBHOOK_TOKEN, BEARER, "signature", "authorization:"];
    let [a, b, c, d, e, f, g] = fixed.map(str::to_owned);
    [basic, a, b, c, d, e, f, g]
}

fn is_secret(asked: &Asked) -> bool {
    let text = format!("{} {} {}", asked.target, asked.head, asked.body);
    let lower = text.to_ascii_lowercase();
    secrets().iter().any(|secret| text.contains(secret) || lower.contains(secret.as_str()))
}

/// The clients, each with what it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// A GET of a registry, with user and password.
    Registry,
    /// A GET of a token server, with user and password.
    TokenServer,
    /// A POST to a token server, with a refresh token.
    RefreshToken,
    /// A GET of the API of a registry product, for push times.
    RegistryApi,
    /// A GET of a forge.
    ForgeRead(Kind),
    /// A request with a body to a forge.
    ForgeWrite(Kind),
    /// A POST to a webhook, with a token and a signature.
    Webhook,
    /// A signed POST to a Receiver of Flux.
    Receiver,
}

const SENDERS: [Sender; 16] = [
    Sender::Registry,
    Sender::TokenServer,
    Sender::RefreshToken,
    Sender::RegistryApi,
    Sender::ForgeRead(Kind::Gitea),
    Sender::ForgeRead(Kind::GitHub),
    Sender::ForgeRead(Kind::GitLab),
    Sender::ForgeRead(Kind::Bitbucket),
    Sender::ForgeRead(Kind::BitbucketDataCenter),
    Sender::ForgeRead(Kind::AzureDevOps),
    Sender::ForgeWrite(Kind::Gitea),
    Sender::ForgeWrite(Kind::GitHub),
    Sender::ForgeWrite(Kind::GitLab),
    Sender::ForgeWrite(Kind::AzureDevOps),
    Sender::Webhook,
    Sender::Receiver,
];

impl Sender {
    fn has_body(self) -> bool {
        matches!(self, Sender::RefreshToken | Sender::ForgeWrite(_) | Sender::Webhook | Sender::Receiver)
    }
}

/// A place that a server redirects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    SameOrigin,
    OtherHttps,
    OtherHttp,
    /// Another server, which redirects back.
    ThereAndBack,
    /// The metadata service of a cloud.
    Metadata,
    /// Itself, for ever.
    Loop,
}

const PLACES: [To; 6] = [To::SameOrigin, To::OtherHttps, To::OtherHttp, To::ThereAndBack, To::Metadata, To::Loop];

/// The words of the error; empty for success.
fn expected(sender: Sender, is_https: bool, to: To) -> &'static str {
    match to {
        To::SameOrigin => "",
        To::Loop => "redirects more than 5 times",
        _ if sender.has_body() => "not repeated elsewhere",
        To::OtherHttp if is_https => "from https to http",
        To::OtherHttps | To::OtherHttp | To::ThereAndBack => "requires credentials and does not get them",
        To::Metadata => "redirects to a private address",
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

fn start(folder: &Path, is_https: bool, script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Scripted {
    if is_https { Scripted::start_tls(folder, script) } else { Scripted::start(script) }
}

fn url(server: &Scripted, is_https: bool) -> String {
    if is_https { format!("https://{}", server.tls_host()) } else { format!("http://{}", server.host()) }
}

/// A response that satisfies a client.
fn good(sender: Sender) -> Answer {
    let body = match sender {
        Sender::Registry => json!({ "tags": ["a"] }),
        Sender::TokenServer | Sender::RefreshToken => json!({ "token": BEARER }),
        Sender::ForgeRead(Kind::Bitbucket | Kind::BitbucketDataCenter) => json!({ "values": [], "isLastPage": true }),
        Sender::ForgeRead(Kind::AzureDevOps) => json!({ "value": [], "count": 0 }),
        Sender::RegistryApi | Sender::ForgeRead(_) => json!([]),
        Sender::ForgeWrite(_) | Sender::Webhook | Sender::Receiver => json!({}),
    };
    answer(200, body, &[])
}

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, text).expect("written");
    file
}

/// The settings of a registry with a user and password, or a refresh token.
fn registry(folder: &Path, base: &str, realm: Option<&str>, refreshes: bool) -> HostConfig {
    let host = base.split_once("://").expect("a URL").1;
    let entry = match refreshes {
        true => json!({ "auth": STANDARD.encode("token:"), "identitytoken": REFRESH_TOKEN }),
        false => json!({ "username": USER, "password": PASSWORD }),
    };
    let login = json!({ "auths": { host: entry } }).to_string();
    HostConfig {
        host: host.to_owned(),
        plain_http: base.starts_with("http:"),
        credentials_file: Some(written(folder, "login.json", &login)),
        ca_file: Some(folder.join("ca.pem")),
        realm: realm.map(|realm| realm.parse().expect("an origin")),
        ..HostConfig::default()
    }
}

fn tags(own: HostConfig) -> Result<Vec<Tag>, RegistryError> {
    let name: Repository = format!("{}/org/app", own.host).parse().expect("a name");
    let client = Client::new(Config { hosts: vec![own], ..Config::default() }).expect("a client");
    run(client.tags(&name))
}

fn explained<T>(result: Result<T, impl Explain>) -> Result<(), String> {
    result.map(drop).map_err(|error| format!("{error} | {}", error.help().expect("help")))
}

/// A registry that requires tokens from a realm.
fn token_registry(folder: &Path, is_https: bool, realm: &str) -> Scripted {
    let challenge = format!("Bearer realm=\"{realm}\",service=\"tests\"");
    start(folder, is_https, move |asked| match asked.authorization.as_deref() {
        Some(sent) if sent == format!("Bearer {BEARER}") => answer(200, json!({ "tags": ["a"] }), &[]),
        _ => answer(401, json!({}), &[("WWW-Authenticate", &challenge)]),
    })
}

fn forge(folder: &Path, kind: Kind, base: &str) -> Arc<Forge> {
    let api = base.parse::<ApiBase>().expect("a base URL").completed(kind);
    let token = TokenSource::File(written(folder, "token", FORGE_TOKEN));
    let timeout = Duration::from_secs(10);
    let (repository, head, base) = ("org/infra".to_owned(), "proposal".to_owned(), "main".to_owned());
    Forge::new(ForgeConfig { kind, api, repository, head, base, token, labels: Vec::new(), timeout }).expect("a forge")
}

/// Delivers an event to a webhook.
async fn deliver(folder: &Path, base: &str) -> Result<(), String> {
    let secret = |text: String| SecretSource::Value(Secret::new(text));
    let service = Service::Webhook {
        url: secret(format!("{base}/start")),
        body: Body::new(None, None).expect("a body"),
        token: Some(secret(WEBHOOK_TOKEN.to_owned())),
        secret: Some(secret("key".to_owned())),
    };
    let channel = Channel {
        name: "hook".to_owned(),
        kinds: BTreeSet::from([EventKind::Updated]),
        pause: Duration::from_secs(1),
        ca_file: Some(folder.join("ca.pem")),
        service,
    };
    let metrics = NotifyMetrics::default();
    let dispatcher = Dispatcher::start(vec![channel], metrics.clone());
    dispatcher.dispatch(&Event::example(EventKind::Updated));
    dispatcher.close(Duration::from_secs(20)).await;
    let mut families = prometheus_client::registry::Registry::default();
    metrics.register(&mut families);
    let mut text = String::new();
    encode(&mut text, &families).expect("text");
    // The reason is only logged.
    if text.contains("result=\"done\"} 1\n") { Ok(()) } else { Err(String::new()) }
}

/// Sends what a client sends to a server.
fn send(folder: &Path, sender: Sender, base: &str, is_https: bool) -> Result<(), String> {
    let draft = Draft { title: "a title".to_owned(), text: "a text".to_owned() };
    match sender {
        Sender::Registry => explained(tags(registry(folder, base, None, false))),
        Sender::TokenServer | Sender::RefreshToken => {
            let server = token_registry(folder, is_https, &format!("{base}/start"));
            let refreshes = sender == Sender::RefreshToken;
            explained(tags(registry(folder, &url(&server, is_https), Some(base), refreshes)))
        }
        Sender::RegistryApi => {
            let own = HostConfig { api: Some(Api::Gitea), ..registry(folder, base, None, false) };
            let name: Repository = format!("{}/org/app", own.host).parse().expect("a name");
            let client = Client::new(Config { hosts: vec![own], ..Config::default() }).expect("a client");
            let tag: Tag = "a".parse().expect("a tag");
            explained(run(client.push_times(&name, &BTreeSet::from([&tag]))))
        }
        Sender::ForgeRead(kind) => explained(run(forge(folder, kind, base).pull_requests())),
        Sender::ForgeWrite(kind) => explained(run(forge(folder, kind, base).update(1, &draft))),
        Sender::Webhook => run(deliver(folder, base)),
        Sender::Receiver => {
            let url_file = written(folder, "receiver", &format!("{base}/start"));
            let secret_file = Some(written(folder, "key", "key"));
            explained(run(receiver::notify(&Receiver { url_file, secret_file })))
        }
    }
}

/// One row: a client whose server redirects.
fn row(folder: &Path, sender: Sender, is_https: bool, to: To) {
    let back: Arc<OnceLock<String>> = Arc::default();
    let stranger = |is_https: bool| {
        let back = Arc::clone(&back);
        start(folder, is_https, move |_| match back.get().filter(|_| to == To::ThereAndBack) {
            Some(back) => answer(307, json!({}), &[("Location", back)]),
            // It would like to be told who we are.
            None => answer(401, json!({}), &[("WWW-Authenticate", "Basic realm=x")]),
        })
    };
    let (https, http) = (stranger(true), stranger(false));
    let location = match to {
        To::SameOrigin => "/moved".to_owned(),
        To::OtherHttps => format!("https://{}", https.tls_host()),
        To::OtherHttp => url(&http, false),
        To::ThereAndBack if is_https => format!("https://{}", https.tls_host()),
        To::ThereAndBack => url(&http, false),
        To::Metadata => "https://169.254.169.254/latest/meta-data".to_owned(),
        To::Loop => "/start".to_owned(),
    };
    let server = start(folder, is_https, move |asked| match asked.target.as_str() {
        "/moved" => good(sender),
        "/back" => answer(401, json!({}), &[("WWW-Authenticate", "Basic realm=x")]),
        _ if sender == Sender::Registry && asked.authorization.is_none() => {
            answer(401, json!({}), &[("WWW-Authenticate", "Basic realm=x")])
        }
        _ => answer(307, json!({}), &[("Location", &location)]),
    });
    let base = url(&server, is_https);
    back.set(format!("{base}/back")).expect("set once");
    let what = format!("{sender:?} over {}, {to:?}", if is_https { "https" } else { "http" });
    match (send(folder, sender, &base, is_https), expected(sender, is_https, to)) {
        (Ok(()), "") => {}
        (Err(error), words) if !words.is_empty() && (error.contains(words) || sender == Sender::Webhook) => {}
        (result, words) => panic!("{what}: expected `{words}`, got {result:?}; {:#?}", server.asked()),
    }
    for asked in https.asked().iter().chain(&http.asked()) {
        assert!(!is_secret(asked) && asked.body.is_empty(), "{what}: a stranger was sent {asked:#?}");
    }
    let asked = server.asked();
    assert!(asked.iter().any(is_secret), "{what}: the server itself gets the secret; {asked:#?}");
    for asked in &asked {
        match asked.target.as_str() {
            "/moved" => assert!(is_secret(asked), "{what}: {asked:#?}"),
            "/back" => assert!(!is_secret(asked), "{what}: {asked:#?}"),
            _ => {}
        }
    }
    let strayed = https.asked().len() + http.asked().len();
    let follows = !sender.has_body() && expected(sender, is_https, to).contains("requires credentials");
    assert_eq!(strayed > 0, follows, "{what}: {strayed} requests");
    if to == To::SameOrigin {
        assert!(asked.iter().any(|asked| asked.target == "/moved"), "{what}");
    }
}

#[test]
#[ignore = "run by every_client_keeps_its_secrets, in a process that trusts the certificates"]
fn all_rows() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect("the folder with the certificates"));
    for sender in SENDERS {
        for is_https in [true, false] {
            for to in PLACES {
                row(&folder, sender, is_https, to);
            }
        }
    }
}

#[test]
fn every_client_keeps_its_secrets() {
    let folder = tempfile::tempdir().expect("a folder");
    certificates::make(folder.path());
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "registry::origins::all_rows", "--ignored", "--nocapture"])
        .env("SSL_CERT_FILE", folder.path().join("ca.pem"))
        .env(FOLDER, folder.path())
        .output()
        .expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// A token server that gives a token to everyone.
fn generous(folder: &Path, is_https: bool) -> Scripted {
    start(folder, is_https, |_| answer(200, json!({ "token": BEARER }), &[]))
}

#[test]
fn a_realm_gets_the_credentials_only_if_it_is_the_registrys_own_or_configured() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    certificates::make(folder);
    for is_https in [true, false] {
        for refreshes in [false, true] {
            let stranger = generous(folder, is_https);
            let realm = url(&stranger, is_https);
            let server = token_registry(folder, is_https, &format!("{realm}/token"));
            let base = url(&server, is_https);
            let error = tags(registry(folder, &base, None, refreshes)).expect_err("a foreign realm");
            assert!(matches!(error, RegistryError::ForeignRealm { .. }), "{error}");
            assert!(stranger.asked().is_empty(), "{:#?}", stranger.asked());
            // The help says what to write.
            let help = error.help().expect("help");
            assert!(help.contains(&format!("`realm: {realm}`")), "{help}");
            tags(registry(folder, &base, Some(&realm), refreshes)).expect("tags");
            assert!(stranger.asked().iter().all(is_secret), "{:#?}", stranger.asked());
            // Another one is not covered by that.
            let other = generous(folder, is_https);
            let server = token_registry(folder, is_https, &format!("{}/token", url(&other, is_https)));
            tags(registry(folder, &url(&server, is_https), Some(&realm), refreshes)).expect_err("a foreign realm");
            assert!(other.asked().is_empty(), "{:#?}", other.asked());
        }
    }
}

#[test]
fn a_realm_at_the_registry_itself_needs_no_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    certificates::make(folder.path());
    for refreshes in [false, true] {
        let own: Arc<OnceLock<String>> = Arc::default();
        let base = Arc::clone(&own);
        let server = start(folder.path(), true, move |asked| match asked.authorization.as_deref() {
            _ if asked.target.starts_with("/token") => answer(200, json!({ "token": BEARER }), &[]),
            Some(sent) if sent == format!("Bearer {BEARER}") => answer(200, json!({ "tags": ["a"] }), &[]),
            _ => {
                let challenge = format!("Bearer realm=\"{}/token\"", base.get().expect("set"));
                answer(401, json!({}), &[("WWW-Authenticate", &challenge)])
            }
        });
        own.set(format!("https://{}", server.tls_host())).expect("set once");
        assert_eq!(
            tags(registry(folder.path(), &format!("https://{}", server.tls_host()), None, refreshes))
                .expect("tags")
                .len(),
            1
        );
    }
}

#[test]
fn anonymous_tokens_come_from_any_realm_that_a_redirect_may_lead_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    certificates::make(folder);
    let anonymous = |server: &Scripted| {
        let own = registry(folder, &format!("https://{}", server.tls_host()), None, false);
        tags(HostConfig { credentials_file: None, ..own })
    };
    let (https, http) = (generous(folder, true), generous(folder, false));
    let server = token_registry(folder, true, &format!("https://{}/token", https.tls_host()));
    assert_eq!(anonymous(&server).expect("tags").len(), 1);
    assert!(!https.asked().is_empty() && !https.asked().iter().any(is_secret), "{:#?}", https.asked());
    for (realm, words) in [
        (format!("{}/token", url(&http, false)), "does not use https"),
        ("https://169.254.169.254/token".to_owned(), "redirects to a private address"),
    ] {
        let error = anonymous(&token_registry(folder, true, &realm)).expect_err(&realm).to_string();
        assert!(error.contains(words), "{error}");
    }
    assert!(http.asked().is_empty());
}

/// A path that starts with two slashes looks like another server when it is resolved.
#[test]
fn a_link_to_the_next_page_never_leaves_the_registry() {
    let folder = tempfile::tempdir().expect("a folder");
    let stranger = Scripted::start(|_| answer(200, json!({ "tags": ["stolen"] }), &[]));
    let link = format!("</.//{}/v2/org/app/tags/list>; rel=\"next\"", stranger.host());
    let server = Scripted::start(move |asked| match asked.target.as_str() {
        _ if asked.authorization.is_none() => answer(401, json!({}), &[("WWW-Authenticate", "Basic realm=x")]),
        "/v2/org/app/tags/list" => answer(200, json!({ "tags": ["a"] }), &[("Link", &link)]),
        _ => answer(200, json!({ "tags": ["b"] }), &[]),
    });
    let own = HostConfig { ca_file: None, ..registry(folder.path(), &url(&server, false), None, false) };
    let tags = tags(own).map(|tags| tags.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert!(stranger.asked().is_empty(), "a stranger was sent {:#?}", stranger.asked());
    assert_eq!(tags.expect("a list"), ["a", "b"], "{:#?}", server.asked());
}

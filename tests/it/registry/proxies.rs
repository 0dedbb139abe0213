//! Proxies: each registry has its own, what fails at a proxy is reported as the proxy's, and its password is never shown.

use std::fs;
use std::path::Path;

use serde_json::json;
use tagalong::fault::{Explain, Fault};
use tagalong::image::Repository;
use tagalong::registry::client::Client;
use tagalong::registry::config::{Config, HostConfig};
use tagalong::registry::error::RegistryError;

use crate::support::certificates;
use crate::support::forward_proxy::{ForwardProxy, Rule};
use crate::support::git::Origin;
use crate::support::process::free_port;
use crate::support::registry::{Kind, Registry};
use crate::support::scripted::{Scripted, json as answer};
use crate::support::tagalong::{Run, command, complete};

const BUILT: &str = "2026-04-01T10:00:00Z";
const USER: &str = "relay";
const PASSWORD: &str = "proxy sesame:4471@";
/// `relay:proxy sesame:4471@`
const ENCODED: &str = "cmVsYXk6cHJveHkgc2VzYW1lOjQ0NzFA";

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// Lists the tags of an image through a proxy, and returns the message, the help and the kind of the error.
fn listed(own: HostConfig) -> Result<usize, (String, String, Fault)> {
    let name: Repository = format!("{}/org/app", own.host).parse().expect("a name");
    let told = |error: RegistryError| (error.to_string(), error.help().unwrap_or_default(), error.fault());
    let client = Client::new(Config { hosts: vec![own], ..Config::default() }).map_err(told)?;
    run(client.tags(&name)).map(|tags| tags.len()).map_err(told)
}

fn settings(host: &str, ca_file: Option<&Path>, proxy: &str) -> HostConfig {
    HostConfig {
        host: host.to_owned(),
        plain_http: ca_file.is_none(),
        ca_file: ca_file.map(Path::to_owned),
        proxy: proxy.parse().expect("a proxy"),
        ..HostConfig::default()
    }
}

/// A real registry with TLS and one without.
fn registries(folder: &Path) -> [Registry; 2] {
    [Kind::Tls, Kind::Plain].map(|kind| {
        let registry = Registry::start(&folder.join(format!("{kind:?}")), kind);
        registry.push("org/app", "aaaaaa1", BUILT);
        registry
    })
}

#[test]
fn a_registry_is_reached_through_its_proxy_of_every_kind() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("credentials");
    fs::write(&file, format!("{USER}:{PASSWORD}\n")).expect("written");
    let registries = registries(folder.path());
    let rules = [Rule::Open, Rule::Password(USER, PASSWORD)];
    for (registry, is_tls) in registries.iter().zip([true, false]) {
        let ca_file = is_tls.then(|| registry.ca_file());
        for rule in rules.clone() {
            let (http, socks) = (ForwardProxy::with_rule(rule.clone()), ForwardProxy::socks(rule.clone()));
            for (scheme, proxy) in [("http", &http), ("socks5", &socks), ("socks5h", &socks)] {
                let before = proxy.asked().len();
                let url = format!("{scheme}://127.0.0.1:{}", proxy.port);
                let own = HostConfig {
                    proxy_credentials_file: matches!(rule, Rule::Password(..)).then(|| file.clone()),
                    ..settings(&registry.host(), ca_file.as_deref(), &url)
                };
                assert_eq!(listed(own), Ok(1), "{scheme}, {rule:?}, TLS: {is_tls}");
                assert!(proxy.asked().len() > before, "{scheme}: the proxy was not asked");
            }
        }
    }
}

#[test]
fn what_fails_at_a_proxy_is_reported_as_the_proxys() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("credentials");
    fs::write(&file, format!("{USER}:wrong\n")).expect("written");
    let registries = registries(folder.path());
    let locked = Rule::Password(USER, PASSWORD);
    let (http, http_closed) = (ForwardProxy::with_rule(locked.clone()), ForwardProxy::with_rule(Rule::Closed));
    let (socks, socks_closed) = (ForwardProxy::socks(locked), ForwardProxy::socks(Rule::Closed));
    let nobody = free_port();
    for (registry, is_tls) in registries.iter().zip([true, false]) {
        let ca_file = is_tls.then(|| registry.ca_file());
        let told = |scheme: &str, port: u16, has_file: bool| {
            let proxy = format!("{scheme}://127.0.0.1:{port}");
            let own = HostConfig {
                proxy_credentials_file: has_file.then(|| file.clone()),
                ..settings(&registry.host(), ca_file.as_deref(), &proxy)
            };
            let (error, help, fault) = listed(own).expect_err("refused");
            let start = format!("cannot reach {}, because the proxy {proxy} ", registry.host());
            let reason = error.strip_prefix(&start).unwrap_or_else(|| panic!("TLS: {is_tls}: {error}")).to_owned();
            (reason, help, fault)
        };
        for (scheme, proxy, closed) in [("http", &http, &http_closed), ("socks5", &socks, &socks_closed)] {
            for has_file in [true, false] {
                let (reason, help, fault) = told(scheme, proxy.port, has_file);
                assert_eq!((reason.as_str(), fault), ("requires credentials that it accepts", Fault::Denied));
                let remedy = if has_file { file.display().to_string() } else { "`proxyCredentialsFile`".to_owned() };
                assert!(help.contains(&remedy), "{help}");
            }
            // Over plain HTTP, a proxy's 403 looks like the registry's.
            if is_tls || scheme == "socks5" {
                let (reason, help, fault) = told(scheme, closed.port, false);
                assert_eq!((reason.as_str(), fault), ("does not connect to it", Fault::Transient), "{scheme}");
                assert!(help.contains(&format!("the rules of the proxy allow {}", registry.host())), "{help}");
            }
            let (reason, help, fault) = told(scheme, nobody, false);
            assert!(reason.starts_with("failed: ") && fault == Fault::Transient, "{reason}");
            assert!(help.contains("address of the proxy"), "{help}");
        }
    }
    // What is the registry's own remains the registry's.
    let stranger = Registry::start(&folder.path().join("stranger"), Kind::Tls);
    let proxy = ForwardProxy::start();
    let own = settings(&stranger.host(), Some(&registries[0].ca_file()), &format!("http://127.0.0.1:{}", proxy.port));
    let (error, _, _) = listed(own).expect_err("not trusted");
    assert!(error.contains("signed by an unknown authority") && !error.contains("proxy"), "{error}");
}

/// A repository and a configuration for `check`.
struct Scene {
    folder: tempfile::TempDir,
    origin: Origin,
}

impl Scene {
    fn new(hosts: &[&str]) -> Scene {
        let folder = tempfile::tempdir().expect("a folder");
        let images: String = hosts.iter().map(|host| format!("---\nimage: {host}/org/app:aaaaaa1\n")).collect();
        let origin = Origin::create(&folder.path().join("infra.git"), &[("app.yaml", &images)]);
        Scene { folder, origin }
    }

    /// Runs `check` with these entries of `registries`.
    fn check(&self, hosts: &[&str], entries: &str, variables: &[(&str, &str)]) -> Run {
        let patterns: Vec<String> = hosts.iter().map(|host| format!("\"{host}/**\"")).collect();
        let text = format!(
            "git: {{ url: {} }}\nregistries:\n{entries}policies:\n- images: [{}]\n  tags: {{ sha: {{}} }}\n",
            self.origin.path.display(),
            patterns.join(", ")
        );
        let file = self.folder.path().join("tagalong.yaml");
        fs::write(&file, text).expect("written");
        let arguments = ["check", "--output", "json", "--log-level", "trace", "--config"];
        complete(command(self.folder.path()).args(arguments).arg(file).envs(variables.iter().copied()))
    }
}

/// The detail of the check of a registry.
fn detail(run: &Run, host: &str) -> String {
    let rows = run.json();
    let rows = rows.as_array().expect("rows").iter();
    let row = rows.filter(|row| row["check"] == "registry").find(|row| row["target"] == host);
    row.unwrap_or_else(|| panic!("{run:#?}"))["detail"].as_str().expect("text").to_owned()
}

#[test]
fn a_setting_takes_precedence_over_the_environment_which_applies_to_all_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let [tls, plain] = registries(folder.path());
    let (environment, own) = (ForwardProxy::start(), ForwardProxy::start());
    let hosts = [tls.host(), plain.host()];
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let scene = Scene::new(&hosts);
    let address = |proxy: &ForwardProxy| format!("http://127.0.0.1:{}", proxy.port);
    let entries = |of_tls: &str, of_plain: &str| {
        let ca_file = tls.ca_file();
        format!(
            "- {{ host: \"{}\", caFile: {}{of_tls} }}\n- {{ host: \"{}\", plainHttp: true{of_plain} }}\n",
            hosts[0],
            ca_file.display(),
            hosts[1]
        )
    };
    // The password in the environment's URL is not for the log either.
    let with_user = format!("http://{USER}:env-sesame-17@127.0.0.1:{}", environment.port);
    let variables = [("HTTPS_PROXY", with_user.as_str()), ("HTTP_PROXY", &with_user)];
    let through = |proxy: &ForwardProxy| format!("responds; through the proxy {}", address(proxy));

    let run = scene.check(&hosts, &entries("", ""), &variables).ok();
    assert_eq!((detail(&run, hosts[0]), detail(&run, hosts[1])), (through(&environment), through(&environment)));
    let shown = format!("{run:?}");
    let encoded = "cmVsYXk6ZW52LXNlc2FtZS0xNw";
    assert!(!shown.contains("env-sesame-17") && !shown.contains(encoded), "{shown}");
    let before = environment.asked().len();
    assert!(before >= 2, "{:?}", environment.asked());

    let settings = entries(&format!(", proxy: \"{}\"", address(&own)), ", proxy: direct");
    let run = scene.check(&hosts, &settings, &variables).ok();
    assert_eq!((detail(&run, hosts[0]), detail(&run, hosts[1])), (through(&own), "responds".to_owned()));
    assert_eq!((environment.asked().len(), own.asked().first().map(String::as_str)), (before, Some(hosts[0])));

    let without = [variables[0], variables[1], ("NO_PROXY", "localhost")];
    let run = scene.check(&hosts, &entries("", ""), &without).ok();
    assert_eq!((detail(&run, hosts[0]), detail(&run, hosts[1])), ("responds".to_owned(), through(&environment)));
}

#[test]
fn check_shows_the_certificate_and_nothing_secret_is_shown_at_any_level() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(&folder.path().join("registry"), Kind::Mutual);
    registry.push("org/app", "aaaaaa1", BUILT);
    let proxy = ForwardProxy::with_rule(Rule::Password(USER, PASSWORD));
    let file = folder.path().join("credentials");
    fs::write(&file, format!("{USER}:{PASSWORD}\n")).expect("written");
    let host = registry.host();
    let scene = Scene::new(&[&host]);
    let entry = |(certificate, key): (std::path::PathBuf, std::path::PathBuf)| {
        format!(
            "- host: \"{host}\"\n  caFile: {}\n  clientCertificate: {{ certFile: {}, keyFile: {} }}\n  proxy: http://127.0.0.1:{}\n  \
             proxyCredentialsFile: {}\n",
            registry.ca_file().display(),
            certificate.display(),
            key.display(),
            proxy.port,
            file.display()
        )
    };
    let run = scene.check(&[&host], &entry(registry.client_files()), &[]).ok();
    let expected = format!(
        "responds; client certificate CN=the tests, valid until 2100-01-01T00:00:00Z; through the proxy http://127.0.0.1:{}",
        proxy.port
    );
    assert_eq!(detail(&run, &host), expected);
    let mut shown = format!("{run:?}");

    // An expired one is a warning of its own, and the registry's refusal names the date.
    let expired = certificates::Authority::new("any").client("the tests", 2020, 2021).write(folder.path(), "expired");
    let run = scene.check(&[&host], &entry(expired), &[]);
    assert_eq!(run.code, 5, "{run:#?}");
    assert!(detail(&run, &host).ends_with("expired.pem: it expired at 2021-01-01T00:00:00Z"), "{run:#?}");
    let rows = run.json();
    let row = rows.as_array().expect("rows").iter().find(|row| row["check"] == "certificate").expect("a warning");
    assert_eq!(row["detail"], "CN=the tests expired at 2021-01-01T00:00:00Z");
    shown.push_str(&format!("{run:?}"));

    fs::write(&file, format!("{USER}:{PASSWORD}x\n")).expect("written");
    let run = scene.check(&[&host], &entry(registry.client_files()), &[]);
    assert_eq!(run.code, 5, "{run:#?}");
    assert!(detail(&run, &host).contains("requires credentials that it accepts"), "{run:#?}");
    shown.push_str(&format!("{run:?}"));

    let key = fs::read_to_string(registry.client_files().1).expect("a key");
    let line = key.lines().nth(1).expect("base64");
    let quoted = PASSWORD.replace(' ', "%20");
    for secret in [PASSWORD, ENCODED, &ENCODED[..20], line, &quoted, "sesame"] {
        let at = shown.find(secret).map(|at| shown[at.saturating_sub(200)..(at + 60).min(shown.len())].to_owned());
        assert_eq!(at, None, "{secret} was shown");
    }
    assert!(shown.contains("TRACE"), "nothing was logged at that level");
}

#[test]
fn a_token_server_is_reached_through_the_same_proxy() {
    let folder = tempfile::tempdir().expect("a folder");
    certificates::make(folder.path());
    let tokens = Scripted::start_tls(folder.path(), |_| answer(200, json!({ "token": "t" }), &[]));
    let challenge = format!("Bearer realm=\"https://{}/token\",service=\"tests\"", tokens.tls_host());
    let registry = Scripted::start_tls(folder.path(), move |asked| match &asked.authorization {
        Some(_) => answer(200, json!({ "tags": ["a"] }), &[]),
        None => answer(401, json!({}), &[("WWW-Authenticate", &challenge)]),
    });
    let proxy = ForwardProxy::start();
    let address = format!("http://127.0.0.1:{}", proxy.port);
    let own = settings(&registry.tls_host(), Some(&folder.path().join("ca.pem")), &address);
    assert_eq!(listed(own), Ok(1));
    assert_eq!(proxy.asked(), [registry.tls_host(), tokens.tls_host()]);
}

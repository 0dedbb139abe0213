//! Files are rotated under a running agent, as the kubelet does it: no restart, no mixed pairs, no old connection.

use std::fs;
use std::path::Path;

use rustls::version::TLS13;
use serde_json::json;

use crate::support::agent::Agent;
use crate::support::certificates::{self, Authority, Pair};
use crate::support::forward_proxy::{ForwardProxy, Rule};
use crate::support::git::Origin;
use crate::support::mount::Mount;
use crate::support::process::wait_until;
use crate::support::registry::{Kind, PASSWORD, Registry, USER};
use crate::support::scripted::{Scripted, forward};

const BUILT: &str = "2026-04-01T10:00:00Z";
const LATER: &str = "2026-04-02T10:00:00Z";

/// Starts an agent that follows one image of a host, with these keys in its entry of `registries`.
fn agent(folder: &Path, origin: &Origin, host: &str, keys: &str) -> Agent {
    let text = format!(
        "git: {{ url: {} }}\nregistries:\n- {{ host: \"{host}\", {keys} }}\npolicies:\n- images: [\"{host}/**\"]\n  tags: {{ sha: {{}} }}\n\
         agent: {{ interval: 200ms, listen: \"127.0.0.1:0\" }}\n",
        origin.path.display()
    );
    let file = folder.join("tagalong.yaml");
    fs::write(&file, text).expect("written");
    Agent::start(folder, &file)
}

fn origin(folder: &Path, host: &str) -> Origin {
    Origin::create(&folder.join("infra.git"), &[("app.yaml", &format!("image: {host}/org/app:aaaaaa1\n"))])
}

fn as_files<'p>(certificate: &'p Pair, key: &'p Pair) -> [(&'static str, &'p str); 2] {
    [("tls.crt", certificate.certificate.as_str()), ("tls.key", key.key.as_str())]
}

/// A registry that requires client certificates, in front of a real one.
fn mutual(folder: &Path, clients: &Authority, registry: &Registry) -> Scripted {
    let host = registry.host();
    let tls = certificates::mutual_config(folder, clients, true, &TLS13);
    Scripted::start_with(tls, move |asked| forward(&host, asked))
}

#[test]
fn a_new_pair_is_used_once_it_fits_and_the_old_one_never_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    certificates::make(folder);
    let registry = Registry::start(&folder.join("registry"), Kind::Plain);
    registry.push("org/app", "aaaaaa1", BUILT);
    let clients = Authority::new("an authority for clients");
    let (old, new) = (clients.client("old", 2020, 2100), clients.client("new", 2021, 2101));
    let server = mutual(folder, &clients, &registry);
    let origin = origin(folder, &server.tls_host());
    let mut mount = Mount::new(&folder.join("secret"), &as_files(&old, &old));
    let keys = format!(
        "caFile: {}/ca.pem, clientCertificate: {{ certFile: {}, keyFile: {} }}",
        folder.display(),
        mount.path("tls.crt").display(),
        mount.path("tls.key").display()
    );
    let agent = agent(folder, &origin, &server.tls_host(), &keys);
    let seen = || server.asked().into_iter().filter_map(|asked| asked.certificate).collect::<Vec<_>>();
    let more_than = |count: usize| wait_until("further requests", || seen().len() > count);
    more_than(3);
    let until = "tagalong_registry_client_certificate_not_after_timestamp_seconds";
    let metric = |year: i32| {
        let seconds = rcgen::date_time_ymd(year, 1, 1).unix_timestamp();
        format!("{until}{{host=\"{}\"}} {seconds}", server.tls_host())
    };
    agent.wait_for_metric(&metric(2100));

    // The same contents in another version of the Secret change nothing.
    mount.swap(&as_files(&old, &old));
    // The certificate of the new pair with the key of the old one.
    mount.swap(&as_files(&new, &old));
    let refusal = "the files of a registry have changed but cannot be used";
    agent.wait_for(refusal);
    more_than(seen().len() + 10);
    assert_eq!(agent.log().matches(refusal).count(), 1, "{}", agent.log());
    let line = agent.log().lines().find(|line| line.contains(refusal)).expect("a line").to_owned();
    assert!(
        line.contains("does not belong to the client certificate") && line.contains("\"level\":\"WARN\""),
        "{line}"
    );
    assert!(seen().iter().all(|certificate| *certificate == old.der()));

    mount.swap(&as_files(&new, &new));
    wait_until("the new certificate", || seen().contains(&new.der()));
    more_than(seen().len() + 10);
    let seen = seen();
    let first = seen.iter().position(|certificate| *certificate == new.der()).expect("seen");
    assert!(seen[first..].iter().all(|certificate| *certificate == new.der()), "the old one was used again");
    agent.wait_for_metric(&metric(2101));
    let replaced = "the files of a registry have changed and are in use";
    assert_eq!(agent.log().matches(replaced).count(), 1, "{}", agent.log());

    // With the new certificate, an update gets through.
    registry.push("org/app", "bbbbbb2", LATER);
    wait_until("the update", || origin.read("app.yaml").contains("bbbbbb2"));
    let (code, log) = agent.stop();
    assert_eq!(code, 0);
    for pair in [&old, &new] {
        let line = pair.key.lines().nth(1).expect("base64");
        assert!(!log.contains(line), "{log}");
    }
}

#[test]
fn an_expired_certificate_is_reported_once_and_replaced_without_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let registry = Registry::start(&folder.join("registry"), Kind::Mutual);
    registry.push("org/app", "aaaaaa1", BUILT);
    let expired = Authority::new("any").client("expired", 2020, 2021);
    let origin = origin(folder, &registry.host());
    let mut mount = Mount::new(&folder.join("secret"), &as_files(&expired, &expired));
    let keys = format!(
        "caFile: {}, clientCertificate: {{ certFile: {}, keyFile: {} }}",
        registry.ca_file().display(),
        mount.path("tls.crt").display(),
        mount.path("tls.key").display()
    );
    let agent = agent(folder, &origin, &registry.host(), &keys);
    let warning = "the client certificate for a registry has expired";
    agent.wait_for(warning);
    wait_until("the refusal", || agent.get("/status").body.contains("it expired at 2021-01-01T00:00:00Z"));
    let (certificate, key) = registry.client_files();
    let [certificate, key] = [certificate, key].map(|file| fs::read_to_string(file).expect("there"));
    mount.swap(&[("tls.crt", &certificate), ("tls.key", &key)]);
    registry.push("org/app", "bbbbbb2", LATER);
    wait_until("the update", || origin.read("app.yaml").contains("bbbbbb2"));
    assert_eq!(agent.log().matches(warning).count(), 1, "{}", agent.log());
}

#[test]
fn authorities_passwords_and_credentials_for_the_proxy_are_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let registry = Registry::start(&folder.join("registry"), Kind::TlsHtpasswd);
    registry.push("org/app", "aaaaaa1", BUILT);
    let proxy = ForwardProxy::with_rule(Rule::Password("relay", "proxy-sesame-2"));
    let origin = origin(folder, &registry.host());
    let login = |password: &str| {
        json!({ "auths": { registry.host(): { "username": USER, "password": password } } }).to_string()
    };
    let (right_ca, wrong_ca) = (fs::read_to_string(registry.ca_file()).expect("there"), Authority::new("another").pem);
    let mut mount = Mount::new(
        &folder.join("secret"),
        &[("ca.crt", &wrong_ca), ("config.json", &login("wrong")), ("proxy", "relay:wrong")],
    );
    let keys = format!(
        "caFile: {}, credentialsFile: {}, proxy: \"http://127.0.0.1:{}\", proxyCredentialsFile: {}",
        mount.path("ca.crt").display(),
        mount.path("config.json").display(),
        proxy.port,
        mount.path("proxy").display()
    );
    let agent = agent(folder, &origin, &registry.host(), &keys);
    // The log reports once that the registry fails.
    let says = |text: &str| wait_until(text, || agent.get("/status").body.contains(text));
    says("requires credentials that it accepts");
    mount.swap(&[("ca.crt", &wrong_ca), ("config.json", &login("wrong")), ("proxy", "relay:proxy-sesame-2")]);
    says("its certificate is signed by an unknown authority");
    mount.swap(&[("ca.crt", &right_ca), ("config.json", &login("wrong")), ("proxy", "relay:proxy-sesame-2")]);
    says("rejected the credentials from");
    registry.push("org/app", "bbbbbb2", LATER);
    mount.swap(&[("ca.crt", &right_ca), ("config.json", &login(PASSWORD)), ("proxy", "relay:proxy-sesame-2")]);
    wait_until("the update", || origin.read("app.yaml").contains("bbbbbb2"));
    let (_, log) = agent.stop();
    assert!(!log.contains("sesame"), "{log}");
}

//! Charts in Helm repositories that are not OCI registries: their versions come from `index.yaml`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::support::certificates;
use crate::support::charts::ChartServer;
use crate::support::git::{Origin, Sshd};
use crate::support::scripted::{Answer, Asked, Scripted};
use crate::support::tagalong::{Run, run};

const REPOSITORY: &str = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: { name: acme }\n\
                          spec: { url: http://HOST/stable }\n";
const RELEASE: &str = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: { name: shop }\n\
                       spec:\n  chart:\n    spec:\n      chart: shop\n      version: 1.2.0\n      \
                       sourceRef: { kind: HelmRepository, name: acme }\n";

/// A git server with a release of the chart `shop`, and the configuration for a server of charts.
struct Infra {
    folder: tempfile::TempDir,
    origin: Origin,
    config: PathBuf,
    host: String,
    _sshd: Sshd,
}

impl Infra {
    fn new(host: &str) -> Infra {
        Infra::with(host, "plainHttp: true", "- { charts: [HOST/**], version: ^1 }\n")
    }

    /// The same with other keys in the entry of the host, and other policies.
    fn with(host: &str, entry: &str, policies: &str) -> Infra {
        let folder = tempfile::tempdir().expect("a folder");
        let sshd = Sshd::start(&folder.path().join("sshd"));
        let files = [("source.yaml", REPOSITORY.replace("HOST", host)), ("shop.yaml", RELEASE.to_owned())];
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let origin = Origin::create(&folder.path().join("infra.git"), &files);
        let text = format!(
            "{}registries:\n- {{ host: \"{host}\", {entry} }}\npolicies:\n{}",
            sshd.config(&origin),
            policies.replace("HOST", host)
        );
        let config = folder.path().join("tagalong.yaml");
        std::fs::write(&config, text).expect("written");
        Infra { folder, origin, config, host: host.to_owned(), _sshd: sshd }
    }

    fn home(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let config = self.config.display().to_string();
        let mut all = arguments.to_vec();
        all.extend(["--config", &config]);
        run(self.home(), &all)
    }

    fn sync(&self) -> Value {
        self.run(&["sync", "--output", "json"]).json()
    }

    fn name(&self) -> String {
        format!("http://{}/stable/shop", self.host)
    }

    fn has(&self, version: &str) -> bool {
        self.origin.read("shop.yaml").contains(&format!("version: {version}\n"))
    }
}

/// The reason for which the only field stays.
fn reason(report: &Value) -> (String, String) {
    let text = |key: &str| report["skipped"][0][key].as_str().unwrap_or_default().to_owned();
    (text("reason"), text("detail"))
}

#[test]
fn the_highest_version_of_the_index_is_chosen() {
    let charts = ChartServer::start();
    charts.publish(&[
        "1.2.0",
        "1.10.0+git.5",
        "1.9.0",
        "1.11.0;deprecated: true",
        "1.12.0;removed: true",
        "2.0.0-rc.1",
        "2.0.0",
    ]);
    let infra = Infra::new(&charts.server.host());
    let report = infra.sync();
    assert!(infra.has("1.10.0+git.5"), "{report:#}");
    assert_eq!(report["updates"][0]["image"], infra.name());
    let asked: Vec<String> =
        charts.server.asked().iter().map(|asked| format!("{} {}", asked.method, asked.target)).collect();
    assert!(asked.contains(&"HEAD /stable/shop-1.10.0+git.5.tgz".to_owned()), "{asked:?}");
    assert_eq!(reason(&infra.sync()).0, "up-to-date");
}

#[test]
fn an_index_is_not_transferred_again_while_it_is_the_same() {
    let charts = ChartServer::start();
    charts.publish(&["1.2.0"]);
    let infra = Infra::new(&charts.server.host());
    infra.sync();
    assert_eq!(charts.index_requests(), [false]);
    infra.sync();
    assert_eq!(charts.index_requests(), [false, true]);
    // Something about another chart changes.
    charts.publish(&["1.2.0;description: new"]);
    assert_eq!(reason(&infra.sync()).0, "up-to-date");
    charts.publish(&["1.2.0", "1.3.0"]);
    infra.sync();
    assert!(infra.has("1.3.0"));
}

#[test]
fn a_missing_archive_is_kept_back_and_the_next_best_is_chosen_on_request() {
    let charts = ChartServer::start();
    charts.publish(&["1.2.0", "1.3.0", "1.4.0"]);
    charts.remove("/stable/shop-1.4.0.tgz");
    let host = charts.server.host();
    let infra = Infra::new(&host);
    let (reason, detail) = reason(&infra.sync());
    assert!(infra.has("1.2.0") && reason == "blocked-image", "{reason}: {detail}");
    assert!(detail.contains("/stable/shop-1.4.0.tgz responds with status 404"), "{detail}");
    let infra = Infra::with(&host, "plainHttp: true", "- { charts: [HOST/**], version: ^1, fallback: true }\n");
    let report = infra.sync();
    assert!(infra.has("1.3.0"), "{report:#}");
}

#[test]
fn an_index_that_forgets_versions_moves_nothing_back() {
    let charts = ChartServer::start();
    charts.publish(&["1.0.0", "1.1.0"]);
    let infra = Infra::new(&charts.server.host());
    let (reason, detail) = reason(&infra.sync());
    assert!(infra.has("1.2.0") && reason == "no-candidate", "{reason}: {detail}");
}

#[test]
fn a_version_waits_for_its_minimum_age_by_the_date_in_the_index() {
    let charts = ChartServer::start();
    charts.publish(&["1.3.0;created: \"2026-01-01T10:00:00.123456789+02:00\"", "1.4.0", "1.2.0"]);
    let host = charts.server.host();
    let infra = Infra::with(&host, "plainHttp: true", "- { charts: [HOST/**], version: ^1, minimumAge: 1h }\n");
    let report = infra.sync();
    let notes = report["notes"].to_string() + &report["skipped"].to_string();
    assert!(infra.has("1.2.0"), "nothing was seen an hour ago: {report:#}");
    assert!(notes.contains("minimumAge"), "{report:#}");
}

#[test]
fn a_chart_is_set_by_name_and_explained() {
    let charts = ChartServer::start();
    charts.publish(&["1.2.0", "1.3.0+b", "1.4.0;deprecated: true"]);
    let infra = Infra::new(&charts.server.host());
    let explained = infra.run(&["explain", &infra.name()]).ok().stdout;
    assert!(explained.contains("1.3.0_b") && explained.contains("holds 1.2.0"), "{explained}");
    infra.run(&["set", &format!("{}:1.3.0+b", infra.name())]).ok();
    assert!(infra.has("1.3.0+b"));
    let missing = infra.run(&["set", &format!("{}:1.5.0", infra.name())]).fails_with(3);
    assert!(missing.stderr.contains("the index of the Helm repository does not list it"), "{missing:#?}");
    let pinned = format!("{}:1.3.0+b@sha256:{}", infra.name(), "a".repeat(64));
    infra.run(&["set", &pinned]).fails_with(3);
    infra.run(&["set", &format!("{}:1.4.0", infra.name())]).ok();
    assert!(infra.has("1.4.0"), "a person may choose a version that is deprecated");
    let verified = infra.run(&["images", "verify"]).ok();
    assert!(verified.stdout.contains("ok"), "{verified:#?}");
}

#[test]
fn credentials_of_the_host_are_used_and_go_nowhere_else() {
    // user:password
    let charts = ChartServer::with_password(Some("Basic dXNlcjpwYXNzd29yZA=="));
    let elsewhere = Scripted::start(|_: &Asked| Some((200, Vec::new(), b"an archive".to_vec())));
    charts.publish(&["1.2.0", &format!("1.3.0;urls: [\"http://{}/shop-1.3.0.tgz\"]", elsewhere.host())]);
    let host = charts.server.host();
    let infra = Infra::new(&host);
    let (kind, detail) = reason(&infra.sync());
    assert!(kind == "registry-error" && detail.contains("requires credentials"), "{kind}: {detail}");
    let file = infra.home().join("auth.json");
    std::fs::write(&file, format!("{{\"auths\": {{\"{host}\": {{\"auth\": \"dXNlcjpwYXNzd29yZA==\"}}}}}}"))
        .expect("written");
    let entry = format!("plainHttp: true, credentialsFile: {}", file.display());
    let infra = Infra::with(&host, &entry, "- { charts: [HOST/**], version: ^1 }\n");
    let report = infra.sync();
    assert!(infra.has("1.3.0"), "{report:#}");
    let asked = elsewhere.asked();
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked.authorization.is_none()), "{asked:?}");
}

#[test]
fn an_archive_is_looked_for_only_where_a_redirect_may_lead() {
    let charts = ChartServer::start();
    charts.publish(&["1.2.0", "1.3.0;urls: [\"file:///etc/passwd\"]"]);
    let infra = Infra::new(&charts.server.host());
    let (kind, detail) = reason(&infra.sync());
    assert!(infra.has("1.2.0") && kind != "up-to-date", "{kind}: {detail}");
    charts.publish(&["1.2.0", "1.3.0;urls: [\"oci://evil.example.com/shop:1.3.0\"]"]);
    let (kind, detail) = reason(&infra.sync());
    assert!(infra.has("1.2.0") && kind == "blocked-image", "{kind}: {detail}");
    assert!(detail.contains("is at evil.example.com, which is not listed under `registries`"), "{detail}");
}

#[test]
fn a_repository_with_tls_leads_to_no_archive_without() {
    let folder = tempfile::tempdir().expect("a folder");
    certificates::make(folder.path());
    let elsewhere = Scripted::start(|_: &Asked| Some((200, Vec::new(), b"an archive".to_vec())));
    let url = format!("http://user:password@{}/shop-1.3.0.tgz?token=secret", elsewhere.host());
    let index = format!("entries: {{ shop: [{{ version: 1.3.0, urls: [\"{url}\"] }}] }}\n");
    let server = Scripted::start_tls(folder.path(), move |_| Some((200, Vec::new(), index.clone().into_bytes())));
    let entry = format!("caFile: {}", folder.path().join("ca.pem").display());
    let infra = Infra::with(&server.tls_host(), &entry, "- { charts: [HOST/**], version: ^1 }\n");
    infra.origin.commit(
        "tls",
        &[("source.yaml", &REPOSITORY.replace("http://HOST", &format!("https://{}", server.tls_host())))],
    );
    let report = infra.sync();
    let (kind, detail) = reason(&report);
    assert!(infra.has("1.2.0") && kind == "registry-error", "{report:#}");
    assert!(detail.contains("from https to http") && !report.to_string().contains("secret"), "{report:#}");
    assert!(elsewhere.asked().is_empty());
}

#[test]
fn a_repository_without_tls_has_to_be_configured() {
    let charts = ChartServer::start();
    charts.publish(&["1.2.0", "1.3.0"]);
    let infra = Infra::with(&charts.server.host(), "timeout: 5s", "- { charts: [HOST/**], version: ^1 }\n");
    let (kind, detail) = reason(&infra.sync());
    assert!(infra.has("1.2.0") && kind == "registry-error", "{kind}: {detail}");
    assert!(detail.contains("would be read over plain HTTP"), "{detail}");
    assert!(charts.server.asked().is_empty(), "nothing was sent");
}

#[test]
fn what_is_not_an_index_is_reported() {
    let answers: [(&str, Answer); 4] = [
        ("status 404", Some((404, Vec::new(), Vec::new()))),
        (
            "it is a web page",
            Some((200, vec![("Content-Type".into(), "text/html; charset=utf-8".into())], b"entries: {}".to_vec())),
        ),
        ("line 2: while parsing a node", Some((200, Vec::new(), b"entries: [".to_vec()))),
        ("it has no `entries`", Some((200, Vec::new(), b"{}".to_vec()))),
    ];
    let turn = Arc::new(AtomicUsize::new(0));
    let (texts, answers): (Vec<&str>, Vec<Answer>) = answers.into_iter().unzip();
    let current = Arc::clone(&turn);
    let server = Scripted::start(move |_| answers[current.load(Ordering::Relaxed)].clone());
    let infra = Infra::new(&server.host());
    for (index, text) in texts.into_iter().enumerate() {
        turn.store(index, Ordering::Relaxed);
        let (kind, detail) = reason(&infra.sync());
        assert!(kind == "registry-error" && detail.contains(text), "{text}: {kind}: {detail}");
    }
}

#[test]
fn an_index_that_never_ends_takes_little_memory() {
    let server = Scripted::start(|_| {
        let mut index = b"entries:\n  shop:\n".to_vec();
        index.resize(40 << 20, b'#');
        Some((200, Vec::new(), index))
    });
    let infra = Infra::new(&server.host());
    let (kind, detail) = reason(&infra.sync());
    assert!(kind == "registry-error" && detail.contains("its body is larger than 16777216 bytes"), "{kind}: {detail}");
}

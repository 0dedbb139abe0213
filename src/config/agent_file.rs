//! The agent's own `tagalong.yaml`, before flags and environment variables are applied.

use crate::agent;
use crate::cluster;
use crate::notify::config::Channel;
use crate::plan::tree_config::TreeConfig;
use crate::registry::config::HostConfig;
use crate::repo::signers::source::Trust;

use super::diagnostics::Diagnostics;
use super::document::Node;
use super::reader::{Environment, Section};
use super::sections;
use super::sections::git::GitSection;
use super::sections::secrets::SecretsSection;
use super::sections::sources::Source;

/// The settings in a file, before flags and environment variables are applied.
#[derive(Debug, Default)]
pub struct FileConfig {
    /// The section `git`.
    pub git: GitSection,
    /// The section `registries`.
    pub registries: Vec<HostConfig>,
    /// The section `sources`.
    pub sources: Vec<Source>,
    /// The sections `policies`, `fields` and `embedded`.
    pub tree_config: TreeConfig,
    /// The section `secrets`.
    pub secrets: SecretsSection,
    /// The section `trust`.
    pub trust: Trust,
    /// The section `agent`.
    pub agent: agent::config::Config,
    /// The section `notify`.
    pub notify: Vec<Channel>,
    /// The section `cluster`.
    pub cluster: cluster::config::Config,
}

/// Reads the agent's own file.
pub fn read(root: Node, environment: Environment<'_>, diagnostics: &Diagnostics) -> FileConfig {
    let mut root = Section::new("", root, diagnostics);
    let mut config = FileConfig {
        git: root.section("git").map(sections::git::read).unwrap_or_default(),
        registries: sections::registries::read(root.sections("registries")),
        sources: sections::sources::read(root.sections("sources")),
        tree_config: sections::policies::read(&mut root),
        secrets: root.section("secrets").map(sections::secrets::read).unwrap_or_default(),
        trust: root.section("trust").map(sections::trust::read).unwrap_or_default(),
        agent: root.section("agent").map(sections::agent::read).unwrap_or_default(),
        notify: sections::notify::read(root.sections("notify"), environment),
        cluster: root
            .section("cluster")
            .map(|section| sections::cluster::read(section, environment))
            .unwrap_or_default(),
    };
    root.finish();
    if config.agent.commit_link.is_some() {
        config.notify.iter_mut().for_each(Channel::link_like_events);
    }
    config
}

#[cfg(test)]
mod tests {
    use crate::config::diagnostics::Diagnostic;
    use crate::config::document;
    use crate::cycle::secrets::verify::{PullSecrets, Strictness};
    use crate::http::proxy::Proxy;
    use crate::notify::config::Service;
    use crate::notify::event::Kind;

    use super::*;

    /// The settings in a file, or its errors without the file's name.
    fn parsed(text: &str) -> Result<FileConfig, Vec<String>> {
        let diagnostics = Diagnostics::of("f");
        let root = document::parse(text.as_bytes(), "f").expect("YAML");
        let config = read(root, &|name| (name == "HOME").then(|| "/home/me".to_owned()), &diagnostics);
        let errors = |found: Vec<Diagnostic>| found.iter().map(|one| one.text.replacen("f:", "", 1)).collect();
        diagnostics.into_result().map(|()| config).map_err(errors)
    }

    fn valid(text: &str) -> FileConfig {
        parsed(text).expect("valid")
    }

    fn errors(text: &str) -> Vec<String> {
        parsed(text).expect_err("errors")
    }

    #[test]
    fn secrets_are_read_and_their_mistakes_said() {
        let secrets = |text: &str| valid(&format!("secrets: {{ {text} }}\n")).secrets;
        assert_eq!((secrets("").gate, secrets("").pull_secrets), (Strictness::Block, PullSecrets::Check));
        assert_eq!((secrets("gate: off").gate, secrets("gate: 'off'").gate), (Strictness::Off, Strictness::Off));
        assert_eq!(secrets("pullSecrets: off").pull_secrets, PullSecrets::Off);
        let both = secrets("gate: warn, pullSecrets: probe");
        assert_eq!((both.gate, both.pull_secrets), (Strictness::Warn, PullSecrets::Probe));
        let found = errors("secrets:\n  ageKeyFiles: ['', 5]\n  gate: true\n  pullSecrets: ping\n  ageKeyFile: /x\n");
        let expect = [
            "2:17: secrets.ageKeyFiles: the path is empty",
            "2:21: secrets.ageKeyFiles: expected a string",
            "3:9: secrets.gate: expected a string, found a boolean; quote it",
            "4:16: secrets.pullSecrets: invalid value `ping`; expected check, probe or off",
            "5:3: secrets.ageKeyFile: unknown key; did you mean `ageKeyFiles`?",
        ];
        for (error, expected) in found.iter().zip(expect) {
            assert!(error.starts_with(expected), "{error} is not {expected}");
        }
        assert_eq!(found.len(), expect.len(), "{found:#?}");
        assert!(errors("secrets: { gate: shut }\n")[0].contains("invalid value `shut`; expected block, warn or off"));
        assert!(errors("secrets: [a]\n")[0].contains("expected a mapping, found a list"));
    }

    #[test]
    fn connections_to_registries_are_read_and_their_mistakes_said() {
        let text = "registries:\n- { host: a.io, clientCertificate: { certFile: /c, keyFile: /k }, proxy: 'http://p:3128', proxyCredentialsFile: /p }\n- { host: b.io, proxy: direct }\n- host: c.io\n";
        let hosts = valid(text).registries;
        let certificate = hosts[0].client_certificate.as_ref().expect("a certificate");
        assert_eq!((certificate.cert_file.to_str(), certificate.key_file.to_str()), (Some("/c"), Some("/k")));
        assert!(matches!(&hosts[0].proxy, Proxy::At(url) if url.to_string() == "http://p:3128"));
        assert_eq!((&hosts[1].proxy, &hosts[2].proxy), (&Proxy::Direct, &Proxy::Environment));
        let wrong = "registries:\n- { host: a.io, clientCertificate: { certFile: /c }, proxy: 'http://me:sesame@p' }\n- { host: b.io, clientCertificate: { certFile: /c, keyFile: /k, caFile: /a }, plainHttp: true }\n- { host: c.io, proxy: direct, proxyCredentialsFile: /p }\n- { host: d.io, clientCertificate: {}, proxy: 'p:3128' }\n";
        let found = errors(wrong);
        for part in [
            "registries[0].clientCertificate: `keyFile` is required",
            "registries[0].proxy: the URL contains credentials; write them to a file and name it in proxyCredentialsFile",
            "registries[1].clientCertificate.caFile: unknown key",
            "registries[1]: `clientCertificate` has no effect with `plainHttp`",
            "registries[2]: `proxyCredentialsFile` requires the URL of a proxy in `proxy`",
            "registries[3].clientCertificate: `certFile` is required",
            "registries[3].clientCertificate: `keyFile` is required",
            "registries[3].proxy: expected direct, or the scheme, host and port of a proxy",
        ] {
            assert!(found.iter().any(|error| error.contains(part)), "{part} is not in {found:#?}");
        }
        assert_eq!(found.len(), 8, "{found:#?}");
        assert!(!found.iter().any(|error| error.contains("sesame")), "{found:#?}");
    }

    #[test]
    fn channels_take_their_secrets_from_files_and_the_environment_alone() {
        let text = "notify:\n- slack: {urlEnv: HOME}\n- name: ops\n  matrix: {server: 'https://m.example', room: '!r:m.example', tokenFile: /t}\n  events: [blocked, failed]\n- gitea: {server: 'https://g.example/', repository: o/infra, tokenFile: /t}\n";
        let channels = valid(text).notify;
        assert_eq!(channels.iter().map(|channel| channel.name.as_str()).collect::<Vec<_>>(), ["slack", "ops", "gitea"]);
        assert_eq!((channels[0].kinds.len(), channels[1].kinds.len()), (Kind::ALL.len(), 2));
        assert!(!format!("{channels:?}").contains("/home/me"), "a URL from the environment is shown");
        let Service::Gitea(forge) = &channels[2].service else { panic!("{channels:?}") };
        assert_eq!(forge.api.as_str(), "https://g.example/api/v1");
        assert_eq!(forge.pages.as_ref().map(url::Url::as_str), Some("https://g.example/"));
        let linked = valid(&format!("{text}agent: {{ commitUrl: 'https://c.example/{{sha}}' }}\n")).notify;
        assert!(matches!(&linked[2].service, Service::Gitea(forge) if forge.pages.is_none()), "{linked:?}");
        let wrong = "notify:\n- slack: {url: 'https://x'}\n- teams: {urlEnv: NOWHERE}\n  events: [update]\n- webhook: {urlFile: /u, template: '{{ titel }}'}\n  slack: {urlFile: /u}\n- matrix: {server: 'https://u:sesame@m', room: '#a:m', tokenFile: /t}\n- github: {repository: infra, tokenFile: /t, tokenEnv: HOME}\n";
        let found = errors(wrong);
        for part in [
            "notify[0].slack: exactly one of urlFile and urlEnv is required",
            "notify[0].slack.url: unknown key",
            "notify[1].teams.urlEnv: the environment variable NOWHERE is not set",
            "notify[1].events: `update` is not an event; expected one of updated, blocked",
            "notify[2]: exactly one of slack, discord",
            "notify[2].webhook.template: line 1: ",
            "notify[3].matrix.server: expected a URL such as",
            "notify[3].matrix.room: expected a room ID",
            "notify[4].github.repository: expected owner/name, found `infra`",
            "notify[4].github: exactly one of tokenFile and tokenEnv is required",
        ] {
            assert!(found.iter().any(|error| error.contains(part)), "{part} is not in {found:#?}");
        }
        assert!(!found.iter().any(|error| error.contains("sesame")), "{found:#?}");
    }

    #[test]
    fn the_cluster_is_read_and_its_mistakes_said() {
        let cluster = |text: &str| valid(&format!("cluster: {{ {text} }}\n")).cluster;
        assert_eq!(valid("").cluster, cluster::config::Config::default());
        let election = cluster("leaderElection: {}").election.expect("an election");
        assert_eq!((election.lease.as_str(), election.namespace.as_ref()), ("tagalong", None));
        assert!(!election.identity.is_empty() && election.timing == cluster::config::ElectionTiming::default());
        let flux = cluster("flux: { gitRepository: { name: infra, namespace: flux }, timeout: 5m }").flux;
        let flux = flux.expect("Flux");
        assert_eq!((flux.source.to_string().as_str(), flux.timeout.as_secs()), ("flux/infra", 300));
        assert_eq!(flux.namespaces.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["flux"]);
        let argocd = |text: &str| cluster(&format!("argocd: {{ {text} }}")).argocd.expect("Argo CD");
        let usual = argocd("");
        assert_eq!((usual.namespace.as_str(), usual.selector.as_ref(), usual.selects("any")), ("argocd", None, true));
        let seconds = |text: &str| argocd(text).timeout.as_secs();
        assert_eq!((seconds(""), seconds("timeout: 30s")), (600, 30));
        let named = argocd("namespace: gitops, applications: [shop]");
        assert_eq!((named.namespace.as_str(), named.selects("shop"), named.selects("cart")), ("gitops", true, false));
        assert_eq!(argocd("selector: 'team in (a, b)'").selector.as_deref(), Some("team in (a, b)"));
        let found = errors("cluster: { argocd: { applications: [A/b], selector: ' ', name: x } }\n");
        for part in [
            "argocd.applications: not a",
            "argocd.selector: the selector is empty",
            "exclude each other",
            "argocd.name: unknown key",
        ] {
            assert!(found.iter().any(|error| error.contains(part)), "{part} is not in {found:#?}");
        }
        let wrong = "cluster:\n  leaderElection: { lease: ../x, leaseDuration: 5s, retryPeriod: soon }\n  flux:\n    gitRepository: { namespace: Flux }\n    namespaces: [a/b]\n    receiver: { url: 'https://x/hook/sesame' }\n    timeout: 0s\n";
        let found = errors(wrong);
        for part in [
            "cluster.leaderElection.lease: not a Kubernetes name",
            "cluster.leaderElection.retryPeriod: `soon` is not a valid duration",
            "cluster.leaderElection: leaseDuration must be longer than renewDeadline",
            "cluster.flux.gitRepository.namespace: not a Kubernetes name",
            "cluster.flux.gitRepository: `name` is required",
            "cluster.flux.namespaces: not a Kubernetes name",
            "cluster.flux.receiver: `urlFile` is required",
            "cluster.flux.receiver.url: unknown key",
            "cluster.flux.timeout: `0s` is not a valid duration",
        ] {
            assert!(found.iter().any(|error| error.contains(part)), "{part} is not in {found:#?}");
        }
        assert_eq!(found.len(), 9, "{found:#?}");
        assert!(!found.iter().any(|error| error.contains("sesame")), "{found:#?}");
        assert!(errors("cluster: {}\n")[0].contains("`leaderElection`, `flux`, `argocd` or `pods` is required"));
        let unwatched = errors("cluster:\n  leaderElection: {}\n  onFailure: rollback\n");
        assert!(unwatched[0].contains("`onFailure: rollback` requires `flux` or `argocd`"), "{unwatched:#?}");
    }
}

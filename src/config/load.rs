//! Files, flags and environment together.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::agent;
use crate::cluster;
use crate::cycle::engine::{ConfigSource, Hosts};
use crate::cycle::secrets::verify::{PullSecrets, Strictness};
use crate::cycle::tree::cache::REPOSITORY_FILE;
use crate::cycle::write::commits::Style;
use crate::fault::Explain;
use crate::forge;
use crate::keys;
use crate::manifest::paths::PathFilter;
use crate::notify::config::Channel;
use crate::plan::tree_config::TreeConfig;
use crate::registry;
use crate::repo;
use crate::repo::config::{Branch, Person, Ssh, USUAL_DEPTH, USUAL_HISTORY_LIMIT};
use crate::repo::source::{SourceConfig, Sources};

use super::document::Node;
use super::error::ConfigError;
use super::reader::{Diagnostic, Diagnostics, Environment, nothing};
use super::sections::{self, FileConfig};

/// What the command line says about configuration.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// `--git-url`.
    pub git_url: Option<String>,
    /// `--branch`.
    pub branch: Option<String>,
    /// `--cache-dir`.
    pub cache_dir: Option<PathBuf>,
    /// `--path`.
    pub paths: Vec<String>,
    /// `--age-key-file`.
    pub age_key_files: Vec<PathBuf>,
    /// `--ssh-key-file`.
    pub ssh_key_file: Option<PathBuf>,
    /// `--known-hosts-file`.
    pub known_hosts_file: Option<PathBuf>,
    /// `--git-token-file`.
    pub git_token_file: Option<PathBuf>,
    /// `--git-username`.
    pub git_username: Option<String>,
    /// `--registry-auth-file`.
    pub registry_auth_file: Option<PathBuf>,
}

/// Everything that can be configured.
#[derive(Debug)]
pub struct Config {
    /// The repository, if one is configured.
    pub repo: Option<repo::config::Config>,
    /// Where pull requests are opened, if they are.
    pub forge: Option<forge::config::Config>,
    /// Which of its files are looked at.
    pub paths: PathFilter,
    /// How often a push is tried.
    pub attempts: u32,
    /// What commits look like.
    pub style: Style,
    /// The registries.
    pub registry: registry::config::Config,
    /// The repositories that images are built from.
    pub sources: Sources,
    /// What the files ask of a tree.
    pub intent: IntentReader,
    /// The secrets.
    pub secrets: Secrets,
    /// The agent.
    pub agent: agent::config::Config,
    /// Where news goes.
    pub notify: Vec<Channel>,
    /// Settings for leader election and Flux.
    pub cluster: cluster::config::Config,
}

/// What is configured about secrets.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// Where identities are taken from.
    pub keys: keys::KeySources,
    /// What happens to a field whose secrets are broken.
    pub gate: Strictness,
    /// The checks of pull secrets.
    pub pull_secrets: PullSecrets,
}

/// The agent's own policies and field rules, which those of the repository's file are added to.
#[derive(Debug, Clone, Default)]
pub struct IntentReader {
    /// Those of the agent's own file.
    pub own: TreeConfig,
    /// The hosts that policies in the repository may concern.
    pub allowed_hosts: BTreeSet<String>,
}

impl IntentReader {
    /// What holds for a tree, with the repository's own file if it has one.
    pub fn read(&self, repository_file: Option<&[u8]>, hosts: Hosts) -> Result<TreeConfig, ConfigError> {
        let mut intent = self.own.clone();
        let Some(bytes) = repository_file else { return Ok(intent) };
        let diagnostics = Diagnostics::of(REPOSITORY_FILE);
        let root = parse(bytes, REPOSITORY_FILE)?;
        let allowed = (hosts == Hosts::Allowed).then_some(&self.allowed_hosts);
        let found = sections::repository_file(root, allowed, &diagnostics);
        into_result(diagnostics)?;
        intent.policies.rules.extend(found.policies.rules);
        intent.field_rules.rules.extend(found.field_rules.rules);
        intent.field_rules.embedded |= found.field_rules.embedded;
        Ok(intent)
    }

    /// The same in the form that the engine takes.
    pub fn into_source(self) -> Box<ConfigSource> {
        Box::new(move |file, hosts| {
            self.read(file, hosts).map_err(|error| -> Box<dyn Explain + Send + Sync> { Box::new(error) })
        })
    }
}

impl Config {
    /// Reads the file if there is one, then flags, then the environment for what is still open.
    pub fn load(overrides: &Overrides, environment: Environment<'_>) -> Result<Config, ConfigError> {
        let file = overrides.file.clone().or_else(|| environment("TAGALONG_CONFIG").map(PathBuf::from));
        let from_file = file.as_deref().map(|file| read_file(file, environment)).transpose()?.unwrap_or_default();
        let FileConfig { git, registries, sources, intent, secrets, agent, notify, cluster } = from_file;
        let url = match &overrides.git_url {
            Some(text) => Some(flag("--git-url", text)?),
            None => git.url,
        };
        let branch = match &overrides.branch {
            Some(text) => Some(flag("--branch", text)?),
            None => git.branch,
        };
        let paths = match overrides.paths.as_slice() {
            [] => git.paths,
            globs => path_filter(globs)?,
        };
        let home = environment("HOME").map(PathBuf::from);
        let mut ssh = git.ssh;
        ssh.key_file = overrides.ssh_key_file.clone().or(ssh.key_file);
        ssh.known_hosts_file = overrides.known_hosts_file.clone().unwrap_or(ssh.known_hosts_file);
        let ssh = with_known_hosts(ssh, home.as_deref());
        let mut https = git.https;
        https.token_file = overrides.git_token_file.clone().or(https.token_file);
        https.username = overrides.git_username.clone().or(https.username);
        let timeout = git.timeout.unwrap_or(Duration::from_secs(30));
        let default = || Person { name: "tagalong".to_owned(), email: "tagalong@localhost".to_owned() };
        let author = git.author.unwrap_or_else(default);
        let literal_hosts =
            intent.policies.rules.iter().flat_map(|rule| &rule.images).filter_map(|pattern| pattern.host());
        let allowed_hosts =
            registries.iter().map(|host| host.host.clone()).chain(literal_hosts.map(str::to_owned)).collect();
        let repo = match url {
            None => None,
            Some(url) => Some(repo::config::Config {
                url,
                branch: branch.map_or_else(default_branch, Ok)?,
                push_branch: git.push_branch,
                push_options: git.push_options,
                cache_dir: cache_dir(overrides, environment, home.as_deref())?,
                depth: git.depth.unwrap_or(USUAL_DEPTH),
                history_limit: git.history_limit.unwrap_or(USUAL_HISTORY_LIMIT),
                timeout,
                ssh,
                https,
                committer: git.committer.unwrap_or_else(|| author.clone()),
                author,
                signing: git.signing,
            }),
        };
        if let Some(repo) = repo.as_ref().filter(|repo| repo.push_branch.as_ref() == Some(&repo.branch)) {
            return Err(ConfigError::SameBranch(repo.branch.clone()));
        }
        let forge = match (&repo, git.pull_request) {
            (Some(repo), Some(section)) => section.settle(repo)?,
            _ => None,
        };
        let mut entries: Vec<SourceConfig> = sources
            .into_iter()
            .map(|entry| SourceConfig { ssh: with_known_hosts(entry.ssh.clone(), home.as_deref()), ..entry })
            .collect();
        entries.extend(repo.as_ref().and_then(SourceConfig::beside));
        // What the agent's own policies name is allowed by that.
        let named = intent.policies.rules.iter().filter_map(|rule| rule.tags.order()?.branch()?.source.as_ref());
        entries.extend(
            named.map(|url| SourceConfig::open(url.clone(), with_known_hosts(Ssh::default(), home.as_deref()))),
        );
        Ok(Config {
            sources: Sources { entries, cache_dir: cache_dir(overrides, environment, home.as_deref()).ok(), timeout },
            repo,
            forge,
            paths,
            attempts: git.attempts.unwrap_or(10).max(1),
            style: git.style,
            registry: registry::config::Config {
                hosts: registries,
                credentials_file: overrides
                    .registry_auth_file
                    .clone()
                    .or_else(|| docker_config(environment, home.as_deref())),
                cache_dir: cache_dir(overrides, environment, home.as_deref()).ok(),
                ..Default::default()
            },
            intent: IntentReader { own: intent, allowed_hosts },
            secrets: Secrets {
                keys: keys::KeySources::new(
                    environment,
                    &[secrets.age_key_files, overrides.age_key_files.clone()].concat(),
                ),
                gate: secrets.gate,
                pull_secrets: secrets.pull_secrets,
            },
            agent,
            notify,
            cluster,
        })
    }

    /// The repository, for what cannot do without.
    pub fn repo(&self) -> Result<&repo::config::Config, ConfigError> {
        self.repo.as_ref().ok_or(ConfigError::NoRepository)
    }
}

/// A path filter from `--path` flags.
pub fn path_filter(globs: &[String]) -> Result<PathFilter, ConfigError> {
    PathFilter::new(globs).map_err(|error| ConfigError::Flag { flag: "--path", reason: error.to_string() })
}

fn read_file(file: &Path, environment: Environment<'_>) -> Result<FileConfig, ConfigError> {
    let bytes = std::fs::read(file).map_err(|source| ConfigError::Unreadable { file: file.to_owned(), source })?;
    let name = file.display().to_string();
    let diagnostics = Diagnostics::of(&name);
    let config = sections::agent_file(parse(&bytes, &name)?, environment, &diagnostics);
    into_result(diagnostics)?;
    Ok(config)
}

fn into_result(diagnostics: Diagnostics) -> Result<(), ConfigError> {
    let diagnostics = diagnostics.into_list();
    if diagnostics.is_empty() { Ok(()) } else { Err(ConfigError::Diagnostics { diagnostics }) }
}

fn parse(bytes: &[u8], file: &str) -> Result<Node, ConfigError> {
    let parsed = serde_saphyr::from_slice::<Option<Node>>(bytes);
    parsed.map(|root| root.unwrap_or_else(nothing)).map_err(|error| {
        let at = error.location().map(|at| format!(":{}:{}", at.line(), at.column())).unwrap_or_default();
        // The reader's own words come with a picture of the line; the first line of them says it.
        let words = error.without_snippet().to_string();
        let text = format!("{file}{at}: {}", words.lines().next().unwrap_or_default());
        ConfigError::Diagnostics { diagnostics: vec![Diagnostic { text }] }
    })
}

fn flag<T: std::str::FromStr<Err: std::fmt::Display>>(name: &'static str, text: &str) -> Result<T, ConfigError> {
    text.parse().map_err(|error: T::Err| ConfigError::Flag { flag: name, reason: error.to_string() })
}

fn default_branch() -> Result<Branch, ConfigError> {
    flag("--branch", "main")
}

fn cache_dir(overrides: &Overrides, environment: Environment<'_>, home: Option<&Path>) -> Result<PathBuf, ConfigError> {
    let from_environment = || {
        let xdg = environment("XDG_CACHE_HOME").filter(|dir| dir.starts_with('/')).map(PathBuf::from);
        xdg.or_else(|| home.map(|home| home.join(".cache"))).map(|base| base.join("tagalong"))
    };
    overrides.cache_dir.clone().or_else(from_environment).ok_or(ConfigError::NoCacheDir)
}

fn with_known_hosts(mut ssh: Ssh, home: Option<&Path>) -> Ssh {
    if ssh.known_hosts_file.as_os_str().is_empty() {
        ssh.known_hosts_file = home.unwrap_or(Path::new("")).join(".ssh/known_hosts");
    }
    ssh
}

/// Where credentials for registries are looked for: REGISTRY_AUTH_FILE, then Docker's own place if there is a file.
fn docker_config(environment: Environment<'_>, home: Option<&Path>) -> Option<PathBuf> {
    if let Some(file) = environment("REGISTRY_AUTH_FILE") {
        return Some(PathBuf::from(file));
    }
    let folder = environment("DOCKER_CONFIG").map(PathBuf::from).or_else(|| home.map(|home| home.join(".docker")));
    folder.map(|folder| folder.join("config.json")).filter(|file| file.exists())
}

#[cfg(test)]
mod tests {
    use crate::notify::config::Service;
    use crate::notify::event::Kind;

    use super::*;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        let overrides = Overrides { file: Some(file.path().to_owned()), ..Overrides::default() };
        Config::load(&overrides, &|name| (name == "HOME").then(|| "/home/me".to_owned()))
    }

    /// The diagnostics without the name of the file.
    fn diagnostics(text: &str) -> Vec<String> {
        match load(text) {
            Err(ConfigError::Diagnostics { diagnostics }) => {
                diagnostics.iter().map(|m| m.text.split_once(':').expect("a place").1.to_owned()).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    const WHOLE: &str = r#"
git:
  url: ssh://git@gitea.d-ma.be/mathias/infra.git
  branch: main
  paths: ["apps/**", "clusters/**"]
  author: { name: CD Bot, email: cd-bot@d-ma.be }
  ssh: { keyFile: /etc/tagalong/git/identity, knownHostsFile: /etc/tagalong/git/known_hosts }
registries:
  - host: gitea.d-ma.be
    credentialsFile: /etc/tagalong/registry/.dockerconfigjson
  - host: 127.0.0.1:5000
    plainHttp: true
policies:
  - images: ["gitea.d-ma.be/mathias/*"]
    tags: { sha: { order: built } }
  - images: ["ghcr.io/acme/*"]
    tags: { semver: "^1.4" }
    pin: digest
  - images: [nginx]
    tags: { numerical: { order: desc, pattern: '^b-(?P<n>\d+)$', extract: $n } }
agent:
  interval: 30s
  listen: off
  suspend: true
  deadline: 5m
  grace: 50s
  commitUrl: https://git.example.com/infra/commit/{sha}
"#;

    #[test]
    fn a_whole_file_is_understood() {
        let config = load(WHOLE).expect("valid");
        let repo = config.repo().expect("a repository");
        assert_eq!(repo.branch.as_str(), "main");
        assert_eq!(repo.committer.name, "CD Bot");
        assert_eq!(repo.cache_dir, Path::new("/home/me/.cache/tagalong"));
        assert_eq!(config.registry.hosts.len(), 2);
        assert!(config.registry.hosts[1].plain_http && !config.registry.hosts[0].plain_http);
        assert_eq!(config.intent.own.policies.rules.len(), 3);
        assert!(config.intent.own.policies.rules[1].pin);
        assert_eq!(config.agent.interval.as_secs(), 30);
        assert_eq!((config.agent.listen, config.agent.suspend), (None, true));
        assert_eq!((config.agent.deadline.as_secs(), config.agent.grace.as_secs()), (300, 50));
        assert!(config.agent.commit_link.is_some_and(|link| link.to("1a").ends_with("/infra/commit/1a")));
        assert_eq!(load("agent: {listen: '127.0.0.1:0'}").expect("valid").agent.listen.expect("on").port(), 0);
        assert!(diagnostics("agent: {listen: 8080}")[0].contains("agent.listen: a text is needed"));
        assert!(diagnostics("agent: {listen: 'x:1'}")[0].contains("0.0.0.0:8080, or off"));
        assert!(config.intent.allowed_hosts.contains("ghcr.io") && config.intent.allowed_hosts.contains("docker.io"));
        assert!(config.paths.wants("apps/x.yaml") && !config.paths.wants("x.yaml"));
    }

    #[test]
    fn every_mistake_is_said_at_once_with_its_place() {
        let text = "git:\n  url: nonsense\n  brnch: main\n  depth: many\npolicies:\n  - images: [ghcr.io/a:v1]\n    tags: { sha: { pattern: x } }\nagent:\n  interval: 30\nregistrys: []\n";
        let said = diagnostics(text);
        let expect = [
            "2:8: git.url: not a URL",
            "4:10: git.depth: a whole number is needed, not a text",
            "3:3: git.brnch: unknown key; did you mean `branch`?",
            "6:14: policies[0].images: `ghcr.io/a:v1` is no pattern",
            "6:5: policies[0]: `images` is needed",
            "7:29: policies[0].tags.sha.pattern: `x` needs a group named sha",
            "9:13: agent.interval: a text is needed",
            "10:1: registrys: unknown key; there are git, registries, sources, policies, fields, embedded, secrets, agent, notify, cluster",
        ];
        for (said, expected) in said.iter().zip(expect) {
            assert!(said.starts_with(expected), "{said} is not {expected}");
        }
        assert_eq!(said.len(), expect.len(), "{said:#?}");
    }

    #[test]
    fn secrets_are_read_and_their_mistakes_said() {
        let secrets = |text: &str| load(&format!("secrets: {{ {text} }}\n")).expect("valid").secrets;
        assert_eq!((secrets("").gate, secrets("").pull_secrets), (Strictness::Block, PullSecrets::Check));
        assert_eq!((secrets("gate: off").gate, secrets("gate: 'off'").gate), (Strictness::Off, Strictness::Off));
        assert_eq!(secrets("pullSecrets: off").pull_secrets, PullSecrets::Off);
        let both = secrets("gate: warn, pullSecrets: probe");
        assert_eq!((both.gate, both.pull_secrets), (Strictness::Warn, PullSecrets::Probe));
        let said =
            diagnostics("secrets:\n  ageKeyFiles: ['', 5]\n  gate: true\n  pullSecrets: ping\n  ageKeyFile: /x\n");
        let expect = [
            "2:17: secrets.ageKeyFiles: a path is needed",
            "2:21: secrets.ageKeyFiles: a text is needed",
            "3:9: secrets.gate: a text is needed (in quotes if need be), not ",
            "4:16: secrets.pullSecrets: `ping` is not known; there are check, probe and off",
            "5:3: secrets.ageKeyFile: unknown key; did you mean `ageKeyFiles`?",
        ];
        for (said, expected) in said.iter().zip(expect) {
            assert!(said.starts_with(expected), "{said} is not {expected}");
        }
        assert_eq!(said.len(), expect.len(), "{said:#?}");
        assert!(
            diagnostics("secrets: { gate: shut }\n")[0].contains("`shut` is not known; there are block, warn and off")
        );
        assert!(diagnostics("secrets: [a]\n")[0].contains("a mapping is needed, not a list"));
    }

    #[test]
    fn channels_take_their_secrets_from_files_and_the_environment_alone() {
        let text = "notify:\n- slack: {urlEnv: HOME}\n- name: ops\n  matrix: {server: 'https://m.example', room: '!r:m.example', tokenFile: /t}\n  events: [blocked, failed]\n- gitea: {server: 'https://g.example/', repository: o/infra, tokenFile: /t}\n";
        let channels = load(text).expect("valid").notify;
        assert_eq!(channels.iter().map(|channel| channel.name.as_str()).collect::<Vec<_>>(), ["slack", "ops", "gitea"]);
        assert_eq!((channels[0].kinds.len(), channels[1].kinds.len()), (Kind::ALL.len(), 2));
        assert!(!format!("{channels:?}").contains("/home/me"), "a URL from the environment is shown");
        let Service::Gitea(forge) = &channels[2].service else { panic!("{channels:?}") };
        assert_eq!(forge.api.as_str(), "https://g.example/api/v1");
        let wrong = "notify:\n- slack: {url: 'https://x'}\n- teams: {urlEnv: NOWHERE}\n  events: [update]\n- webhook: {urlFile: /u, template: '{{ titel }}'}\n  slack: {urlFile: /u}\n- matrix: {server: 'https://u:sesame@m', room: '#a:m', tokenFile: /t}\n- github: {repository: infra, tokenFile: /t, tokenEnv: HOME}\n";
        let said = diagnostics(wrong);
        for part in [
            "notify[0].slack: one of urlFile and urlEnv is needed",
            "notify[0].slack.url: unknown key",
            "notify[1].teams.urlEnv: the environment has no NOWHERE",
            "notify[1].events: `update` is no event; there are updated, blocked",
            "notify[2]: exactly one of slack, discord",
            "notify[2].webhook.template: line 1: ",
            "notify[3].matrix.server: write a URL such as",
            "notify[3].matrix.room: a room's id is needed",
            "notify[4].github.repository: `infra` is no owner/name",
            "notify[4].github: one of tokenFile and tokenEnv is needed",
        ] {
            assert!(said.iter().any(|said| said.contains(part)), "{part} is not in {said:#?}");
        }
        assert!(!said.iter().any(|said| said.contains("sesame")), "{said:#?}");
    }

    #[test]
    fn proposals_are_read_and_their_mistakes_said() {
        let git = |url: &str, text: &str| load(&format!("git: {{ url: '{url}', {text} }}\n"));
        let request = "pushBranch: bot/updates, pushOptions: [ci.skip], pullRequest: { tokenFile: /t, labels: [a b] }";
        let config = git("git@github.com:acme/infra.git", request).expect("valid");
        let repo = config.repo().expect("a repository");
        assert_eq!(repo.push_branch.as_ref().map(Branch::as_str), Some("bot/updates"));
        assert_eq!(repo.push_options, ["ci.skip"]);
        let forge = config.forge.expect("a forge");
        assert_eq!(
            (forge.head.as_str(), forge.base.as_str(), forge.labels),
            ("bot/updates", "main", vec!["a b".into()])
        );
        assert_eq!((forge.repository.as_str(), forge.api.host()), ("acme/infra", "api.github.com"));
        let refused = |url: &str, text: &str| git(url, text).expect_err("refused").to_string();
        let untold = refused("git@git.example.com:acme/infra.git", request);
        assert!(untold.contains("give git.pullRequest.forge: gitea, github or gitlab"), "{untold}");
        assert!(refused("/srv/infra.git", request).contains("a path on this machine"));
        assert!(refused("/srv/infra.git", "pushBranch: main").contains("are both main"));
        let said = diagnostics(
            "git:\n  pushOptions: ['']\n  pullRequest: { forge: bitbucket, url: 'http://git.example.com', labels: ['a,b'] }\n",
        );
        for expected in [
            "git.pushOptions: a push option is one line of text",
            "`bitbucket` is not known; there are gitea, github and gitlab",
            "git.pullRequest.url: the token would travel in clear text; use https",
            "git.pullRequest.labels: a label is a text without commas",
            "git.pullRequest: `tokenFile` is needed",
        ] {
            assert!(said.iter().any(|said| said.contains(expected)), "{said:#?} lacks {expected}");
        }
        let alone = diagnostics("git: { pullRequest: { tokenFile: /t } }\n");
        assert!(alone[0].contains("`pullRequest` needs `pushBranch`"), "{alone:?}");
    }

    #[test]
    fn the_cluster_is_read_and_its_mistakes_said() {
        let cluster = |text: &str| load(&format!("cluster: {{ {text} }}\n")).expect("valid").cluster;
        assert_eq!(load("").expect("valid").cluster, cluster::config::Config::default());
        let election = cluster("leaderElection: {}").election.expect("an election");
        assert_eq!((election.lease.as_str(), election.namespace.as_ref()), ("tagalong", None));
        assert!(!election.identity.is_empty() && election.timing == cluster::config::ElectionTiming::default());
        let flux = cluster("flux: { gitRepository: { name: infra, namespace: flux }, timeout: 5m }").flux;
        let flux = flux.expect("Flux");
        assert_eq!((flux.source.to_string().as_str(), flux.timeout.as_secs()), ("flux/infra", 300));
        assert_eq!(flux.namespaces.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["flux"]);
        let wrong = "cluster:\n  leaderElection: { lease: ../x, leaseDuration: 5s, retryPeriod: soon }\n  flux:\n    gitRepository: { namespace: Flux }\n    namespaces: [a/b]\n    receiver: { url: 'https://x/hook/sesame' }\n    timeout: 0s\n";
        let said = diagnostics(wrong);
        for part in [
            "cluster.leaderElection.lease: a name of Kubernetes is needed",
            "cluster.leaderElection.retryPeriod: `soon` is no duration",
            "cluster.leaderElection: leaseDuration has to be longer than renewDeadline",
            "cluster.flux.gitRepository.namespace: a name of Kubernetes is needed",
            "cluster.flux: `gitRepository` is needed",
            "cluster.flux.namespaces: a name of Kubernetes is needed",
            "cluster.flux.receiver: `urlFile` is needed",
            "cluster.flux.receiver.url: unknown key",
            "cluster.flux.timeout: `0s` is no duration",
        ] {
            assert!(said.iter().any(|said| said.contains(part)), "{part} is not in {said:#?}");
        }
        assert_eq!(said.len(), 9, "{said:#?}");
        assert!(!said.iter().any(|said| said.contains("sesame")), "{said:#?}");
        assert!(diagnostics("cluster: {}\n")[0].contains("one of `leaderElection` and `flux` is needed"));
    }

    #[test]
    fn what_is_no_yaml_is_said_with_its_place() {
        assert!(diagnostics("git: [\n")[0].contains(':'), "{:?}", diagnostics("git: [\n"));
        assert!(diagnostics("- a\n")[0].contains("a mapping is needed, not a list"));
        assert!(
            diagnostics("git: {url: /x}\ngit: {url: /y}\n")[0].starts_with("2:1"),
            "{:?}",
            diagnostics("git: {url: /x}\ngit: {url: /y}\n")
        );
        assert!(matches!(load("").expect("valid").repo(), Err(ConfigError::NoRepository)));
    }

    #[test]
    fn the_repository_may_name_policies_for_allowed_hosts_only() {
        let config = load(WHOLE).expect("valid");
        let good = b"policies:\n- images: [ghcr.io/other/*]\n  tags: { sha: {} }\n";
        assert_eq!(config.intent.read(Some(good), Hosts::Allowed).expect("allowed").policies.rules.len(), 4);
        let refused =
            |text: &str| config.intent.read(Some(text.as_bytes()), Hosts::Allowed).expect_err("refused").to_string();
        assert!(
            refused("policies:\n- images: [evil.example.com/*]\n  tags: { sha: {} }\n")
                .contains("evil.example.com is not allowed")
        );
        assert!(refused("policies:\n- images: ['**']\n  tags: { sha: {} }\n").contains("spell out its host"));
        assert!(
            refused("registries:\n- host: evil.example.com\n").contains("only `policies`, `fields` and `embedded` may")
        );
        let any = b"policies:\n- images: [other.example.com/*]\n  tags: { sha: {} }\nfields:\n- {file: a.yaml, path: tag, image: nginx}\n";
        assert_eq!(config.intent.read(Some(any), Hosts::Any).expect("any host").field_rules.rules.len(), 1);
    }

    #[test]
    fn flags_alone_are_enough_and_win() {
        let overrides = Overrides { git_url: Some("/srv/infra.git".to_owned()), ..Overrides::default() };
        let environment = |name: &str| (name == "XDG_CACHE_HOME").then(|| "/cache".to_owned());
        let config = Config::load(&overrides, &environment).expect("valid");
        let repo = config.repo().expect("a repository");
        assert_eq!(repo.cache_dir, Path::new("/cache/tagalong"));
        assert_eq!((repo.branch.as_str(), config.attempts, repo.depth), ("main", 10, 200));
        let bad = Overrides { branch: Some("a..b".to_owned()), ..overrides };
        assert_eq!(
            Config::load(&bad, &environment).expect_err("refused").to_string(),
            "--branch: `a..b` is no name of a branch"
        );
    }
}

//! The complete configuration, from file, flags and environment.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::agent;
use crate::cluster;
use crate::cycle::secrets::verify::{PullSecrets, Strictness};
use crate::cycle::write::commits::Style;
use crate::forge;
use crate::forge::config::UnknownForge;
use crate::identity::environment::Environment as Variables;
use crate::identity::issuer::Issuer;
use crate::keys;
use crate::manifest::paths::PathFilter;
use crate::notify::config::Channel;
use crate::plan::tree_config::TreeConfig;
use crate::registry;
use crate::registry::config::HostConfig;
use crate::repo;
use crate::repo::config::Ssh;
use crate::repo::source::{SourceConfig, Sources};

use super::agent_file::{self, FileConfig};
use super::defaults::{cache_dir, docker_config, with_known_hosts};
use super::diagnostics::Diagnostics;
use super::document;
use super::error::ConfigError;
use super::infrastructure::{TIMEOUT, repository};
use super::overrides::Overrides;
use super::reader::Environment;
use super::repository_file::{FileHash, TreeConfigReader, hash};
use super::sections::identity::{IdentityKeys, Unusable, with_identity};

/// The configuration file, unless another one is named.
const HERE: &str = "tagalong.yaml";
/// The number of attempts to push, unless configured.
const ATTEMPTS: u32 = 10;

/// Everything that can be configured.
#[derive(Debug)]
pub struct Config {
    /// The repository, if one is configured.
    pub repo: Option<repo::config::Config>,
    /// The forge at which pull requests are opened, if they are.
    pub forge: Option<forge::config::Config>,
    /// The forge that hosts the repository, for the checks and approvals of stages.
    pub host: Option<forge::config::Config>,
    /// The files of the repository to work on.
    pub paths: PathFilter,
    /// The number of attempts to push.
    pub attempts: u32,
    /// The style of commits.
    pub style: Style,
    /// The registries.
    pub registry: registry::config::Config,
    /// The source repositories of images.
    pub sources: Sources,
    /// The agent's policies and fields, and those that a repository may add.
    pub tree_config: TreeConfigReader,
    /// Keys, and checks of secrets.
    pub secrets: Secrets,
    /// The agent.
    pub agent: agent::config::Config,
    /// The notification channels.
    pub notify: Vec<Channel>,
    /// Settings for leader election and Flux.
    pub cluster: cluster::config::Config,
}

/// Keys, and checks of secrets.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// The sources of age identities.
    pub keys: keys::KeySources,
    /// The consequence of broken secrets for a field.
    pub gate: Strictness,
    /// The checks of pull secrets.
    pub pull_secrets: PullSecrets,
}

impl Config {
    /// Reads the file if there is one, then applies flags, and the environment for what is still unset.
    pub fn load(overrides: &Overrides, environment: Environment<'_>) -> Result<Config, ConfigError> {
        let file = overrides.file.clone().or_else(|| environment("TAGALONG_CONFIG").map(PathBuf::from));
        let file = file.or_else(|| Some(PathBuf::from(HERE)).filter(|here| here.is_file()));
        let from_file = file.as_deref().map(|file| read_file(file, environment)).transpose()?;
        let (from_file, own_file) = from_file.map_or_else(Default::default, |(config, hash)| (config, Some(hash)));
        let FileConfig { mut git, registries, sources, tree_config, secrets, trust, agent, notify, cluster } =
            from_file;
        let home = environment("HOME").map(PathBuf::from);
        let cache_dir = cache_dir(overrides, environment, home.as_deref());
        let timeout = git.timeout.unwrap_or(TIMEOUT);
        let paths = match overrides.paths.as_slice() {
            [] => std::mem::take(&mut git.paths),
            globs => path_filter(globs)?,
        };
        let (attempts, style) = (git.attempts.unwrap_or(ATTEMPTS).max(1), std::mem::take(&mut git.style));
        let (pull_request, host, identity) = (git.pull_request.take(), git.forge.take(), git.identity.take());
        let mut repo = repository(git, trust, overrides, cache_dir.as_deref(), home.as_deref())?;
        let variables = Variables::read(environment);
        let issuer = match (&mut repo, identity) {
            (Some(repo), Some(identity)) => match use_identity(repo, identity, &variables) {
                // A clone of the repository can be looked at without its forge.
                Err(Unusable::Url(UnknownForge::Local)) => None,
                settled => Some(settled.map_err(ConfigError::GitIdentity)?),
            },
            _ => None,
        };
        let forge = match (&repo, pull_request) {
            (Some(repo), Some(section)) => section.settle(repo, issuer.as_ref())?,
            _ => None,
        };
        let host = match (&repo, host) {
            (Some(repo), Some(access)) => match access.settle(repo, issuer.as_ref()) {
                // A clone of the repository can be looked at without its forge.
                Err(UnknownForge::Local) => None,
                settled => Some(settled.map_err(ConfigError::Host)?),
            },
            _ => forge.clone(),
        };
        let sources =
            sources.into_iter().map(|source| source.settle(timeout, &variables).map_err(ConfigError::SourceIdentity));
        let sources = sources.collect::<Result<Vec<SourceConfig>, ConfigError>>()?;
        let entries = source_entries(sources, repo.as_ref(), &tree_config, home.as_deref());
        let credentials_file = overrides.registry_auth_file.clone();
        let age_key_files = [secrets.age_key_files, overrides.age_key_files.clone()].concat();
        Ok(Config {
            sources: Sources { entries, cache_dir: cache_dir.clone(), timeout },
            repo,
            forge,
            host,
            paths,
            attempts,
            style,
            tree_config: TreeConfigReader {
                allowed_hosts: allowed_hosts(&registries, &tree_config),
                own: tree_config,
                own_file,
            },
            registry: registry::config::Config {
                hosts: registries,
                credentials_file: credentials_file.or_else(|| docker_config(environment, home.as_deref())),
                cache_dir,
                environment: variables,
                ..Default::default()
            },
            secrets: Secrets {
                keys: keys::KeySources::new(environment, &age_key_files),
                gate: secrets.gate,
                pull_secrets: secrets.pull_secrets,
            },
            agent,
            notify,
            cluster,
        })
    }

    /// Returns the repository, for commands that cannot do without.
    pub fn repo(&self) -> Result<&repo::config::Config, ConfigError> {
        self.repo.as_ref().ok_or(ConfigError::NoRepository)
    }
}

/// Makes the repository use an identity, unless a flag names a token.
fn use_identity(
    repo: &mut repo::config::Config,
    identity: IdentityKeys,
    variables: &Variables,
) -> Result<Issuer, Unusable> {
    let issuer = identity.settle(&repo.url, &repo.https, repo.timeout, variables)?;
    repo.https = with_identity(std::mem::take(&mut repo.https), Some(&issuer));
    Ok(issuer)
}

/// The repositories whose history may be read: those of the section `sources`, those next to the infrastructure
/// repository, and those that the agent's own policies name.
fn source_entries(
    sources: Vec<SourceConfig>,
    repo: Option<&repo::config::Config>,
    tree_config: &TreeConfig,
    home: Option<&Path>,
) -> Vec<SourceConfig> {
    let configured =
        sources.into_iter().map(|entry| SourceConfig { ssh: with_known_hosts(entry.ssh.clone(), home), ..entry });
    let named = tree_config.policies.rules.iter().filter_map(|rule| rule.tags.order()?.branch()?.source.as_ref());
    let named = named.map(|url| SourceConfig::open(url.clone(), with_known_hosts(Ssh::default(), home)));
    configured.chain(repo.and_then(SourceConfig::beside)).chain(named).collect()
}

/// The hosts that policies in the repository may refer to: those under `registries`, and those that the agent's own
/// policies name.
fn allowed_hosts(registries: &[HostConfig], tree_config: &TreeConfig) -> BTreeSet<String> {
    let literal = tree_config.policies.rules.iter().flat_map(|rule| &rule.images).filter_map(|pattern| pattern.host());
    registries.iter().map(|host| host.host.clone()).chain(literal.map(str::to_owned)).collect()
}

/// Returns the path filter of `--path` flags.
pub fn path_filter(globs: &[String]) -> Result<PathFilter, ConfigError> {
    PathFilter::new(globs).map_err(|error| ConfigError::Flag { flag: "--path", reason: error.to_string() })
}

/// Reads the agent's own file, and returns its hash with it.
fn read_file(file: &Path, environment: Environment<'_>) -> Result<(FileConfig, FileHash), ConfigError> {
    let bytes = std::fs::read(file).map_err(|source| ConfigError::Unreadable { file: file.to_owned(), source })?;
    let name = file.display().to_string();
    let root = document::parse(&bytes, &name).map_err(|error| ConfigError::Invalid(vec![error]))?;
    let diagnostics = Diagnostics::of(&name);
    let config = agent_file::read(root, environment, &diagnostics);
    diagnostics.into_result().map_err(ConfigError::Invalid)?;
    Ok((config, hash(&bytes)))
}

#[cfg(test)]
mod tests {
    use crate::fault::Explain;
    use crate::forge::config::Kind;
    use crate::identity::token_source::TokenSource;
    use crate::repo::config::Branch;

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
            Err(ConfigError::Invalid(diagnostics)) => {
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
        assert_eq!(config.tree_config.own.policies.rules.len(), 3);
        assert!(config.tree_config.own.policies.rules[1].pin);
        assert_eq!(config.agent.interval.as_secs(), 30);
        assert_eq!((config.agent.listen, config.agent.suspend), (None, true));
        assert_eq!((config.agent.deadline.as_secs(), config.agent.grace.as_secs()), (300, 50));
        assert!(config.agent.commit_link.is_some_and(|link| link.to("1a").ends_with("/infra/commit/1a")));
        assert_eq!(load("agent: {listen: '127.0.0.1:0'}").expect("valid").agent.listen.expect("on").port(), 0);
        assert!(
            diagnostics("agent: {listen: 8080}")[0]
                .contains("agent.listen: expected a string, found a number; quote it")
        );
        assert!(diagnostics("agent: {listen: 'x:1'}")[0].contains("0.0.0.0:8080, or off"));
        assert!(
            config.tree_config.allowed_hosts.contains("ghcr.io")
                && config.tree_config.allowed_hosts.contains("docker.io")
        );
        assert!(config.paths.wants("apps/x.yaml") && !config.paths.wants("x.yaml"));
    }

    #[test]
    fn every_mistake_is_said_at_once_with_its_place() {
        let text = "git:\n  url: nonsense\n  brnch: main\n  depth: many\npolicies:\n  - images: [ghcr.io/a:v1]\n    tags: { sha: { pattern: x } }\nagent:\n  interval: 30\nregistrys: []\n";
        let found = diagnostics(text);
        let expect = [
            "2:8: git.url: not a URL",
            "3:3: git.brnch: unknown key; did you mean `branch`?",
            "4:10: git.depth: expected a whole number, found a string",
            "6:14: policies[0].images: `ghcr.io/a:v1` is not a valid image pattern",
            "7:29: policies[0].tags.sha.pattern: `x` needs a group named sha",
            "9:13: agent.interval: `30` has no unit; write `30s` if it is meant in seconds",
            "10:1: registrys: unknown key; did you mean `registries`?",
        ];
        for (error, expected) in found.iter().zip(expect) {
            assert!(error.starts_with(expected), "{error} is not {expected}");
        }
        assert_eq!(found.len(), expect.len(), "{found:#?}");
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
        let help = |text: &str| git("git@git.example.com:acme/infra.git", text).expect_err("unknown").help();
        assert_eq!(
            help(request).as_deref(),
            Some("set git.pullRequest.forge to gitea, github, gitlab, bitbucket, bitbucket-datacenter or azure-devops")
        );
        assert_eq!(
            help("forge: { tokenFile: /t }").as_deref(),
            Some("set git.forge.kind to gitea, github, gitlab, bitbucket, bitbucket-datacenter or azure-devops")
        );
        assert!(refused("/srv/infra.git", request).contains("a local path"));
        let labelled = git("git@bitbucket.org:acme/infra.git", request).expect_err("labels");
        assert_eq!(labelled.to_string(), "git.pullRequest: Bitbucket has no labels for pull requests");
        assert_eq!(labelled.help().as_deref(), Some("remove git.pullRequest.labels"));
        assert!(refused("/srv/infra.git", "pushBranch: main").contains("are both `main`"));
        let found = diagnostics(
            "git:\n  pushOptions: ['']\n  pullRequest: { forge: gerrit, url: 'http://git.example.com', labels: ['a,b'] }\n",
        );
        for expected in [
            "git.pushOptions: a push option must be a single line",
            "invalid value `gerrit`; expected gitea, github, gitlab, bitbucket, bitbucket-datacenter or azure-devops",
            "git.pullRequest.url: the token would be sent in clear text; use https",
            "git.pullRequest.labels: a label must not be empty or contain commas",
            "git.pullRequest: `tokenFile` is required",
        ] {
            assert!(found.iter().any(|error| error.contains(expected)), "{found:#?} lacks {expected}");
        }
        let alone = diagnostics("git: { pullRequest: { tokenFile: /t } }\n");
        assert!(alone[0].contains("`pullRequest` requires `pushBranch`"), "{alone:?}");
    }

    #[test]
    fn the_forge_of_the_repository_is_its_own_or_that_of_proposals() {
        let git = |url: &str, text: &str| load(&format!("git: {{ url: '{url}', {text} }}\n")).expect("valid");
        let remote = "git@git.example.com:acme/infra.git";
        let own = "forge: { kind: gitea, url: 'https://api.example.com', tokenFile: /own }";
        let config = git(remote, own);
        let host = config.host.expect("a forge");
        assert_eq!(
            (host.kind, host.api.host(), host.token),
            (Kind::Gitea, "api.example.com", TokenSource::File(PathBuf::from("/own")))
        );
        assert!(config.forge.is_none(), "nothing is proposed");
        let request = "pushBranch: bot/updates, pullRequest: { forge: gitlab, tokenFile: /t }";
        assert_eq!(git(remote, request).host.map(|host| host.kind), Some(Kind::GitLab));
        let both = git(remote, &format!("{own}, {request}"));
        assert_eq!(
            (both.host.map(|host| host.kind), both.forge.map(|forge| forge.kind)),
            (Some(Kind::Gitea), Some(Kind::GitLab))
        );
        // A clone on this machine has none.
        assert!(git("/srv/infra.git", own).host.is_none() && git(remote, "depth: 1").host.is_none());
        let found = diagnostics("git: { forge: { kind: gerrit, labels: [a] } }\n");
        for expected in
            ["invalid value `gerrit`", "git.forge.labels: unknown key", "git.forge: `tokenFile` is required"]
        {
            assert!(found.iter().any(|error| error.contains(expected)), "{found:#?} lacks {expected}");
        }
    }

    #[test]
    fn requirements_of_proof_are_read_and_their_mistakes_said() {
        let policy = |more: &str| format!("policies:\n- images: [ghcr.io/acme/*]\n  tags: {{ sha: {{}} }}\n{more}");
        let keyless = "  signed: { keyless: [{ issuer: 'https://i', subject: '/https://s/.*/' }], trustedRoot: /root.json, transparency: ignore }\n";
        let vuln = "  attestations: [{ type: vuln, maxSeverity: high, allow: [CVE-1], conditions: [{ path: a.b, value: c }] }]\n";
        let config = load(&policy(&format!("{keyless}{vuln}"))).expect("valid");
        let origin = config.tree_config.own.policies.rules[0].origin.clone().expect("a requirement");
        assert_eq!((origin.need, origin.signers.count(), origin.attestations.len()), (1, 1, 1));
        for (text, expected) in [
            ("  signed:\n", "`signed` is empty; it needs `keys` or `keyless`"),
            ("  signed: {}\n", "`keys` or `keyless` is required"),
            ("  signed: { keys: [/a.pub] }\n", "`trustedRoot` is required to verify transparency logs"),
            (
                "  signed: { keyless: [{ issuer: a, subject: b }], transparency: ignore }\n",
                "to verify the certificates",
            ),
            (
                "  signed: { keys: [/a.pub], transparency: ignore, need: 2 }\n",
                "between 1 and the number of signers, which is 1",
            ),
            ("  signed: { keys: [/a.pub], transparency: ignore, need: 0 }\n", "`need` must be between 1"),
            ("  signed: { keyless: [{ issuer: a }], trustedRoot: /r }\n", "`issuer` and `subject` are required"),
            (
                "  signed: { keyless: [{ issuer: a, subject: '/(/' }], trustedRoot: /r }\n",
                "the pattern `(` is not valid",
            ),
            ("  attestations: [{ type: vuln }]\n", "`attestations` require `signed`"),
        ] {
            let found = diagnostics(&policy(text));
            assert!(found.iter().any(|error| error.contains(expected)), "{text}: {found:#?}");
        }
        let signed = "  signed: { keys: [/a.pub], transparency: ignore }\n";
        for (text, expected) in [
            ("type: provenance", "`provenance` is not a type of attestation"),
            ("builder: x", "`type` is required"),
            ("type: vuln, builder: x", "`builder` is for provenance"),
            ("type: spdx, maxSeverity: low", "`maxSeverity` is for `type: vuln`"),
            ("type: vuln, maxSeverity: bad", "`bad` is not a severity"),
            ("type: vuln, allow: [CVE-1]", "`allow` requires `maxSeverity`"),
            ("type: spdx, conditions: [{ path: a }]", "`path` and `value` are required"),
            (
                "type: spdx, keyless: [{ issuer: a, subject: b }]",
                "`trustedRoot` is required to verify the certificates",
            ),
        ] {
            let found = diagnostics(&policy(&format!("{signed}  attestations: [{{ {text} }}]\n")));
            assert!(found.iter().any(|error| error.contains(expected)), "{text}: {found:#?}");
        }
    }

    #[test]
    fn what_is_no_yaml_is_said_with_its_place() {
        assert!(diagnostics("git: [\n")[0].contains(':'), "{:?}", diagnostics("git: [\n"));
        assert!(diagnostics("- a\n")[0].contains("expected a mapping, found a list"));
        assert!(
            diagnostics("git: {url: /x}\ngit: {url: /y}\n")[0].starts_with("2:1"),
            "{:?}",
            diagnostics("git: {url: /x}\ngit: {url: /y}\n")
        );
        assert!(matches!(load("").expect("valid").repo(), Err(ConfigError::NoRepository)));
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
            "--branch: `a..b` is not a valid branch name"
        );
    }
}

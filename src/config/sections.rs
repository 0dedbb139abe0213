//! What each section of `tagalong.yaml` means.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::agent;
use crate::cluster;
use crate::cycle::secrets::verify::{PullSecrets, Strictness};
use crate::cycle::write::commits::Style;
use crate::manifest::field_rules::{FieldRule, FieldRules};
use crate::manifest::paths::PathFilter;
use crate::notify::config::Channel;
use crate::plan::batch::Batch;
use crate::plan::template::Template;
use crate::plan::tree_config::TreeConfig;
use crate::platform::PlatformError;
use crate::policy::order::{Order, SourceBranch};
use crate::policy::range::Range;
use crate::policy::rule::{INSPECT_LIMIT, ImagePattern, PolicySet, Rule};
use crate::policy::tag_patterns::{TagPattern, TagPatterns};
use crate::policy::tags::{Filter, ShaForm, TagRule};
use crate::registry::config::{Api, HostConfig};
use crate::repo::config::{Branch, Https, Person, Signing, SigningKeyFile, Ssh};
use crate::repo::known_hosts::FingerprintError;
use crate::repo::source::SourceConfig;
use crate::secret::SafeUrl;

use super::agent_section;
use super::cluster_section;
use super::document::Node;
use super::notify_section;
use super::pull_request::{self, PullRequest};
use super::reader::{Diagnostics, Environment, Section, TextOrSection};

/// What a file says, before flags and environment.
#[derive(Debug, Default)]
pub struct FileConfig {
    /// The section `git`.
    pub git: GitSection,
    /// The section `registries`.
    pub registries: Vec<HostConfig>,
    /// The section `sources`.
    pub sources: Vec<SourceConfig>,
    /// The sections `policies`, `fields` and `embedded`.
    pub intent: TreeConfig,
    /// The section `secrets`.
    pub secrets: SecretsSection,
    /// The section `agent`.
    pub agent: agent::config::Config,
    /// The section `notify`.
    pub notify: Vec<Channel>,
    /// The section `cluster`.
    pub cluster: cluster::config::Config,
}

/// The section `secrets`.
#[derive(Debug, Default)]
pub struct SecretsSection {
    /// `ageKeyFiles`.
    pub age_key_files: Vec<PathBuf>,
    /// `gate`.
    pub gate: Strictness,
    /// `pullSecrets`.
    pub pull_secrets: PullSecrets,
}

/// The section `git`.
#[derive(Debug, Default)]
pub struct GitSection {
    /// `url`.
    pub url: Option<SafeUrl>,
    /// `branch`.
    pub branch: Option<Branch>,
    /// `paths`.
    pub paths: PathFilter,
    /// `depth`.
    pub depth: Option<u32>,
    /// `historyLimit`.
    pub history_limit: Option<u32>,
    /// `timeout`.
    pub timeout: Option<Duration>,
    /// `attempts`.
    pub attempts: Option<u32>,
    /// `author`.
    pub author: Option<Person>,
    /// `committer`.
    pub committer: Option<Person>,
    /// `ssh`; without `knownHostsFile` its path is empty.
    pub ssh: Ssh,
    /// `https`.
    pub https: Https,
    /// `signing`.
    pub signing: Option<Signing>,
    /// `message`, `batch`, and the title of pull requests.
    pub style: Style,
    /// `pushBranch`.
    pub push_branch: Option<Branch>,
    /// `pushOptions`.
    pub push_options: Vec<String>,
    /// `pullRequest`.
    pub pull_request: Option<PullRequest>,
}

/// Reads the agent's own file.
pub fn agent_file(root: Node, environment: Environment<'_>, diagnostics: &Diagnostics) -> FileConfig {
    let mut root = Section::new("", root, diagnostics);
    let config = FileConfig {
        git: root.section("git").map(git).unwrap_or_default(),
        registries: registries(&mut root),
        sources: sources(&mut root),
        intent: intent(&mut root),
        secrets: root.section("secrets").map(secrets).unwrap_or_default(),
        agent: root.section("agent").map(agent_section::read).unwrap_or_default(),
        notify: notify_section::read(root.sections("notify"), environment),
        cluster: root.section("cluster").map(|section| cluster_section::read(section, environment)).unwrap_or_default(),
    };
    root.finish();
    config
}

/// Reads `tagalong.yaml` at the root of the infrastructure repository. It holds policies, and what counts as an image
/// field, and nothing else; and policies may concern only hosts that the agent's own file allows, so that nobody who can write to the repository can send the
/// agent, or its credentials, elsewhere. Without `allowed_hosts` any host will do.
pub fn repository_file(root: Node, allowed_hosts: Option<&BTreeSet<String>>, diagnostics: &Diagnostics) -> TreeConfig {
    let mut root = Section::new("", root, diagnostics);
    for key in ["git", "registries", "sources", "agent", "secrets", "notify", "cluster"] {
        if let Some(node) = root.take(key) {
            let what = "only `policies`, `fields` and `embedded` may stand in the repository; connections and credentials belong to the agent's own file";
            diagnostics.add(&node.referenced, key, what);
        }
    }
    let list = root.sections("policies");
    let mut intent = TreeConfig { field_rules: field_rules(&mut root), ..TreeConfig::default() };
    for section in list {
        let at = *section.at();
        let Some(rule) = policy(section) else { continue };
        for (pattern, allowed_hosts) in rule.images.iter().filter_map(|pattern| Some((pattern, allowed_hosts?))) {
            match pattern.host() {
                Some(host) if allowed_hosts.contains(host) => {}
                Some(host) => diagnostics.add(
                    &at,
                    "policies",
                    format!("the host {host} is not allowed here; name it under `registries` of the agent's own file"),
                ),
                None => {
                    diagnostics.add(&at, "policies", "in the repository's file a pattern has to spell out its host")
                }
            }
        }
        intent.policies.rules.push(rule);
    }
    root.finish();
    intent
}

fn git(mut section: Section<'_>) -> GitSection {
    let paths = section.each_with("paths", |text| match PathFilter::new(&[text]) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    });
    let style = style(&mut section);
    let (pull_request, title) = section.section("pullRequest").map(pull_request::read).unwrap_or_default();
    let config = GitSection {
        url: section.parsed("url"),
        branch: section.parsed("branch"),
        push_branch: section.parsed("pushBranch"),
        push_options: section.each_with("pushOptions", |text| match text.contains(['\n', '\0']) || text.is_empty() {
            true => Err("a push option is one line of text".to_owned()),
            false => Ok(text.to_owned()),
        }),
        pull_request,
        // Each pattern was tried above.
        paths: PathFilter::new(&paths).unwrap_or_default(),
        depth: section.number("depth"),
        history_limit: section.number("historyLimit"),
        timeout: section.duration("timeout"),
        attempts: section.number("attempts"),
        author: section.section("author").and_then(person),
        committer: section.section("committer").and_then(person),
        ssh: section.section("ssh").map(ssh).unwrap_or_default(),
        https: section.section("https").map(https).unwrap_or_default(),
        signing: section.section("signing").and_then(signing),
        style: Style { title: title.unwrap_or_default(), ..style },
    };
    if config.pull_request.is_some() && config.push_branch.is_none() {
        section.error("`pullRequest` needs `pushBranch`: the branch that is to be merged");
    }
    section.finish();
    config
}

fn style(section: &mut Section<'_>) -> Style {
    let message = section.parsed_with("message", template);
    let batch = section.choice("batch", &[("cycle", Batch::Cycle), ("app", Batch::App), ("image", Batch::Image)]);
    Style { message: message.unwrap_or_default(), batch: batch.unwrap_or_default(), ..Style::default() }
}

/// Reads a template, and tries it.
pub(super) fn template(text: &str) -> Result<Template, String> {
    Template::parse(text).map_err(|error| error.to_string())
}

fn signing(mut section: Section<'_>) -> Option<Signing> {
    let ssh = section.path("sshKeyFile").map(SigningKeyFile::Ssh);
    let openpgp = section.path("openpgpKeyFile").map(SigningKeyFile::OpenPgp);
    let passphrase_file = section.path("passphraseFile");
    if ssh.is_some() == openpgp.is_some() {
        section.error("exactly one of sshKeyFile and openpgpKeyFile is needed");
    }
    section.finish();
    Some(Signing { key: ssh.or(openpgp)?, passphrase_file })
}

fn person(mut section: Section<'_>) -> Option<Person> {
    let plain = |text: &str| match text.contains(['<', '>', '\n']) || text.trim().is_empty() {
        true => Err("a name or address without `<`, `>` and line ends is needed".to_owned()),
        false => Ok(text.to_owned()),
    };
    let (name, email) = (section.parsed_with("name", plain), section.parsed_with("email", plain));
    if name.is_none() || email.is_none() {
        section.error("`name` and `email` are needed");
    }
    section.finish();
    Some(Person { name: name?, email: email? })
}

fn ssh(mut section: Section<'_>) -> Ssh {
    let ssh = Ssh {
        key_file: section.path("keyFile"),
        passphrase_file: section.path("passphraseFile"),
        known_hosts_file: section.path("knownHostsFile").unwrap_or_default(),
        host_fingerprints: section
            .each_with("hostFingerprints", |text| text.parse().map_err(|error: FingerprintError| error.to_string())),
    };
    section.finish();
    ssh
}

fn https(mut section: Section<'_>) -> Https {
    let https = Https {
        username: section.parsed_with("username", |text| Ok(text.to_owned())),
        token_file: section.path("tokenFile"),
        ca_file: section.path("caFile"),
    };
    section.finish();
    https
}

fn registries(root: &mut Section<'_>) -> Vec<HostConfig> {
    let mut hosts: Vec<HostConfig> = Vec::new();
    for mut section in root.sections("registries") {
        let host = section.parsed_with("host", registry_host);
        let config = HostConfig {
            host: host.clone().unwrap_or_default(),
            credentials_file: section.path("credentialsFile"),
            plain_http: section.boolean("plainHttp").unwrap_or(false),
            ca_file: section.path("caFile"),
            timeout: section.duration("timeout"),
            mirror: section.parsed("mirror"),
            mirror_tags: section.boolean("mirrorTags").unwrap_or(false),
            requests_per_second: section.number("requestsPerSecond"),
            api: section
                .choice("api", &[("gitea", Api::Gitea), ("harbor", Api::Harbor), ("dockerhub", Api::DockerHub)]),
        };
        match host {
            Some(host) if hosts.iter().any(|other| other.host == host) => {
                section.error(format!("the host {host} stands here twice"));
            }
            Some(_) => hosts.push(config),
            None => section.error("`host` is needed"),
        }
        section.finish();
    }
    hosts
}

/// A registry host as image names write it.
pub fn registry_host(text: &str) -> Result<String, String> {
    match format!("{text}/x").parse::<crate::image::Repository>() {
        Ok(name) if name.host() == text => Ok(text.to_owned()),
        _ => {
            Err(format!("`{text}` is no registry host; write it as image names do, such as ghcr.io or 127.0.0.1:5000"))
        }
    }
}

fn sources(root: &mut Section<'_>) -> Vec<SourceConfig> {
    let sections = root.sections("sources").into_iter();
    let sources = sections.filter_map(|mut section| {
        let url = section.parsed::<SafeUrl>("url");
        if url.is_none() {
            section.error("`url` is needed: a repository, or what the URLs of several begin with");
        }
        let instead_of = section.parsed("insteadOf");
        let ssh = section.section("ssh").map(ssh).unwrap_or_default();
        let https = section.section("https").map(https).unwrap_or_default();
        section.finish();
        Some(SourceConfig { url: url?, instead_of, ssh, https })
    });
    sources.collect()
}

fn intent(root: &mut Section<'_>) -> TreeConfig {
    let rules = root.sections("policies").into_iter().filter_map(policy).collect();
    TreeConfig { policies: PolicySet { rules }, field_rules: field_rules(root) }
}

fn field_rules(root: &mut Section<'_>) -> FieldRules {
    let rules = root.sections("fields").into_iter().filter_map(field_rule).collect();
    FieldRules { rules, embedded: root.boolean("embedded").unwrap_or(false) }
}

fn field_rule(mut section: Section<'_>) -> Option<FieldRule> {
    let text = |text: &str| Ok(text.to_owned());
    let (file, path) = (section.parsed_with("file", text), section.parsed_with("path", text));
    let image = section.parsed_with("image", text);
    let rule = match (file, path) {
        (Some(file), Some(path)) => FieldRule::new(&file, &path, image.as_deref()).map_err(|error| error.to_string()),
        _ => Err("`file` and `path` are needed, such as file: apps/*/values.yaml, path: image.tag".to_owned()),
    };
    let rule = rule.map_err(|error| section.error(error)).ok();
    section.finish();
    rule
}

fn policy(mut section: Section<'_>) -> Option<Rule> {
    let images = section.each_with("images", |text| {
        ImagePattern::parse(text).map(|pattern| (text.to_owned(), pattern)).map_err(|error| error.to_string())
    });
    if images.is_empty() {
        section.error("`images` is needed: a list of patterns such as ghcr.io/acme/*");
    }
    let track = section.choice("track", &[("digest", ())]).is_some();
    let tags = match section.section("tags") {
        Some(tags) => tag_rule(tags),
        None if track => Some(TagRule::Held),
        None => {
            section.error("`tags` is needed, such as tags: { sha: { order: built } }");
            None
        }
    };
    let pin = section.choice("pin", &[("digest", ())]).is_some();
    let mut patterns = |key| section.each_with(key, |text| TagPattern::parse(text).map_err(|error| error.to_string()));
    let tag_patterns = TagPatterns { allow: patterns("allow"), ignore: patterns("ignore") };
    let minimum_age = section.duration("minimumAge");
    let inspect_limit = section.number("inspectLimit").unwrap_or(INSPECT_LIMIT).max(1);
    let platforms =
        section.each_with("platforms", |text| text.parse().map_err(|error: PlatformError| error.to_string()));
    let fallback = section.boolean("fallback").unwrap_or(false);
    let keep = section.number("keep");
    section.finish();
    let name = images.first()?.0.clone();
    Some(Rule {
        name,
        images: images.into_iter().map(|(_, pattern)| pattern).collect(),
        tags: tags?,
        pin,
        track,
        tag_patterns,
        minimum_age,
        inspect_limit,
        platforms,
        fallback,
        keep,
    })
}

fn tag_rule(mut section: Section<'_>) -> Option<TagRule> {
    let mut rules = Vec::new();
    if let Some(sha) = section.section("sha") {
        rules.push(sha_rule(sha));
    }
    if let Some(form) = section.text_or_section("semver") {
        rules.push(semver_rule(&section, form));
    }
    if let Some(numerical) = section.section("numerical") {
        rules.push(ordered(numerical).map(|(descending, filter)| TagRule::Numerical { descending, filter }));
    }
    if let Some(alphabetical) = section.section("alphabetical") {
        rules.push(ordered(alphabetical).map(|(descending, filter)| TagRule::Alphabetical { descending, filter }));
    }
    if rules.len() != 1 {
        section.error("exactly one of sha, semver, numerical, alphabetical is needed");
    }
    section.finish();
    rules.pop().flatten()
}

fn sha_rule(mut section: Section<'_>) -> Option<TagRule> {
    let has_history = section.has("source") || section.has("branch");
    let source = section.parsed::<SafeUrl>("source");
    let branch = section.parsed::<Branch>("branch").map_or_else(|| "main".to_owned(), |branch| branch.to_string());
    let commit = Order::Commit(SourceBranch { source, branch });
    let order = section.choice("order", &[("built", Order::Built), ("pushed", Order::Pushed), ("commit", commit)]);
    let order = order.unwrap_or_default();
    if has_history && !matches!(order, Order::Commit(_)) {
        section.error("`source` and `branch` belong to `order: commit`");
    }
    let has_pattern = section.has("pattern");
    let form = section.parsed_with("pattern", |text| ShaForm::pattern(text, &order).map_err(|error| error.to_string()));
    section.finish();
    match (has_pattern, form) {
        (_, Some(form)) => Some(TagRule::Sha { form, order }),
        (false, None) => Some(TagRule::Sha { form: ShaForm::Usual, order }),
        (true, None) => None,
    }
}

fn semver_rule(section: &Section<'_>, form: TextOrSection<'_>) -> Option<TagRule> {
    let parse = |text: &str| Range::parse(text).map_err(|error| error.to_string());
    match form {
        TextOrSection::Text(node) => {
            let range = section.interpret("semver", &node, parse)?;
            Some(TagRule::Semver { range, filter: Filter::default() })
        }
        TextOrSection::Section(mut inner) => {
            let range = inner.parsed_with("range", parse);
            if range.is_none() {
                inner.error("`range` is needed, such as \"^1.4\"");
            }
            let filter = filter(&mut inner);
            inner.finish();
            Some(TagRule::Semver { range: range?, filter: filter? })
        }
    }
}

fn ordered(mut section: Section<'_>) -> Option<(bool, Filter)> {
    let descending = section.choice("order", &[("asc", false), ("desc", true)]);
    let filter = filter(&mut section);
    section.finish();
    Some((descending.unwrap_or(false), filter?))
}

fn filter(section: &mut Section<'_>) -> Option<Filter> {
    let text = |text: &str| Ok(text.to_owned());
    let (pattern, extract) = (section.parsed_with("pattern", text), section.parsed_with("extract", text));
    let filter = Filter::new(pattern.as_deref(), extract.as_deref());
    filter.map_err(|error| section.error(error)).ok()
}

fn secrets(mut section: Section<'_>) -> SecretsSection {
    let age_key_files = section.each_with("ageKeyFiles", |text| match text.is_empty() {
        true => Err("a path is needed".to_owned()),
        false => Ok(PathBuf::from(text)),
    });
    let gate =
        section.choice("gate", &[("block", Strictness::Block), ("warn", Strictness::Warn), ("off", Strictness::Off)]);
    let words = [("check", PullSecrets::Check), ("probe", PullSecrets::Probe), ("off", PullSecrets::Off)];
    let pull_secrets = section.choice("pullSecrets", &words);
    section.finish();
    let (gate, pull_secrets) = (gate.unwrap_or_default(), pull_secrets.unwrap_or_default());
    SecretsSection { age_key_files, gate, pull_secrets }
}

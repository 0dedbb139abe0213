//! `tagalong check`

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use tokio::task::block_in_place;

use crate::config::load::Config;
use crate::cycle::queries;
use crate::fault::{Explain, Fault};
use crate::forge;
use crate::forge::client::Forge;
use crate::policy::order::SourceBranch;
use crate::registry::client::Client;
use crate::registry::credentials;
use crate::registry::error::RegistryError;
use crate::repo;
use crate::repo::remote;
use crate::repo::signers::commits::verify_own;
use crate::secret::SafeUrl;

use super::arguments::{GitArguments, OutputArguments};
use super::connect;
use super::error::CliError;
use super::output::{self, Format};

/// Validate configuration, credentials and reachability, without changing anything
///
/// Reads the configuration and the age identities, connects to the git server, the forge, every configured
/// registry and every source repository that a policy names, and reports for each whether it responds and accepts the
/// credentials. With `trust.signers`, it also reports whether own commits would count. Then reads the branch, and reports
/// policies and paths that have no effect on it. Nothing is pushed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tagalong check --config tagalong.yaml")]
pub struct Arguments {
    #[command(flatten)]
    git: GitArguments,

    #[command(flatten)]
    output: OutputArguments,
}

/// The result of one check.
#[derive(Debug, Serialize)]
struct Row {
    check: &'static str,
    target: String,
    ok: bool,
    detail: String,
    help: Option<String>,
    #[serde(skip)]
    fault: Option<Fault>,
    /// True if it is not an error, but probably a mistake.
    #[serde(skip)]
    warns: bool,
}

impl Row {
    fn new(check: &'static str, target: String, result: Result<String, &dyn Explain>) -> Row {
        match result {
            Ok(detail) => Row { check, target, ok: true, detail, help: None, fault: None, warns: false },
            Err(error) => {
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                let detail = format!("{error}{cause}");
                Row { check, target, ok: false, detail, help: error.help(), fault: Some(error.fault()), warns: false }
            }
        }
    }
}

/// Checks everything.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let config = connect::configuration(&arguments.git)?;
    let mut rows = repositories(&config).await?;
    rows.push(keys(&config));
    rows.extend(registries(&config).await?);
    rows.extend(sources(&config));
    let can_read = rows.iter().all(|row| row.ok || row.check != "git");
    rows.extend(can_read.then(|| effects(&config)).transpose()?.into_iter().flatten());
    match arguments.output.output {
        Format::Json => output::print_json(&rows)?,
        Format::Text => output::print(&text(&rows))?,
    }
    // Invalid input comes before servers that cannot be reached: it may be the reason.
    let code = rows.iter().filter_map(|row| row.fault).map(Fault::exit_code).min();
    Ok(ExitCode::from(code.unwrap_or(0)))
}

/// Checks the configuration, the infrastructure repository, and the forge of its pull requests.
async fn repositories(config: &Config) -> Result<Vec<Row>, CliError> {
    let repo = config.repo()?;
    let policies = match config.tree_config.own.policies.rules.len() {
        1 => "1 policy".to_owned(),
        count => format!("{count} policies"),
    };
    let mut rows = vec![Row::new("configuration", "tagalong.yaml and flags".to_owned(), Ok(policies))];
    let tip = block_in_place(|| remote::probe(repo));
    let at = tip.as_ref().map(|tip| format!("{} is at {tip}", repo.branch)).map_err(|error| error as &dyn Explain);
    rows.push(Row::new("git", repo.url.to_string(), at));
    rows.extend(signers(repo));
    if let Some(config) = &config.forge {
        let forge = Forge::new(config.clone())?;
        let listed = forge.pull_requests().await;
        let listed = listed.as_ref().map(|_| format!("lists the pull requests of {}", config.repository));
        rows.push(Row::new("forge", forge.host().to_owned(), listed.map_err(|error| error as &dyn Explain)));
    }
    // If it is reached in the same way as for proposals, that has just been checked.
    let access = |config: &forge::config::Config| (config.api.clone(), config.token_file.clone());
    let is_new = |host: &&forge::config::Config| config.forge.as_ref().map(access) != Some(access(host));
    if let (Some(host), Ok(tip)) = (config.host.as_ref().filter(is_new), &tip) {
        rows.push(statuses(host, &tip.to_string()).await?);
    }
    Ok(rows)
}

/// Checks whether commit statuses can be read, as stages require.
async fn statuses(config: &forge::config::Config, commit: &str) -> Result<Row, CliError> {
    let forge = Forge::new(config.clone())?;
    let found = forge.statuses(commit, &BTreeSet::from(["tagalong".to_owned()])).await;
    let found = found.as_ref().map(|_| format!("reads the commit statuses of {}", config.repository));
    Ok(Row::new("forge", forge.host().to_owned(), found.map_err(|error| error as &dyn Explain)))
}

/// Checks whether own commits would count, if only signed ones do.
fn signers(repo: &repo::config::Config) -> Option<Row> {
    let target = "trust.signers".to_owned();
    match verify_own(repo) {
        Ok(None) => None,
        Ok(Some(keys)) => {
            let keys = if keys == 1 { "1 key".to_owned() } else { format!("{keys} keys") };
            Some(Row::new("signers", target, Ok(format!("{keys}, one of which signs own commits"))))
        }
        Err(error) => Some(Row::new("signers", target, Err(&error))),
    }
}

/// Checks the age identities.
fn keys(config: &Config) -> Row {
    let identities = config.secrets.keys.keyring().map(|keyring| match keyring.recipients().collect::<Vec<_>>() {
        none if none.is_empty() => "none found; encrypted files are checked only as far as possible without".to_owned(),
        recipients => format!("decrypt files for {}", recipients.join(", ")),
    });
    let identities = identities.as_ref().map(Clone::clone).map_err(|error| error as &dyn Explain);
    Row::new("keys", "age identities".to_owned(), identities)
}

/// Checks the registries.
async fn registries(config: &Config) -> Result<Vec<Row>, CliError> {
    let registry = Client::new(config.registry.clone())?;
    let mirrors = config.registry.hosts.iter().filter_map(|host| Some(&host.mirror.as_ref()?.host));
    let hosts: BTreeSet<&String> = config.tree_config.allowed_hosts.iter().chain(mirrors).collect();
    let mut rows = Vec::new();
    for host in hosts {
        let file = config.registry.credentials_file_of(host);
        // A file that has not been read yet would fail only later.
        let readable = file.map_or(Ok(()), |file| block_in_place(|| credentials::look_up(file, host, "")).map(drop));
        let answer = match readable {
            Ok(()) => registry.ping(host).await.map(|()| "responds"),
            Err(error) => Err(error),
        };
        let answer = match answer {
            Err(RegistryError::NotARegistry { .. }) if has_charts(config, host) => {
                Ok("responds; it is not an OCI registry, so its charts are read from indexes")
            }
            answer => answer,
        };
        let answer = answer.as_ref().map(|text| (*text).to_owned()).map_err(|error| error as &dyn Explain);
        rows.push(Row::new("registry", host.clone(), answer));
    }
    Ok(rows)
}

/// Returns whether a policy of charts names a host.
fn has_charts(config: &Config, host: &str) -> bool {
    let patterns = config.tree_config.own.policies.rules.iter().flat_map(|rule| &rule.images);
    patterns.filter(|pattern| pattern.is_of_charts()).any(|pattern| pattern.host() == Some(host))
}

/// Checks the source repositories. Those that only images name are not known before the images are inspected.
fn sources(config: &Config) -> Vec<Row> {
    let branches = config.tree_config.own.policies.rules.iter().filter_map(|rule| rule.tags.order()?.branch());
    let named = branches.filter_map(|branch| Some((branch, branch.source.as_ref()?)));
    let row = |(branch, url): (&SourceBranch, &SafeUrl)| {
        let source = config.sources.config(url, &branch.branch);
        let tip = source.and_then(|source| Ok(block_in_place(|| remote::probe(&source))?));
        let at = tip.as_ref().map(|tip| format!("{} is at {tip}", branch.branch));
        Row::new("source", url.to_string(), at.map_err(|error| error as &dyn Explain))
    };
    named.map(row).collect()
}

/// Checks that every policy governs an image field of the branch, and that every path selects one.
fn effects(config: &Config) -> Result<Vec<Row>, CliError> {
    let target = || "policies and paths".to_owned();
    let row = |result: Result<String, &dyn Explain>| Row::new("effect", target(), result);
    Ok(match queries::idle(&connect::engine(config)?) {
        Ok(notes) if notes.is_empty() => vec![row(Ok("each has an effect on the branch".to_owned()))],
        Ok(notes) => notes.into_iter().map(|note| Row { warns: true, ..row(Ok(note)) }).collect(),
        Err(error) => vec![row(Err(&error))],
    })
}

fn text(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let state = match (row.ok, row.warns) {
            (false, _) => "failed",
            (true, true) => "warns ",
            (true, false) => "ok    ",
        };
        let line = format!("{state}  {} {}: {}", row.check, row.target, row.detail);
        text.push_str(&format!("{}\n", output::safe(&line)));
        if let Some(help) = &row.help {
            text.push_str(&format!("        help: {}\n", output::safe(help)));
        }
    }
    text
}

//! `tagalong check`

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use tokio::task::block_in_place;

use crate::fault::{Explain, Fault};
use crate::forge::client::Forge;
use crate::registry::client::Client;
use crate::registry::credentials;
use crate::repo::remote;

use super::arguments::{GitArguments, OutputArguments};
use super::connect;
use super::error::CliError;
use super::output::{self, Format};

/// Validate configuration, credentials and reachability; touch nothing
///
/// Reads the configuration and the age identities, connects to the git server, to the forge of pull requests, to every
/// registry that is named and to every source that a policy names, and says of each whether it answers and takes the
/// credentials. Nothing is fetched, written or pushed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tagalong check --config tagalong.yaml")]
pub struct Arguments {
    #[command(flatten)]
    git: GitArguments,

    #[command(flatten)]
    output: OutputArguments,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Row {
    check: &'static str,
    target: String,
    ok: bool,
    detail: String,
    help: Option<String>,
    #[serde(skip)]
    fault: Option<Fault>,
}

impl Row {
    fn new(check: &'static str, target: String, result: Result<String, &dyn Explain>) -> Row {
        match result {
            Ok(detail) => Row { check, target, ok: true, detail, help: None, fault: None },
            Err(error) => {
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                let detail = format!("{error}{cause}");
                Row { check, target, ok: false, detail, help: error.help(), fault: Some(error.fault()) }
            }
        }
    }
}

/// Looks at everything.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let config = connect::configuration(&arguments.git)?;
    let repo = config.repo()?;
    let registry = Client::new(config.registry.clone())?;
    let policies = format!("{} policies", config.intent.own.policies.rules.len());
    let mut rows = vec![Row::new("configuration", "tagalong.yaml and flags".to_owned(), Ok(policies))];
    let tip = block_in_place(|| remote::probe(repo));
    let at = tip.as_ref().map(|tip| format!("{} is at {tip}", repo.branch)).map_err(|error| error as &dyn Explain);
    rows.push(Row::new("git", repo.url.to_string(), at));
    if let Some(config) = &config.forge {
        let forge = Forge::new(config.clone())?;
        let said = forge.pull_requests().await;
        let said = said.as_ref().map(|_| format!("shows the pull requests of {}", config.repository));
        rows.push(Row::new("forge", forge.host().to_owned(), said.map_err(|error| error as &dyn Explain)));
    }
    let identities = config.secrets.keys.keyring().map(|keyring| match keyring.recipients().collect::<Vec<_>>() {
        none if none.is_empty() => "none is at hand; secrets are checked as far as can be without".to_owned(),
        recipients => format!("open what is encrypted to {}", recipients.join(", ")),
    });
    let said = identities.as_ref().map(Clone::clone).map_err(|error| error as &dyn Explain);
    rows.push(Row::new("keys", "age identities".to_owned(), said));
    let mirrors = config.registry.hosts.iter().filter_map(|host| Some(&host.mirror.as_ref()?.host));
    let hosts: BTreeSet<&String> = config.intent.allowed_hosts.iter().chain(mirrors).collect();
    for host in hosts {
        let file = config.registry.credentials_file_of(host);
        // A file that no one has asked for yet would go wrong only later.
        let readable = file.map_or(Ok(()), |file| block_in_place(|| credentials::look_up(file, host, "")).map(drop));
        let answer = match readable {
            Ok(()) => registry.ping(host).await,
            Err(error) => Err(error),
        };
        let said = answer.as_ref().map(|()| "answers".to_owned()).map_err(|error| error as &dyn Explain);
        rows.push(Row::new("registry", host.clone(), said));
    }
    for branch in config.intent.own.policies.rules.iter().filter_map(|rule| rule.tags.order()?.branch()) {
        // Those that only images name are known when images are looked at.
        let Some(url) = &branch.source else { continue };
        let tip = config
            .sources
            .config(url, &branch.branch)
            .and_then(|source| Ok(block_in_place(|| remote::probe(&source))?));
        let at =
            tip.as_ref().map(|tip| format!("{} is at {tip}", branch.branch)).map_err(|error| error as &dyn Explain);
        rows.push(Row::new("source", url.to_string(), at));
    }
    match arguments.output.output {
        Format::Json => output::print_json(&rows)?,
        Format::Text => output::print(&text(&rows))?,
    }
    // Wrong input comes before what could not be reached: it may be the reason.
    let code = rows.iter().filter_map(|row| row.fault).map(Fault::exit_code).min();
    Ok(ExitCode::from(code.unwrap_or(0)))
}

fn text(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let state = if row.ok { "ok    " } else { "failed" };
        text.push_str(&format!("{state}  {} {}: {}\n", row.check, row.target, row.detail));
        if let Some(help) = &row.help {
            text.push_str(&format!("        help: {help}\n"));
        }
    }
    text
}

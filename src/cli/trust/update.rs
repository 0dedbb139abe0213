//! `tagalong trust update`

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use url::Url;

use crate::cli::arguments::OutputArguments;
use crate::cli::error::CliError;
use crate::cli::folder;
use crate::cli::outcome::plural;
use crate::cli::output::{self, Format, safe};
use crate::clock;
use crate::config::defaults::cache_dir;
use crate::config::error::ConfigError;
use crate::config::overrides::Overrides;
use crate::tuf::changes::{Changes, Entry};
use crate::tuf::fetch::{self, Fetched};
use crate::tuf::root::{PUBLIC, PUBLIC_ROOT};

/// Fetch the current trusted root of Sigstore, and say what changed
///
/// The trusted root names the certificate authorities and logs that signatures without keys are verified by
/// (`policies[].signed.trustedRoot`). It comes from a repository of The Update Framework, which proves that the root is the
/// current one. Only this command asks for it: neither the agent nor any other command does.
///
/// The file is replaced whole, and only by a root that was verified. Metadata that has expired, that is not signed by enough
/// keys, or that is older than what was seen before is refused.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tagalong trust update\n  tagalong trust update --file trusted_root.json --mirror https://tuf.example.com --root 1.root.json"
)]
pub struct Arguments {
    /// File to write
    #[arg(long, value_name = "FILE", default_value = "trusted_root.json")]
    file: PathBuf,

    /// Address of the repository
    #[arg(long, value_name = "URL", default_value = PUBLIC)]
    mirror: String,

    /// Root metadata to begin with, for an instance of your own [default: that of the public instance]
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,

    /// Folder for metadata that was verified, so that older metadata is noticed [default: $XDG_CACHE_HOME/tagalong, else
    /// ~/.cache/tagalong]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,

    #[command(flatten)]
    output: OutputArguments,
}

/// The result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Updated {
    file: PathBuf,
    is_changed: bool,
    root_version: u64,
    expires: Option<Timestamp>,
    #[serde(flatten)]
    changes: Changes,
}

/// Fetches it.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let Arguments { file, mirror, root, cache_dir: folder, output } = arguments;
    // The parser of arguments would repeat a password.
    let mirror =
        address(&mirror).map_err(|reason| ConfigError::Flag { flag: "--mirror", reason: reason.to_owned() })?;
    let overrides = Overrides { cache_dir: folder, ..Overrides::default() };
    let environment = |name: &str| std::env::var(name).ok();
    let folder = cache_dir(&overrides, &environment, std::env::home_dir().as_deref()).ok_or(ConfigError::NoCacheDir)?;
    let failed = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| CliError::File { doing, path, source }
    };
    let root = match &root {
        Some(path) => fs::read(path).map_err(failed("read", path))?,
        None => PUBLIC_ROOT.to_vec(),
    };
    let before = match fs::read_to_string(&file) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => String::new(),
        read => read.map_err(failed("read", &file))?,
    };
    let Fetched { json, root_version, expires } = fetch::trusted_root(&mirror, &root, &folder, clock::now()).await?;
    let is_changed = before != json;
    if is_changed {
        folder::replace(&file, json.as_bytes()).map_err(failed("write", &file))?;
    }
    let updated = Updated { file, is_changed, root_version, expires, changes: Changes::between(&before, &json) };
    match output.output {
        Format::Json => output::print_json(&updated)?,
        Format::Text => output::print(&text(&updated))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn text(updated: &Updated) -> String {
    let Updated { file, is_changed, expires, changes, .. } = updated;
    let Changes { added, removed, limited } = changes;
    let lines = |verb: &str, entries: &[Entry]| entries.iter().map(|entry| line(verb, entry)).collect::<String>();
    let mut text = [lines("added", added), lines("removed", removed), lines("limited", limited)].concat();
    let (file, count) = (safe(&file.display().to_string()), added.len() + removed.len() + limited.len());
    let until = expires.map(|expires| format!(", confirmed until {expires}")).unwrap_or_default();
    text.push_str(&match (is_changed, count) {
        (false, _) => format!("{file} is up to date{until}\n"),
        (true, 0) => format!("{file} was written and names the same as before{until}\n"),
        (true, count) => format!("{file} was written: {}{until}\n", plural(count, "change", "changes")),
    });
    text
}

fn line(verb: &str, entry: &Entry) -> String {
    let Entry { kind, url, key, since, until } = entry;
    let key: String = key.chars().take(12).collect();
    let shown = |word: &str, at: &Option<Timestamp>| at.map(|at| format!(", {word} {}", at.strftime("%Y-%m-%d")));
    let (since, until) = (shown("since", since).unwrap_or_default(), shown("until", until).unwrap_or_default());
    safe(&format!("{verb:<8} {kind} {url} (key {key}{since}{until})")) + "\n"
}

/// Reads the address of a repository. Metadata is signed, so that it need not be encrypted.
fn address(text: &str) -> Result<Url, &'static str> {
    let wrong = "write an address such as https://tuf-repo-cdn.sigstore.dev";
    let url = Url::parse(text).map_err(|_| wrong)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the address must not contain credentials");
    }
    if matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err(wrong) }
}

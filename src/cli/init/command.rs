//! The command and its options.

use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use tokio::task::block_in_place;

use crate::cli::arguments::{GitArguments, OutputArguments};
use crate::cli::connect;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format};
use crate::survey::flux::object::FluxObject;
use crate::survey::render::render;

use super::gather::{Request, gather};
use super::{registries, report};

/// Write a configuration for a repository, from its files and its history
///
/// Reads the newest commits of the repository (by default, the one in this folder) and finds out which values are image
/// tags, what the tags look like and who moves them. From that it writes a commented tagalong.yaml with policies, with
/// rules for tags that no usual shape reveals, and with a list of what it could not make out. Objects of Flux's image
/// automation in the repository, or those given by --flux, become policies and settings.
///
/// An existing file is never overwritten. Nothing else is written.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tagalong init
  tagalong init --git-url https://github.com/acme/infra --dry-run
  kubectl get imagepolicies,imagerepositories,imageupdateautomations -A -o yaml | tagalong init --flux -")]
pub struct Arguments {
    #[command(flatten)]
    git: GitArguments,

    /// File to write
    #[arg(long, value_name = "FILE", default_value = "tagalong.yaml")]
    file: PathBuf,

    /// File with objects of Flux's image automation, as kubectl prints them, or - for stdin; repeatable
    #[arg(long, value_name = "FILE")]
    flux: Vec<PathBuf>,

    /// Number of commits to read
    #[arg(long, value_name = "NUMBER", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    commits: u32,

    /// Send no requests to registries
    #[arg(long)]
    offline: bool,

    /// Print the file instead of writing it
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    output: OutputArguments,
}

/// Surveys the repository and writes the file.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let file = &arguments.file;
    if !arguments.dry_run && std::fs::symlink_metadata(file).is_ok() {
        return Err(CliError::Exists { path: file.clone() });
    }
    let flux_objects = flux_objects(&arguments.flux)?;
    let mut overrides = arguments.git.overrides();
    let mut config = connect::configuration_from(&overrides)?;
    if config.repo.is_none() {
        // Without a URL, the repository is that of the folder.
        overrides.git_url = Some(".".to_owned());
        config = connect::configuration_from(&overrides)?;
    }
    let request = Request { config: &config, commits: arguments.commits, flux_objects };
    let mut findings = block_in_place(|| gather(request))?;
    if !arguments.offline {
        findings.registries = registries::ask(&config, &findings).await?;
    }
    let text = render(&findings);
    if !arguments.dry_run {
        write(file, text.as_bytes())?;
    }
    let git_url =
        overrides.git_url.or_else(|| config.repo.as_ref().map(|repo| repo.url.to_string())).unwrap_or_default();
    let written = (!arguments.dry_run).then_some(file.as_path());
    match arguments.output.output {
        Format::Json => output::print_json(&report::json(&findings, &text, written, &git_url))?,
        Format::Text if arguments.dry_run => output::print(&text)?,
        Format::Text => output::print(&report::text(&findings, file, &git_url))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn flux_objects(files: &[PathBuf]) -> Result<Vec<FluxObject>, CliError> {
    let mut objects = Vec::new();
    for file in files {
        let fail = |source| CliError::File { doing: "read", path: file.clone(), source };
        let mut bytes = Vec::new();
        match file.as_os_str() == "-" {
            true => std::io::stdin().lock().read_to_end(&mut bytes).map(drop).map_err(fail)?,
            false => bytes = std::fs::read(file).map_err(fail)?,
        }
        let invalid = |error: &dyn std::fmt::Display| CliError::Flag {
            flag: "--flux",
            reason: format!("{}: {error}", file.display()),
        };
        let found = FluxObject::read(&bytes).map_err(|error| invalid(&error))?;
        if found.is_empty() {
            return Err(invalid(&"no ImageRepository, ImagePolicy or ImageUpdateAutomation in it"));
        }
        objects.extend(found);
    }
    Ok(objects)
}

/// Writes a file that must not exist yet.
fn write(file: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let new = std::fs::OpenOptions::new().write(true).create_new(true).open(file);
    match new.and_then(|mut new| new.write_all(bytes)) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(CliError::Exists { path: file.to_owned() }),
        Err(source) => Err(CliError::File { doing: "write", path: file.to_owned(), source }),
    }
}

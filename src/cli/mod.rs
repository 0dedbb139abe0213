//! The command line: one file a command.
//!
//! - [`arguments`]: options that several commands share
//! - [`check`]: `tagalong check`
//! - [`connect`]: from options to an engine
//! - [`demo`]: `tagalong demo`
//! - [`error`]: errors as people read them, and exit codes
//! - [`explain`]: `tagalong explain`
//! - [`folder`]: files below `--dir`
//! - [`hold`]: `tagalong hold`
//! - [`images`]: `tagalong images`
//! - [`images_verify`]: `tagalong images verify`
//! - [`output`]: what goes to stdout
//! - [`plugin`]: `tagalong plugin`
//! - [`resume`]: `tagalong resume`
//! - [`rollback`]: `tagalong rollback`
//! - [`run`]: `tagalong run`
//! - [`secrets`]: `tagalong secrets` and its commands
//! - [`set`]: `tagalong set`
//! - [`status`]: `tagalong status`
//! - [`sync`]: `tagalong sync`

pub mod arguments;
pub mod check;
pub mod connect;
pub mod demo;
pub mod error;
pub mod explain;
pub mod folder;
pub mod hold;
pub mod images;
pub mod images_verify;
pub mod output;
pub mod plugin;
pub mod resume;
pub mod rollback;
pub mod run;
pub mod secrets;
pub mod set;
pub mod status;
pub mod sync;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::fault::Fault;
use crate::telemetry::{self, LogFormat};

use error::CliError;

/// Keeps the image tags of a GitOps repository in step with the registry.
///
/// Tagalong polls registries for new images, rewrites the image fields of manifests, kustomizations and Helm values
/// without touching anything else, and pushes commits that Flux or Argo CD deploys. When someone else pushed first, it
/// plans again on the new tip.
///
/// Try it: `tagalong demo` shows the whole loop on this machine, without any configuration.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    entry: Entry,

    /// How much is logged to stderr: off, error, warn, info, debug, trace, or directives such as tagalong=debug
    #[arg(long, global = true, env = "TAGALONG_LOG", value_name = "LEVEL")]
    log_level: Option<String>,

    /// How log lines look
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORMAT")]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Entry {
    #[command(flatten)]
    Command(Box<Command>),
    Plugin(plugin::Arguments),
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Sync(sync::Arguments),
    Set(set::Arguments),
    Images(images::Arguments),
    Status(status::Arguments),
    Explain(explain::Arguments),
    Rollback(rollback::Arguments),
    Hold(hold::Arguments),
    Resume(resume::Arguments),
    Secrets(secrets::Arguments),
    Check(check::Arguments),
    Demo(demo::Arguments),
}

/// Runs a command and says how it ended.
pub fn main(cli: Cli) -> ExitCode {
    error::install_panic_hook();
    // The hook has said what there is to say; nothing of the state is used afterwards.
    match std::panic::catch_unwind(AssertUnwindSafe(|| start(cli))) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => error::report(&error),
        Err(_) => ExitCode::from(Fault::Bug.exit_code()),
    }
}

fn start(cli: Cli) -> Result<ExitCode, CliError> {
    let command = match cli.entry {
        Entry::Command(command) => *command,
        Entry::Plugin(_) => {
            let prepared = plugin::prepare(std::env::vars_os())?;
            // The files that the command line names stay until the command has ended.
            return start(prepared.cli);
        }
    };
    let usual = match command {
        Command::Run(_) => "info",
        _ => "warn",
    };
    let level = cli.log_level.as_deref().unwrap_or(usual);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::Runtime)?;
    let traces = telemetry::install(cli.log_format, level, runtime.handle())?;
    let end = runtime.block_on(async {
        match command {
            Command::Run(arguments) => run::run(arguments).await,
            Command::Sync(arguments) => sync::run(arguments).await,
            Command::Set(arguments) => set::run(arguments).await,
            Command::Images(arguments) => images::run(arguments).await,
            Command::Status(arguments) => status::run(arguments).await,
            Command::Explain(arguments) => explain::run(arguments).await,
            Command::Rollback(arguments) => rollback::run(arguments).await,
            Command::Hold(arguments) => hold::run(arguments).await,
            Command::Resume(arguments) => resume::run(arguments).await,
            Command::Secrets(arguments) => secrets::run(arguments).await,
            Command::Check(arguments) => check::run(arguments).await,
            Command::Demo(arguments) => demo::run(arguments).await,
        }
    });
    traces.end();
    // A cycle that was given up may still wait for a server that never answers; the process does not.
    runtime.shutdown_background();
    end
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_and_every_option_has_a_help_text() {
        let root = Cli::command();
        root.clone().debug_assert();
        for command in root.get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            assert!(command.get_long_about().is_some(), "{} is not explained", command.get_name());
            assert!(command.get_after_help().is_some(), "{} has no example", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
        }
    }
}

//! `tagalong run`

use std::process::ExitCode;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::agent::schedule;

use super::arguments::GitArguments;
use super::connect;
use super::error::CliError;

/// Run the agent: poll, update, push, until SIGTERM
///
/// The agent looks at the registries every `agent.interval` (one minute unless configured), moves every image field that
/// a policy governs to the newest tag, and pushes one commit for each cycle that changes something. It keeps no state
/// but caches: it can be killed and started anywhere, at any moment. SIGTERM and SIGINT let the cycle that is under way
/// end, and then it exits with 0.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tagalong run --config tagalong.yaml")]
pub struct Arguments {
    #[command(flatten)]
    git: GitArguments,
}

/// Runs the agent.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let config = connect::configuration(&arguments.git)?;
    let engine = connect::engine(&config)?;
    let stop = CancellationToken::new();
    let (mut term, mut int) = (
        signal(SignalKind::terminate()).map_err(CliError::Runtime)?,
        signal(SignalKind::interrupt()).map_err(CliError::Runtime)?,
    );
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        tracing::info!("told to stop; the cycle under way is brought to its end");
        told.cancel();
    });
    schedule::run(&engine, &config.agent, &stop).await;
    Ok(ExitCode::SUCCESS)
}

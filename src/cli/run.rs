//! `tagalong run`

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::agent::observers::Observers;
use crate::agent::runtime::{ConfigSource, LoadError, Runtime};
use crate::agent::schedule::{Agent, Signals};
use crate::agent::server;
use crate::agent::webhook::endpoint;
use crate::cluster::api::Cluster;
use crate::cluster::election::LeaderElector;
use crate::repo::clone::is_known_to_hold;

use super::arguments::GitArguments;
use super::connect;
use super::error::CliError;

/// Run the agent: poll, update, push, until SIGTERM
///
/// The agent looks at the registries every `agent.interval` (one minute unless configured), moves every image field that
/// a policy governs to the newest tag, and pushes one commit for each cycle that changes something. It keeps no state
/// but caches: it can be killed and started anywhere, at any moment.
///
/// Health, metrics and a status page are served on `agent.listen` (port 8080 unless configured). The configuration is
/// read again when its file changes and on SIGHUP; a wrong one is said and kept out. SIGTERM and SIGINT let the cycle
/// that is under way end within `agent.grace`, and then the agent exits with 0; a second one cuts that short.
///
/// In a cluster (section `cluster`) one of several replicas leads and the others wait, and Flux is asked to apply each
/// commit at once and watched until it has.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tagalong run --config tagalong.yaml")]
pub struct Arguments {
    #[command(flatten)]
    git: GitArguments,
}

/// Runs the agent.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let signals = Signals::default();
    forward(&signals)?;
    let again = arguments.git.clone();
    let load = move || runtime(&again).map_err(|error| -> LoadError { Box::new(error) });
    let source = ConfigSource::new(arguments.git.config.clone(), Box::new(load));
    let runtime = runtime(&arguments.git)?;
    let elector = match &runtime.cluster.election {
        Some(election) => LeaderElector::start(Cluster::find().await?, election),
        None => LeaderElector::without_election(),
    };
    let observers = Observers::default();
    let served = CancellationToken::new();
    if let Some(address) = runtime.config.listen {
        let router = server::router(Arc::clone(&observers.snapshots), Arc::clone(&observers.metrics))
            .merge(endpoint::router(Arc::clone(&observers.senders), signals.trigger.clone()));
        let address = server::serve(address, router, served.clone())
            .await
            .map_err(|source| CliError::Listen { address, source })?;
        tracing::info!(%address, "health, metrics and status are served");
    }
    Agent::new(source, runtime, observers, signals, elector).run().await;
    served.cancel();
    Ok(ExitCode::SUCCESS)
}

/// What the configuration comes to now.
fn runtime(arguments: &GitArguments) -> Result<Runtime, CliError> {
    let config = connect::configuration(arguments)?;
    let engine = connect::engine(&config)?;
    let repo = config.repo()?.clone();
    Ok(Runtime {
        runner: Arc::new(engine),
        config: config.agent,
        repository: repo.url.clone(),
        branch: repo.branch.clone(),
        notify: config.notify,
        cluster: config.cluster,
        ancestry: Arc::new(move |later, earlier| is_known_to_hold(&repo, later, earlier)),
    })
}

/// Hands the signals of the system on.
fn forward(signals: &Signals) -> Result<(), CliError> {
    let listen = |kind| signal(kind).map_err(CliError::Runtime);
    let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let mut hup = listen(SignalKind::hangup())?;
    let signals = signals.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = hup.recv() => signals.reload.notify_one(),
                () = either(&mut term, &mut int) => break,
            }
        }
        tracing::info!("told to stop");
        signals.stop.cancel();
        either(&mut term, &mut int).await;
        signals.stop_now.cancel();
    });
    Ok(())
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

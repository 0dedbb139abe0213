//! `tagalong run`

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::agent::observers::Observers;
use crate::agent::runtime::{ConfigLoader, LoadError, Runtime};
use crate::agent::schedule::Agent;
use crate::agent::server;
use crate::agent::signals::Signals;
use crate::agent::webhook::endpoint;
use crate::cluster::api::Cluster;
use crate::cluster::election::LeaderElector;
use crate::cycle::metrics::ClientMetrics;
use crate::repo::clone::is_known_to_hold;

use super::arguments::GitArguments;
use super::connect;
use super::error::CliError;

/// Run the agent: poll, update and push until SIGTERM
///
/// The agent checks the registries every `agent.interval` (one minute by default), moves every image field governed by a
/// policy to the newest tag, and pushes one commit per cycle that changes something. It keeps no state other than caches: it
/// can be killed and started at any moment, on any machine.
///
/// Health, metrics and a status page are served on `agent.listen` (port 8080 by default). The configuration is read again
/// when its file changes and on SIGHUP; an invalid one is reported and rejected. On SIGTERM or SIGINT, the running cycle may
/// finish within `agent.grace`, and the agent exits with 0; a second signal stops it immediately.
///
/// In a cluster (section `cluster`), one of several replicas leads while the others wait, and Flux is asked to apply each
/// commit immediately and watched until it has.
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
    let observers = Observers::default();
    let (again, metrics) = (arguments.git.clone(), observers.metrics.clients.clone());
    let load = move || runtime(&again, &metrics).map_err(|error| -> LoadError { Box::new(error) });
    let loader = ConfigLoader::new(arguments.git.config.clone(), Box::new(load));
    let runtime = runtime(&arguments.git, &observers.metrics.clients)?;
    let elector = match &runtime.cluster.election {
        Some(election) => LeaderElector::start(Cluster::find().await?, election),
        None => LeaderElector::without_election(),
    };
    let served = CancellationToken::new();
    if let Some(address) = runtime.config.listen {
        let router = server::router(Arc::clone(&observers.snapshots), Arc::clone(&observers.metrics))
            .merge(endpoint::router(Arc::clone(&observers.senders), signals.trigger.clone()));
        let address = server::serve(address, router, served.clone())
            .await
            .map_err(|source| CliError::Listen { address, source })?;
        tracing::info!(%address, "serving health, metrics and status");
    }
    Agent::new(loader, runtime, observers, signals, elector).run().await;
    served.cancel();
    Ok(ExitCode::SUCCESS)
}

/// Builds everything that the current configuration asks for.
fn runtime(arguments: &GitArguments, metrics: &ClientMetrics) -> Result<Runtime, CliError> {
    let config = connect::configuration(arguments)?;
    let engine = connect::engine_with_metrics(&config, metrics)?;
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

/// Forwards signals of the system to the agent.
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
        tracing::info!("received a signal to stop");
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

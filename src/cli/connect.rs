//! From options to an engine.

use std::time::Duration;

use crate::config::load::Config;
use crate::cycle::engine::Engine;
use crate::registry::client::Client;

use super::arguments::GitArguments;
use super::error::CliError;

/// How long the git side waits for one read or write on the network.
pub const NETWORK_TIMEOUT: Duration = Duration::from_secs(30);

/// The configuration that options and environment give.
pub fn configuration(arguments: &GitArguments) -> Result<Config, CliError> {
    Ok(Config::load(&arguments.overrides(), &|name| std::env::var(name).ok())?)
}

/// The engine for a configuration.
pub fn engine(config: &Config) -> Result<Engine, CliError> {
    let registry = Client::new(config.registry.clone())?;
    let source = config.intent.clone().into_source();
    Ok(Engine::new(config.repo()?.clone(), config.paths.clone(), config.attempts, registry, source))
}

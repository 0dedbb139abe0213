//! From options to an engine.

use crate::config::load::{Config, ConfigError};
use crate::cycle::engine::Engine;
use crate::fault::Explain;
use crate::policy::rule::PolicySet;
use crate::registry::client::Client;

use super::arguments::GitArguments;
use super::error::CliError;

/// The configuration that options and environment give.
pub fn configuration(arguments: &GitArguments) -> Result<Config, CliError> {
    Ok(Config::load(&arguments.overrides(), &|name| std::env::var(name).ok())?)
}

/// The engine for a configuration.
pub fn engine(config: &Config) -> Result<Engine, CliError> {
    let registry = Client::new(config.registry.clone())?;
    Ok(Engine::new(config.repo()?.clone(), config.paths.clone(), config.attempts, config.style.clone(), registry))
}

/// The policies of a configuration, as the engine asks for them.
pub fn policies(
    config: &Config,
) -> impl Fn(Option<&[u8]>) -> Result<PolicySet, Box<dyn Explain + Send + Sync>> + Send + Sync + '_ {
    |file| {
        config.policies_with(file).map_err(|error: ConfigError| -> Box<dyn Explain + Send + Sync> { Box::new(error) })
    }
}

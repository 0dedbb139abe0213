//! From options to an engine.

use crate::config::load::Config;
use crate::cycle::engine::Engine;
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
    let source = config.intent.clone().into_source();
    let (repo, paths, style) = (config.repo()?.clone(), config.paths.clone(), config.style.clone());
    Ok(Engine::new(repo, paths, config.attempts, style, registry, source))
}

//! Why the demo cannot continue.

use crate::config::error::ConfigError;
use crate::cycle::error::CycleError;
use crate::fault::{Explain, Fault};
use crate::registry::error::RegistryError;

/// Why the demo cannot continue.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum DemoError {
    /// There is no temporary folder, port or file.
    #[error("cannot set up the demo")]
    Setup(#[from] std::io::Error),
    #[error("cannot create the demo's repository")]
    Git(#[from] git2::Error),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Cycle(#[from] CycleError),
    #[error("cannot make a key for the demo")]
    Key(#[from] ssh_key::Error),
    /// A cycle did something other than what the demo is there to show.
    #[error("unexpected result of a cycle: {0}")]
    Unexpected(String),
}

impl Explain for DemoError {
    fn fault(&self) -> Fault {
        match self {
            DemoError::Setup(_) | DemoError::Git(_) | DemoError::Key(_) => Fault::Local,
            DemoError::Config(error) => error.fault(),
            DemoError::Registry(error) => error.fault(),
            DemoError::Cycle(error) => error.fault(),
            DemoError::Unexpected(_) => Fault::Bug,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            DemoError::Setup(_) | DemoError::Git(_) => {
                Some("the demo needs a writable temporary folder and a loopback port".to_owned())
            }
            _ => None,
        }
    }
}

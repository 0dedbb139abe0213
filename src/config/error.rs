//! What goes wrong when configuration is read.

use std::path::PathBuf;

use crate::fault::{Explain, Fault};
use crate::forge::config::UnknownForge;
use crate::repo::config::Branch;

use super::reader::Diagnostic;

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file holds diagnostics.
    #[error("{}", diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Diagnostics {
        /// All of them.
        diagnostics: Vec<Diagnostic>,
    },
    /// A flag's value is wrong.
    #[error("{flag}: {reason}")]
    Flag {
        /// The flag.
        flag: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// It cannot be told which forge to ask.
    #[error("git.pullRequest: {0}")]
    Forge(#[from] UnknownForge),
    /// The branch for proposals is the one that is read.
    #[error("git.pushBranch and the branch that is read are both {0}")]
    SameBranch(Branch),
    /// There is no repository to work on.
    #[error("no git repository is configured")]
    NoRepository,
    /// The environment lacks what is needed.
    #[error("there is no place for the clone: neither XDG_CACHE_HOME nor HOME is set")]
    NoCacheDir,
}

impl Explain for ConfigError {
    fn fault(&self) -> Fault {
        Fault::BadInput
    }

    fn help(&self) -> Option<String> {
        match self {
            ConfigError::NoRepository => {
                Some("give --git-url, or --config with git.url; or --dir to work on files".to_owned())
            }
            ConfigError::NoCacheDir => Some("give --cache-dir".to_owned()),
            ConfigError::Unreadable { .. } => Some("give the path of a tagalong.yaml with --config".to_owned()),
            ConfigError::Diagnostics { .. } => Some("docs/configuration.md lists every key".to_owned()),
            ConfigError::SameBranch(_) => Some("give another branch, or leave pushBranch out".to_owned()),
            ConfigError::Flag { .. } | ConfigError::Forge(_) => None,
        }
    }
}

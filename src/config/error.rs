//! Why the configuration cannot be used.

use std::path::PathBuf;

use crate::fault::{Explain, Fault, documentation};
use crate::forge::config::UnknownForge;
use crate::repo::config::Branch;
use crate::stage::stages::StagesError;

use super::diagnostics::Diagnostic;
use super::sections::identity::Unusable;

/// The products that are not recognized by their host.
const PRODUCTS: &str = "gitea, github, gitlab, bitbucket, bitbucket-datacenter or azure-devops";

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", file.display())]
    Unreadable { file: PathBuf, source: std::io::Error },
    /// The file is not valid.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Diagnostic>),
    /// The stages contradict each other.
    #[error("stages: {0}")]
    Stages(#[from] StagesError),
    /// A flag's value is not valid.
    #[error("{flag}: {reason}")]
    Flag { flag: &'static str, reason: String },
    /// The repository's URL does not reveal the forge.
    #[error("git.pullRequest: {0}")]
    Forge(#[from] UnknownForge),
    /// The repository's URL does not reveal the forge that hosts it.
    #[error("git.forge: {0}")]
    Host(UnknownForge),
    /// The repository cannot be accessed with the identity.
    #[error("git.{0}")]
    GitIdentity(Unusable),
    /// A source cannot be accessed with the identity.
    #[error("sources: {0}")]
    SourceIdentity(Unusable),
    /// The branch for pull requests is the branch that is read.
    #[error("git.pushBranch and the branch that is read are both `{0}`")]
    SameBranch(Branch),
    /// No repository is configured.
    #[error("no git repository is configured")]
    NoRepository,
    /// There is no default location for the clone.
    #[error("no location for the clone: neither XDG_CACHE_HOME nor HOME is set")]
    NoCacheDir,
}

impl Explain for ConfigError {
    fn fault(&self) -> Fault {
        Fault::BadInput
    }

    fn help(&self) -> Option<String> {
        match self {
            ConfigError::NoRepository => Some(
                "use --git-url (`.` for the repository in this folder), or set git.url in tagalong.yaml or in the file \
                 given by --config; to work on local files, use --dir"
                    .to_owned(),
            ),
            ConfigError::NoCacheDir => Some("use --cache-dir to choose one".to_owned()),
            ConfigError::Unreadable { .. } => Some("use --config with the path of a tagalong.yaml".to_owned()),
            ConfigError::Stages(_) => {
                Some("the agent's own file and tagalong.yaml in the repository can both define stages and windows".to_owned())
            }
            ConfigError::Invalid(_) => Some(format!("{} describes every key", documentation("configuration.md"))),
            ConfigError::SameBranch(_) => Some("choose a different branch, or remove git.pushBranch".to_owned()),
            ConfigError::Forge(UnknownForge::Kind) => Some(format!("set git.pullRequest.forge to {PRODUCTS}")),
            ConfigError::Host(UnknownForge::Kind) => Some(format!("set git.forge.kind to {PRODUCTS}")),
            ConfigError::Forge(UnknownForge::ClearText) => Some("set git.pullRequest.url, with https".to_owned()),
            ConfigError::Host(UnknownForge::ClearText) => Some("set git.forge.url, with https".to_owned()),
            ConfigError::Forge(UnknownForge::Labels) => Some("remove git.pullRequest.labels".to_owned()),
            ConfigError::Forge(UnknownForge::NoToken) => Some("set git.pullRequest.tokenFile".to_owned()),
            ConfigError::Host(UnknownForge::NoToken) => Some("set git.forge.tokenFile".to_owned()),
            ConfigError::GitIdentity(Unusable::Url(_)) | ConfigError::SourceIdentity(Unusable::Url(_)) => {
                Some("use the URL of a repository on GitHub, such as https://github.com/acme/infra.git".to_owned())
            }
            ConfigError::GitIdentity(Unusable::NotAzure) | ConfigError::SourceIdentity(Unusable::NotAzure) => {
                Some("use the URL of a repository on dev.azure.com, or a token file".to_owned())
            }
            ConfigError::Forge(UnknownForge::NotAzure) | ConfigError::Host(UnknownForge::NotAzure) => {
                Some("remove the `url`, or set a tokenFile next to it".to_owned())
            }
            ConfigError::GitIdentity(Unusable::Environment(error))
            | ConfigError::SourceIdentity(Unusable::Environment(error)) => error.help(),
            ConfigError::Flag { .. } | ConfigError::Forge(_) | ConfigError::Host(_) => None,
        }
    }
}

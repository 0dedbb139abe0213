//! What goes wrong in a cycle.

use crate::fault::{Explain, Fault};
use crate::forge::error::ForgeError;
use crate::image::Repository;
use crate::keys::KeysError;
use crate::manifest::edit::EditError;
use crate::manifest::inventory::NamedFileError;
use crate::plan::decide::RequestError;
use crate::plan::gate::ChangeError;
use crate::plan::trailer::Hold;
use crate::registry::error::RegistryError;
use crate::repo::config::Branch;
use crate::repo::error::RepoError;

/// What goes wrong in a cycle.
#[derive(Debug, thiserror::Error)]
pub enum CycleError {
    /// The repository side.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The forge.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// The registry side.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The age identities.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The repository's own file is wrong.
    #[error("{0}")]
    Configuration(Box<dyn Explain + Send + Sync>),
    /// What was asked for by name is not there.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A file that was named cannot be worked on.
    #[error(transparent)]
    NamedFile(#[from] NamedFileError),
    /// A file could not be edited.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// A field would go back to an older build.
    #[error("{image}: {to} was built before {held}, which {file} holds")]
    Downgrade {
        /// The image.
        image: Repository,
        /// What the field holds.
        held: String,
        /// What was asked for.
        to: String,
        /// The file.
        file: String,
    },
    /// A field would come to hold what is held.
    #[error("{image}: {hold}; {file} stays as it is")]
    Held {
        /// The image.
        image: Repository,
        /// The file.
        file: String,
        /// The hold.
        hold: Box<Hold>,
    },
    /// A secret beside a field that was asked for is broken.
    #[error("{0}")]
    Secret(String),
    /// It was given up right before the push.
    #[error("the pass was given up before it pushed anything")]
    GivenUp,
    /// The push lost every race.
    #[error("someone else was first on {branch} {attempts} times in a row")]
    Exhausted {
        /// The branch.
        branch: Branch,
        /// How often a push was tried.
        attempts: u32,
    },
}

impl Explain for CycleError {
    fn fault(&self) -> Fault {
        match self {
            CycleError::Repo(error) => error.fault(),
            CycleError::Forge(error) => error.fault(),
            CycleError::Registry(error) => error.fault(),
            CycleError::Keys(error) => error.fault(),
            CycleError::Configuration(error) => error.fault(),
            CycleError::Request(RequestError::Encrypted(_))
            | CycleError::Downgrade { .. }
            | CycleError::Held { .. }
            | CycleError::Secret(_) => Fault::Blocked,
            CycleError::Request(RequestError::NoField { .. } | RequestError::NothingBefore { .. })
            | CycleError::NamedFile(_) => Fault::BadInput,
            CycleError::Change(error) => match error.source {
                EditError::NeedsTag { .. } | EditError::NeedsDigest { .. } | EditError::Unreadable(_) => {
                    Fault::BadInput
                }
                EditError::Encrypted | EditError::UpdateMac(_) => Fault::Blocked,
                EditError::Refused(ref refused) if !refused.is_bug() => Fault::Local,
                EditError::Moved { .. } | EditError::Refused(_) => Fault::Bug,
            },
            CycleError::Exhausted { .. } => Fault::Stale,
            CycleError::GivenUp => Fault::Transient,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            CycleError::Repo(error) => error.help(),
            CycleError::Forge(error) => error.help(),
            CycleError::Registry(error) => error.help(),
            CycleError::Keys(error) => error.help(),
            CycleError::Configuration(error) => error.help(),
            CycleError::Request(RequestError::NoField { closest, .. }) if closest.is_empty() => {
                Some("there are no image fields at all in the files that were looked at".to_owned())
            }
            CycleError::Request(RequestError::NoField { closest, .. }) => {
                let names: Vec<&str> = closest.iter().map(Repository::as_str).collect();
                Some(format!("the closest images found are {}", names.join(", ")))
            }
            CycleError::Request(RequestError::Encrypted(_)) => Some("edit the file with sops".to_owned()),
            CycleError::NamedFile(NamedFileError::Missing { .. }) => {
                Some("paths are relative to --dir, or to the root of the repository".to_owned())
            }
            CycleError::NamedFile(NamedFileError::NotYaml { .. }) => {
                Some("templates and broken files are left alone; name another file".to_owned())
            }
            CycleError::Change(error) => match error.source {
                EditError::NeedsTag { .. } => Some("write IMAGE:TAG@DIGEST".to_owned()),
                EditError::Encrypted | EditError::UpdateMac(_) => Some("edit the file with sops".to_owned()),
                _ => {
                    Some("nothing was changed; edit this file by hand, and report the file's shape as a bug".to_owned())
                }
            },
            CycleError::Request(RequestError::NothingBefore { .. }) => {
                Some("name the tag: tagalong rollback IMAGE --to TAG --reason TEXT".to_owned())
            }
            CycleError::Held { image, .. } => Some(format!(
                "give --force to set it all the same, or release it: tagalong resume {image} --reason TEXT"
            )),
            CycleError::Downgrade { .. } => Some("give --allow-downgrade to move it all the same".to_owned()),
            CycleError::Secret(_) => {
                Some("mend the secret; `tagalong secrets verify` says all that is wrong".to_owned())
            }
            CycleError::GivenUp => None,
            CycleError::Exhausted { .. } => Some("run it again, or raise git.attempts".to_owned()),
        }
    }
}

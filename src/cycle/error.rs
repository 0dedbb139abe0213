//! The errors of a cycle.

use crate::fault::{Explain, Fault};
use crate::forge::error::ForgeError;
use crate::image::Repository;
use crate::keys::KeysError;
use crate::manifest::edit::EditError;
use crate::manifest::inventory::NamedFileError;
use crate::plan::decide::RequestError;
use crate::plan::gate::ChangeError;
use crate::plan::trailer::{Hold, Target};
use crate::registry::error::RegistryError;
use crate::repo::config::Branch;
use crate::repo::error::RepoError;
use crate::stage::request::StageRequestError;

/// The error of a cycle.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum CycleError {
    /// The infrastructure repository failed.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The forge failed.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// A registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The age identities cannot be read.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The repository's own file is invalid.
    #[error("{0}")]
    Configuration(Box<dyn Explain + Send + Sync>),
    /// A request by name cannot be planned.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A request about a stage makes no sense.
    #[error(transparent)]
    Stage(#[from] StageRequestError),
    /// A version that was named does not exist.
    #[error("{target}: the registry has no such image, and no field holds it")]
    UnknownVersion { target: Target, near: Option<String> },
    /// A file that was named cannot be used.
    #[error(transparent)]
    NamedFile(#[from] NamedFileError),
    /// A file could not be edited.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// A field would go back to an older build.
    #[error("{image}: {to} was built before {held}, which {file} holds")]
    Downgrade { image: Repository, held: String, to: String, file: String },
    /// The requested version is held.
    #[error("{image}: {hold}; {file} stays as it is")]
    Held { image: Repository, file: String, hold: Box<Hold> },
    /// The tag of a requested version points to another image than the one that was verified.
    #[error("{0}")]
    TagMoved(String),
    /// A secret that is deployed with a requested field is broken.
    #[error("{0}")]
    Secret(String),
    /// The proof of origin of a requested image is not sufficient.
    #[error("{0}")]
    Unproven(String),
    /// The cycle was abandoned right before the push.
    #[error("the cycle was abandoned before it pushed anything")]
    Abandoned,
    /// Every attempt lost the race.
    #[error("could not push to {branch}: another push came first every time (attempts: {attempts})")]
    Exhausted { branch: Branch, attempts: u32 },
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
            | CycleError::TagMoved(_)
            | CycleError::Secret(_)
            | CycleError::Unproven(_) => Fault::Blocked,
            CycleError::Request(_)
            | CycleError::Stage(_)
            | CycleError::UnknownVersion { .. }
            | CycleError::NamedFile(_) => Fault::BadInput,
            CycleError::Change(error) => match error.source {
                EditError::NeedsTag { .. }
                | EditError::NoDigest { .. }
                | EditError::NeedsDigest { .. }
                | EditError::Unreadable(_) => Fault::BadInput,
                EditError::Encrypted | EditError::UpdateMac(_) => Fault::Blocked,
                EditError::Refused(ref refused) if !refused.is_bug() => Fault::Local,
                EditError::Moved { .. } | EditError::Refused(_) => Fault::Bug,
            },
            CycleError::Exhausted { .. } => Fault::Stale,
            CycleError::Abandoned => Fault::Transient,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            CycleError::Repo(error) => error.help(),
            CycleError::Forge(error) => error.help(),
            CycleError::Registry(error) => error.help(),
            CycleError::Keys(error) => error.help(),
            CycleError::Configuration(error) => error.help(),
            CycleError::Stage(error) => error.help(),
            CycleError::Request(RequestError::NoField { closest, .. }) if closest.is_empty() => {
                Some("the files that were read contain no image fields".to_owned())
            }
            CycleError::Request(RequestError::NoField { closest, .. }) => {
                let names: Vec<&str> = closest.iter().map(Repository::as_str).collect();
                Some(format!("similar images: {}", names.join(", ")))
            }
            CycleError::Request(RequestError::Encrypted(_)) => Some("edit the file with sops".to_owned()),
            CycleError::NamedFile(NamedFileError::Missing { .. }) => {
                Some("paths are relative to --dir, or to the root of the repository".to_owned())
            }
            CycleError::NamedFile(NamedFileError::NotYaml { .. }) => {
                Some("templates and files with invalid YAML are never edited; name another file".to_owned())
            }
            CycleError::Change(error) => match error.source {
                EditError::NeedsTag { .. } => Some("write IMAGE:TAG@DIGEST".to_owned()),
                EditError::Encrypted | EditError::UpdateMac(_) => Some("edit the file with sops".to_owned()),
                _ => Some(
                    "nothing was changed; edit this file by hand, and please report its structure as a bug".to_owned(),
                ),
            },
            CycleError::Request(RequestError::NothingBefore { .. }) => {
                Some("name the tag to return to: tagalong rollback IMAGE --to TAG --reason TEXT".to_owned())
            }
            CycleError::UnknownVersion { near: Some(near), .. } => Some(format!("did you mean `{near}`?")),
            CycleError::UnknownVersion { target, .. } => Some(format!(
                "hold a tag of the registry, or the whole image: tagalong hold {} --reason TEXT",
                target.image
            )),
            CycleError::Held { image, .. } => Some(format!(
                "pass --force --reason TEXT to set it anyway, or end the hold: tagalong resume {image} --reason TEXT"
            )),
            CycleError::Downgrade { .. } => Some("pass --allow-downgrade --reason TEXT to move it anyway".to_owned()),
            CycleError::TagMoved(_) => Some("run the command again, or name the digest: IMAGE:TAG@DIGEST".to_owned()),
            CycleError::Secret(_) => Some("fix the secret; `tagalong secrets verify` lists all problems".to_owned()),
            CycleError::Unproven(_) => Some(
                "sign the image, or change `signed` of its policy; `tagalong images verify` shows what is signed"
                    .to_owned(),
            ),
            CycleError::Abandoned => None,
            CycleError::Exhausted { .. } => Some("run the command again, or raise `git.attempts`".to_owned()),
        }
    }
}

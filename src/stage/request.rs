//! Requests about stages that a person names.

use crate::image::Repository;

use super::definition::{Approval, ApprovalBy, Stage};
use super::name::Name;
use super::release_name::ReleaseNameError;
use super::stages::Stages;

/// The error of a request about a stage.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum StageRequestError {
    /// There is no such stage.
    #[error("there is no stage named `{name}`")]
    Unknown { name: Name, known: Vec<Name> },
    /// Signatures are not what the stage waits for.
    #[error("a signed approval has no effect on the stage `{stage}`, whose approvals are given by {by}")]
    OtherApproval { stage: Name, by: &'static str },
    /// The stage needs no approval.
    #[error("the stage `{stage}` needs no approval")]
    NoApproval { stage: Name },
    /// Releases enter the stage from the registry.
    #[error("the stage `{stage}` follows the registry, so nothing is promoted to it")]
    FollowsRegistry { stage: Name },
    /// The image has no field in the stage.
    #[error("{image} has no field in the stage `{stage}`")]
    NotInStage { image: Repository, stage: Name },
    /// The image has fields in several stages, and only those of one may move.
    #[error("{image} is in several stages: {}", stages.iter().map(Name::as_str).collect::<Vec<_>>().join(", "))]
    SeveralStages { image: Repository, stages: Vec<Name> },
    /// No release waits for an approval.
    #[error("no release waits for an approval to enter the stage `{stage}`")]
    NothingWaits { stage: Name },
    /// Several releases wait for an approval.
    #[error("several releases wait for an approval to enter the stage `{stage}`: {}", releases.join(", "))]
    SeveralWait { stage: Name, releases: Vec<String> },
    /// A name does not refer to exactly one release.
    #[error(transparent)]
    Release(#[from] ReleaseNameError),
}

impl StageRequestError {
    /// Returns one line with the remedy.
    pub fn help(&self) -> Option<String> {
        match self {
            StageRequestError::Unknown { known, .. } if known.is_empty() => {
                Some("define `stages` in tagalong.yaml".to_owned())
            }
            StageRequestError::Unknown { known, .. } => {
                let names: Vec<&str> = known.iter().map(Name::as_str).collect();
                Some(format!("stages: {}", names.join(", ")))
            }
            StageRequestError::OtherApproval { .. } => Some("approve its pull request instead".to_owned()),
            StageRequestError::NoApproval { stage } => {
                Some(format!("to require one, set `approval` of the stage `{stage}`"))
            }
            StageRequestError::FollowsRegistry { .. } => {
                Some("`tagalong sync` deploys what its policies choose".to_owned())
            }
            StageRequestError::NotInStage { .. } => Some("`tagalong stages` shows what each stage has".to_owned()),
            StageRequestError::SeveralStages { stages, .. } => {
                let first = stages.first().map(Name::as_str).unwrap_or_default();
                Some(format!("name one of them, for example --stage {first}"))
            }
            StageRequestError::NothingWaits { .. } => {
                Some("`tagalong stages` shows what each stage waits for; name a release to approve it early".to_owned())
            }
            StageRequestError::SeveralWait { .. } => Some("name one of them".to_owned()),
            StageRequestError::Release(_) => Some("write all 64 digits of the ID of the release".to_owned()),
        }
    }
}

/// Returns the stage with a name.
pub fn stage<'s>(stages: &'s Stages, name: &Name) -> Result<&'s Stage, StageRequestError> {
    let known = || stages.stages.iter().map(|stage| stage.name.clone()).collect();
    stages.named(name).ok_or_else(|| StageRequestError::Unknown { name: name.clone(), known: known() })
}

/// Verifies that signed approvals have an effect on a stage.
pub fn takes_signatures(stage: &Stage) -> Result<(), StageRequestError> {
    let name = || stage.name.clone();
    match &stage.approval {
        None => Err(StageRequestError::NoApproval { stage: name() }),
        Some(Approval { by: ApprovalBy::Signature, .. }) => Ok(()),
        Some(Approval { by, .. }) => Err(StageRequestError::OtherApproval { stage: name(), by: by.name() }),
    }
}

//! The origin of an image that is deployed.

use serde::Serialize;

use crate::clock;
use crate::plan::origin::{Attestation, Signature};
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::repo::source::Sources;

use super::origin::prove::{Finding, Question, prove};
use super::origin::requirement::ReadRequirement;

/// What is known about the origin of an image.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DeployedOrigin {
    /// The signatures that count.
    pub signatures: Vec<Signature>,
    /// The attestations that count.
    pub attestations: Vec<Attestation>,
    /// What was found and does not count, with the reasons.
    pub flaws: Vec<String>,
    /// What is missing, if it is not proven.
    #[serde(skip)]
    pub missing: Option<String>,
}

/// Returns what is known about the origin of an image, or `None` if its policy requires no proof.
///
/// # Errors
/// The registry cannot be asked.
pub async fn of(
    registry: &Client,
    sources: &Sources,
    question: Question<'_>,
) -> Result<Option<DeployedOrigin>, RegistryError> {
    let Some(rule) = &question.rule.origin else { return Ok(None) };
    let finding = match ReadRequirement::of(rule, clock::now()) {
        Ok(required) => prove(registry, sources, question, &required).await?,
        Err(error) => Finding::nothing(error.detail()),
    };
    Ok(Some(DeployedOrigin::from(finding)))
}

impl From<Finding> for DeployedOrigin {
    fn from(finding: Finding) -> DeployedOrigin {
        let missing = finding.detail();
        let (origin, flaws) = match finding {
            Finding::Proven(origin) => (origin, Vec::new()),
            Finding::Unproven { origin, flaws, .. } => (origin, flaws),
        };
        DeployedOrigin { signatures: origin.signatures, attestations: origin.attestations, flaws, missing }
    }
}

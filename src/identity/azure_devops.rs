//! Access tokens for Azure DevOps, by workload identity.

use std::sync::Arc;

use crate::secret::Secret;

use super::azure::{AccessToken, WorkloadIdentity};
use super::environment::Environment;
use super::error::IdentityError;
use super::step::Step;

/// Azure DevOps, as Microsoft Entra ID knows it ("Use Microsoft Entra authentication with Azure DevOps").
const SCOPE: &str = "499b84ac-1321-427f-aa17-267ca6975798/.default";

/// An application or a managed identity that is a user of Azure DevOps.
#[derive(Debug)]
pub struct AzureDevOps {
    client_id: String,
    token: AccessToken,
}

impl AzureDevOps {
    /// Reads the variables of the workload identity. Does not connect yet.
    ///
    /// # Errors
    /// One of them is missing or invalid.
    pub fn new(environment: &Environment) -> Result<Arc<AzureDevOps>, IdentityError> {
        let identity = WorkloadIdentity::new(environment)?;
        let client_id = identity.client_id().to_owned();
        Ok(Arc::new(AzureDevOps { client_id, token: AccessToken::new(identity, SCOPE) }))
    }

    /// The client ID of the application or managed identity.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Returns a valid access token.
    ///
    /// # Errors
    /// There is none, and no new one can be obtained.
    pub async fn token(self: &Arc<AzureDevOps>) -> Result<Secret<String>, IdentityError> {
        let own = Arc::clone(self);
        // In a task of its own, like the tokens of a GitHub App.
        let ended = tokio::spawn(async move { own.token.get().await }).await;
        ended.unwrap_or_else(|_| {
            let host = "Microsoft Entra ID".to_owned();
            Err(IdentityError::Unreachable { host, step: Step::EntraToken, reason: "the task was aborted".to_owned() })
        })
    }

    /// Forgets an access token that a server has refused, unless it is new. Returns whether it was forgotten.
    pub async fn refused(&self) -> bool {
        self.token.refused().await
    }
}

//! Workload identity at Azure: a federated token, such as that of a Kubernetes ServiceAccount, is exchanged for an access
//! token of an application or a managed identity (Microsoft identity platform, "OAuth 2.0 client credentials flow", case
//! "Access token request with a federated credential").

use serde::Deserialize;
use std::time::Duration;

use url::Url;

use crate::secret::Secret;

use super::environment::Environment;
use super::error::IdentityError;
use super::exchange::{self, post_form};
use super::provider::Provider;
use super::renewed::{Issued, Renewed};
use super::step::Step;
use super::token_file::TokenFile;

/// Microsoft Entra ID of the public cloud.
const AUTHORITY: &str = "https://login.microsoftonline.com/";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";

/// An application or a managed identity that trusts a federated token.
#[derive(Debug, Clone)]
pub struct WorkloadIdentity {
    token_url: Url,
    client_id: String,
    token_file: TokenFile,
}

/// The response with an access token.
#[derive(Deserialize)]
struct TokenResponse {
    access_token: String,
    expires_in: u64,
}

impl WorkloadIdentity {
    /// Reads the variables that AKS and the webhook of Azure Workload Identity set.
    ///
    /// # Errors
    /// One of them is missing or invalid.
    pub fn new(environment: &Environment) -> Result<WorkloadIdentity, IdentityError> {
        let token_file = environment.require_file(Provider::Azure, TOKEN_FILE)?;
        let client_id = environment.require(Provider::Azure, "AZURE_CLIENT_ID")?.to_owned();
        let tenant = environment.require(Provider::Azure, "AZURE_TENANT_ID")?;
        // It becomes a part of the path.
        if !tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)) || tenant.starts_with('.')
        {
            let reason = "expected the ID or the domain of a tenant";
            return Err(IdentityError::Variable { variable: "AZURE_TENANT_ID", reason });
        }
        let authority = environment.endpoint("AZURE_AUTHORITY_HOST")?;
        let authority = authority.as_ref().map_or(AUTHORITY, Url::as_str).trim_end_matches('/');
        let token_url = Url::parse(&format!("{authority}/{tenant}/oauth2/v2.0/token"))
            .map_err(|_| IdentityError::Variable { variable: "AZURE_AUTHORITY_HOST", reason: "it is not a URL" })?;
        Ok(WorkloadIdentity { token_url, client_id, token_file: TokenFile::new(TOKEN_FILE, token_file) })
    }

    /// Returns the client ID of the application or managed identity.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// A hash that changes when somebody replaces the federated token.
    pub fn inputs(&self) -> [u8; 32] {
        self.token_file.hash()
    }

    /// Exchanges the federated token for an access token for a resource, whose scope ends in `/.default`. The file of the
    /// federated token is read on each call.
    ///
    /// # Errors
    /// The file cannot be read, or Microsoft Entra ID refuses.
    pub async fn access_token(&self, scope: &str) -> Result<Issued<Secret<String>>, IdentityError> {
        let assertion = self.token_file.read()?;
        let request = post_form(
            self.token_url.clone(),
            &[
                ("grant_type", "client_credentials"),
                ("client_id", &self.client_id),
                ("scope", scope),
                ("client_assertion_type", JWT_BEARER),
                ("client_assertion", assertion.expose()),
            ],
        );
        let body = exchange::send(&request, Step::EntraToken, &[&assertion]).await?;
        let response: TokenResponse = exchange::json(&self.token_url, Step::EntraToken, &body)?;
        let lifetime = Duration::from_secs(response.expires_in);
        Ok(Issued { value: Secret::new(response.access_token), lifetime })
    }
}

/// An access token for one resource, renewed before it expires and when the federated token changes.
#[derive(Debug)]
pub struct AccessToken {
    identity: WorkloadIdentity,
    scope: &'static str,
    token: Renewed<Secret<String>>,
}

impl AccessToken {
    /// Prepares to request tokens. Sends nothing yet.
    pub fn new(identity: WorkloadIdentity, scope: &'static str) -> AccessToken {
        AccessToken { identity, scope, token: Renewed::default() }
    }

    /// Returns a valid token.
    ///
    /// # Errors
    /// There is none, and no new one can be obtained.
    pub async fn get(&self) -> Result<Secret<String>, IdentityError> {
        let issue = async || self.identity.access_token(self.scope).await;
        let failed = |error: &IdentityError| {
            tracing::warn!(%error, scope = self.scope, "cannot renew the access token; the old one is still valid");
        };
        self.token.get(self.identity.inputs(), issue, failed).await
    }

    /// Forgets a token that a server has refused. Returns whether it makes sense to try again with a new one, which it
    /// does not if the refused one was new.
    pub async fn refused(&self) -> bool {
        self.token.refused().await
    }
}

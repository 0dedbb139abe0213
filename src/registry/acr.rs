//! Credentials for the registries of Azure: an access token of Microsoft Entra ID is exchanged for a refresh token of the
//! registry, which is good for hours (Azure Container Registry, "Azure Active Directory OAuth2").

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{StatusCode, Url};
use serde::Deserialize;

use crate::clock;
use crate::identity::azure::WorkloadIdentity;
use crate::identity::error::IdentityError;
use crate::identity::exchange::{self, host_of, post_form, refusal};
use crate::identity::provider::Provider;
use crate::identity::renewed::{Issued, Renewed};
use crate::identity::step::Step;
use crate::secret::Secret;

use super::error::RegistryError;
use super::transport::Transport;

/// The resource of all registries, in all of Azure's clouds. Registries may refuse tokens for Azure's resource manager.
const SCOPE: &str = "https://containerregistry.azure.net/.default";
const STEP: Step = Step::AcrExchange;
/// The largest response that is read, in bytes.
const LIMIT: usize = 256 << 10;
/// The lifetime of a refresh token that does not say when it expires.
const USUAL: Duration = Duration::from_secs(3600);

/// A refresh token of a registry, renewed before it expires and when the federated token changes.
#[derive(Debug)]
pub struct RefreshToken {
    identity: WorkloadIdentity,
    host: String,
    token: Renewed<Secret<String>, RegistryError>,
}

#[derive(Deserialize)]
struct Response {
    refresh_token: String,
}

/// The part of a refresh token that says when it expires.
#[derive(Deserialize)]
struct Claims {
    exp: i64,
}

impl RefreshToken {
    /// Prepares to request tokens for a registry. Sends nothing yet.
    pub fn new(identity: WorkloadIdentity, host: &str) -> RefreshToken {
        RefreshToken { identity, host: host.to_owned(), token: Renewed::default() }
    }

    /// Returns a valid token.
    ///
    /// # Errors
    /// There is none, and no new one can be obtained.
    pub async fn get(&self, base: &Url, transport: &Transport) -> Result<Secret<String>, RegistryError> {
        let issue = async || self.issue(base, transport).await;
        let failed = |error: &RegistryError| {
            tracing::warn!(%error, "cannot renew the refresh token; the old one is still valid");
        };
        self.token.get(self.identity.inputs(), issue, failed).await
    }

    /// Forgets a token that the registry has refused, and returns whether it makes sense to request another one.
    pub async fn refused(&self) -> bool {
        self.token.refused().await
    }

    /// Returns the identity in words.
    pub fn description(&self) -> String {
        format!("the Azure identity {}", self.identity.client_id())
    }

    async fn issue(&self, base: &Url, transport: &Transport) -> Result<Issued<Secret<String>>, RegistryError> {
        let access = self.identity.access_token(SCOPE).await.map_err(|error| self.failed(error))?.value;
        let url = base.join("oauth2/exchange").map_err(|_| self.failed(exchange::invalid(base, STEP, "its URL")))?;
        let fields = [("grant_type", "access_token"), ("service", &self.host), ("access_token", access.expose())];
        let request = post_form(url.clone(), &fields);
        let response = transport.fetch(&request, LIMIT, "a refresh token").await?;
        if response.status != StatusCode::OK || response.has_left {
            let (status, secrets) = (response.status, [&access]);
            let error = refusal(host_of(&url), STEP, status, &response.headers, &response.body, &secrets);
            return Err(self.failed(error));
        }
        let body = Secret::new(response.body);
        let found: Response = exchange::json(&url, STEP, &body).map_err(|error| self.failed(error))?;
        let value = Secret::new(found.refresh_token);
        let lifetime = lifetime(value.expose(), clock::now().as_second()).unwrap_or(USUAL);
        Ok(Issued { value, lifetime })
    }

    fn failed(&self, error: IdentityError) -> RegistryError {
        RegistryError::identity(&self.host, Provider::Azure, error)
    }
}

/// The time that a JSON Web Token (RFC 7519) is still valid for. The registry verifies it; here, a wrong time only costs a
/// request.
fn lifetime(token: &str, now: i64) -> Option<Duration> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    Some(Duration::from_secs(u64::try_from(claims.exp.checked_sub(now)?).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_token_says_when_it_expires() {
        let token = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(lifetime(&token(r#"{"exp":1060}"#), 1000), Some(Duration::from_secs(60)));
        assert_eq!(lifetime(&token(r#"{"exp":900}"#), 1000), Some(Duration::ZERO));
        for other in [token("{}"), token("x"), "opaque".to_owned(), "a.%.c".to_owned(), token(r#"{"exp":1e99}"#)] {
            assert_eq!(lifetime(&other, 1000), None, "{other}");
        }
    }
}

//! Access tokens of Google Cloud: from the metadata server of the machine or of GKE, or by workload identity federation.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use url::{Host, Url};

use crate::http::client::Request;
use crate::secret::Secret;

use super::environment::Environment;
use super::error::IdentityError;
use super::exchange;
use super::external_account::{CREDENTIALS, Federation};
use super::renewed::{Issued, Renewed};
use super::step::Step;

/// The user that belongs to the token, at registries.
pub const USER: &str = "oauth2accesstoken";
const METADATA_HOST: &str = "GCE_METADATA_HOST";
const USUAL_METADATA_HOST: &str = "metadata.google.internal";
const TOKEN_PATH: &str = "computeMetadata/v1/instance/service-accounts/default/token";

/// An access token, renewed before it expires and when the federated token changes.
#[derive(Debug)]
pub struct AccessToken {
    source: Source,
    token: Renewed<Secret<String>>,
}

#[derive(Debug)]
enum Source {
    /// The URL of the metadata server's token.
    Metadata(Url),
    Federation(Federation),
}

/// The metadata server's response.
#[derive(Deserialize)]
struct MetadataToken {
    access_token: String,
    expires_in: u64,
}

impl AccessToken {
    /// Prepares to request tokens. Sends nothing yet.
    ///
    /// # Errors
    /// A variable is invalid.
    pub fn new(environment: &Environment) -> Result<AccessToken, IdentityError> {
        let source = match environment.get(CREDENTIALS) {
            Some(file) => Source::Federation(Federation::new(environment, file.into())?),
            None => Source::Metadata(metadata_url(environment.get(METADATA_HOST).unwrap_or(USUAL_METADATA_HOST))?),
        };
        Ok(AccessToken { source, token: Renewed::default() })
    }

    /// Returns a valid token.
    ///
    /// # Errors
    /// There is none, and no new one can be obtained.
    pub async fn get(&self) -> Result<Secret<String>, IdentityError> {
        let failed = |error: &IdentityError| {
            tracing::warn!(%error, "cannot renew the access token of Google Cloud; the old one is still valid");
        };
        let inputs = match &self.source {
            Source::Metadata(_) => [0; 32],
            Source::Federation(federation) => federation.inputs(),
        };
        let issue = async || match &self.source {
            Source::Metadata(url) => of_metadata(url).await,
            Source::Federation(federation) => federation.access_token().await,
        };
        self.token.get(inputs, issue, failed).await
    }

    /// Forgets a token that a server has refused, and returns whether it makes sense to request another one.
    pub async fn refused(&self) -> bool {
        self.token.refused().await
    }

    /// Returns the identity in words.
    pub fn description(&self) -> String {
        match &self.source {
            Source::Metadata(_) => "the Google Cloud service account of this machine".to_owned(),
            Source::Federation(federation) => federation.description(),
        }
    }
}

/// The URL of the token at a metadata server. It has no TLS, so it is only ever at the addresses that Google reserves for
/// it, or on this machine.
fn metadata_url(host: &str) -> Result<Url, IdentityError> {
    let invalid = |reason| IdentityError::Variable { variable: METADATA_HOST, reason };
    let url = Url::parse(&format!("http://{host}/{TOKEN_PATH}"));
    let url = url.map_err(|_| invalid("expected a host with an optional port"))?;
    if !url.username().is_empty() || url.password().is_some() || url.path().trim_start_matches('/') != TOKEN_PATH {
        return Err(invalid("expected a host with an optional port"));
    }
    let is_metadata_server = match url.host() {
        Some(Host::Domain(name)) => name == USUAL_METADATA_HOST || name == "localhost",
        Some(Host::Ipv4(address)) => address.octets() == [169, 254, 169, 254] || address.is_loopback(),
        Some(Host::Ipv6(address)) => {
            address.segments() == [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] || IpAddr::from(address).is_loopback()
        }
        None => false,
    };
    if is_metadata_server { Ok(url) } else { Err(invalid("it is not a metadata server of Google Cloud")) }
}

/// The token of the service account that is attached to the machine or bound to the ServiceAccount (Compute Engine,
/// "Access tokens").
async fn of_metadata(url: &Url) -> Result<Issued<Secret<String>>, IdentityError> {
    let mut request = Request::new(Method::GET, url.clone());
    request.headers.insert(HeaderName::from_static("metadata-flavor"), HeaderValue::from_static("Google"));
    let body = exchange::send(&request, Step::Metadata, &[]).await?;
    let found: MetadataToken = exchange::json(url, Step::Metadata, &body)?;
    Ok(Issued { value: Secret::new(found.access_token), lifetime: Duration::from_secs(found.expires_in) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_server_is_at_its_own_addresses() {
        for host in
            ["metadata.google.internal", "169.254.169.254", "169.254.169.254:80", "[fd20:ce::254]", "127.0.0.1:1"]
        {
            assert!(metadata_url(host).is_ok(), "{host}");
        }
        for host in ["evil.net", "169.254.169.253", "10.0.0.1", "evil.net/x#", "127.0.0.1/x", "u:p@127.0.0.1", "", "["]
        {
            assert!(metadata_url(host).expect_err(host).to_string().contains(METADATA_HOST), "{host}");
        }
    }
}

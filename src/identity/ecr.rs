//! Passwords for the private registries of Amazon ECR, which are good for twelve hours (ECR API reference, action
//! `GetAuthorizationToken`).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde::Deserialize;
use url::Url;

use crate::clock;
use crate::http::client::Request;
use crate::secret::Secret;

use super::aws::{self, Source};
use super::environment::Environment;
use super::error::IdentityError;
use super::exchange::{self, host_of};
use super::hosts::{aws_domain, ecr_host};
use super::renewed::{Issued, Renewed};
use super::sigv4::{Credentials, Service, amz_date, authorization};
use super::step::Step;

/// The user that belongs to the password.
pub const USER: &str = "AWS";
const TARGET: &str = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
const STEP: Step = Step::EcrToken;

/// The password for a registry, renewed before it expires and when the token of the identity changes.
#[derive(Debug)]
pub struct EcrPassword {
    source: Source,
    api: Url,
    region: String,
    password: Renewed<Secret<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    authorization_data: Vec<AuthorizationData>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizationData {
    /// `AWS:` and the password, in base64.
    authorization_token: String,
    /// Seconds since 1970.
    expires_at: f64,
}

impl EcrPassword {
    /// Prepares to request passwords for a registry. Sends nothing yet.
    ///
    /// # Errors
    /// The environment lacks something.
    pub fn new(environment: &Environment, host: &str) -> Result<EcrPassword, IdentityError> {
        let (region, is_fips) = match ecr_host(host) {
            Some(ecr) => (ecr.region, ecr.is_fips),
            // A name of the user's own.
            None => (aws::region(environment)?.to_owned(), false),
        };
        let service = if is_fips { "ecr-fips" } else { "api.ecr" };
        let api = match environment.endpoint("AWS_ENDPOINT_URL_ECR")? {
            Some(api) => api,
            None => Url::parse(&format!("https://{service}.{region}.{}/", aws_domain(&region)))
                .map_err(|_| IdentityError::Variable { variable: "AWS_REGION", reason: "it is not a region" })?,
        };
        Ok(EcrPassword { source: Source::new(environment, &region)?, api, region, password: Renewed::default() })
    }

    /// Returns a valid password.
    ///
    /// # Errors
    /// There is none, and no new one can be obtained.
    pub async fn get(&self) -> Result<Secret<String>, IdentityError> {
        let failed = |error: &IdentityError| {
            tracing::warn!(%error, region = self.region, "cannot renew the password for ECR; the old one is still valid");
        };
        self.password.get(self.source.inputs(), async || self.issue().await, failed).await
    }

    /// Forgets a password that the registry has refused, and returns whether it makes sense to request another one.
    pub async fn refused(&self) -> bool {
        self.password.refused().await
    }

    /// Returns the identity in words.
    pub fn description(&self) -> String {
        self.source.description()
    }

    async fn issue(&self) -> Result<Issued<Secret<String>>, IdentityError> {
        let credentials = self.source.credentials().await?;
        let secrets: Vec<_> =
            [Some(&credentials.secret_key), credentials.session_token.as_ref()].into_iter().flatten().collect();
        let body = exchange::send(&self.request(&credentials)?, STEP, &secrets).await?;
        let response: Response = exchange::json(&self.api, STEP, &body)?;
        let invalid = |reason| exchange::invalid(&self.api, STEP, reason);
        let data = response.authorization_data.into_iter().next().ok_or_else(|| invalid("it contains no password"))?;
        let token = Secret::new(data.authorization_token);
        let pair = STANDARD.decode(token.expose()).ok().and_then(|pair| String::from_utf8(pair).ok()).map(Secret::new);
        let password = pair.as_ref().and_then(|pair| pair.expose().strip_prefix("AWS:"));
        let password = password.ok_or_else(|| invalid("its password is not one of the user AWS"))?;
        let left = data.expires_at - clock::now().as_second() as f64;
        Ok(Issued { value: Secret::new(password.to_owned()), lifetime: Duration::from_secs(left.max(0.0) as u64) })
    }

    /// The signed request.
    fn request(&self, credentials: &Credentials) -> Result<Request, IdentityError> {
        let (date, host, body) = (amz_date(clock::now()), host_of(&self.api), b"{}".as_slice());
        let mut headers = vec![
            ("content-type", CONTENT_TYPE),
            ("host", host.as_str()),
            ("x-amz-date", date.as_str()),
            ("x-amz-target", TARGET),
        ];
        let token = credentials.session_token.as_ref();
        headers.extend(token.map(|token| ("x-amz-security-token", token.expose().as_str())));
        let service = Service { region: &self.region, name: "ecr" };
        let signed = authorization(credentials, service, &date, "POST", &headers, body);
        let invalid = |_| exchange::invalid(&self.api, STEP, "a part of the credentials is not a single line");
        let mut request = exchange::post(self.api.clone(), CONTENT_TYPE, body.to_vec());
        request.headers.insert(HeaderName::from_static("x-amz-target"), HeaderValue::from_static(TARGET));
        request = request.with_secret(HeaderName::from_static("x-amz-date"), &Secret::new(date)).map_err(invalid)?;
        if let Some(token) = token {
            let name = HeaderName::from_static("x-amz-security-token");
            request = request.with_secret(name, token).map_err(invalid)?;
        }
        request.with_secret(AUTHORIZATION, &signed).map_err(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_that_of_the_regions_registry() {
        let with = |host: &str, more: &[(&str, &str)]| {
            let keys = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")];
            let all = [&keys, more].concat();
            let value =
                |wanted: &str| all.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned());
            EcrPassword::new(&Environment::of(&value), host).map(|password| password.api.to_string())
        };
        let ecr = |part: &str| format!("012345678901.dkr.{part}");
        for (host, api) in [
            (ecr("ecr.eu-west-1.amazonaws.com"), "https://api.ecr.eu-west-1.amazonaws.com/"),
            (ecr("ecr.cn-north-1.amazonaws.com.cn"), "https://api.ecr.cn-north-1.amazonaws.com.cn/"),
            (ecr("ecr-fips.us-east-1.amazonaws.com"), "https://ecr-fips.us-east-1.amazonaws.com/"),
        ] {
            // The region of the registry, not that of the cluster.
            assert_eq!(with(&host, &[("AWS_REGION", "us-west-2")]).as_deref(), Ok(api), "{host}");
        }
        let own = with("registry.example.com", &[("AWS_REGION", "us-west-2")]);
        assert_eq!(own.as_deref(), Ok("https://api.ecr.us-west-2.amazonaws.com/"));
        let error = with("registry.example.com", &[]).expect_err("no region").to_string();
        assert!(error.contains("AWS_REGION"), "{error}");
    }
}

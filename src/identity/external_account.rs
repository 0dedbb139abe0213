//! Workload identity federation of Google Cloud: the token of another issuer is exchanged for an access token, and that for
//! one of a service account if the configuration names it (AIP-4117, "External Account Credentials"). The configuration
//! is not secret and may be written by somebody else, so it cannot choose who receives tokens.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use crate::clock;
use crate::secret::Secret;

use super::environment::Environment;
use super::error::IdentityError;
use super::exchange::{self, post_form};
use super::renewed::Issued;
use super::step::Step;
use super::token_file::TokenFile;

/// The variable that names the configuration.
pub const CREDENTIALS: &str = "GOOGLE_APPLICATION_CREDENTIALS";
const STS_OVERRIDE: &str = "CLOUDSDK_API_ENDPOINT_OVERRIDES_STS";
const IAM_OVERRIDE: &str = "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The path of a service account's access tokens, before and after its name.
const IMPERSONATION: (&str, &str) = ("/v1/projects/-/serviceAccounts/", ":generateAccessToken");

/// A federation, as configured in a file.
#[derive(Debug)]
pub struct Federation {
    file: TokenFile,
    sts: Option<Url>,
    iam: Option<Url>,
}

/// The configuration, as `gcloud iam workload-identity-pools create-cred-config` writes it.
#[derive(Deserialize)]
struct Configuration {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    audience: String,
    #[serde(default)]
    subject_token_type: String,
    token_url: Option<String>,
    service_account_impersonation_url: Option<String>,
    #[serde(default)]
    service_account_impersonation: Impersonation,
    #[serde(default)]
    credential_source: CredentialSource,
    universe_domain: Option<String>,
}

#[derive(Deserialize, Default)]
struct Impersonation {
    token_lifetime_seconds: Option<u32>,
}

/// The source of the other issuer's token. There are others than files, which need programs or secrets.
#[derive(Deserialize, Default)]
struct CredentialSource {
    file: Option<PathBuf>,
    #[serde(default)]
    format: Format,
}

#[derive(Deserialize, Default)]
struct Format {
    #[serde(rename = "type")]
    kind: Option<String>,
    subject_token_field_name: Option<String>,
}

/// The response of STS.
#[derive(Deserialize)]
struct ExchangedToken {
    access_token: String,
    #[serde(default = "hour")]
    expires_in: u64,
}

/// The response with a service account's token.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceAccountToken {
    access_token: String,
    expire_time: Timestamp,
}

fn hour() -> u64 {
    3600
}

impl Federation {
    /// Prepares to read the configuration, which happens for each token.
    ///
    /// # Errors
    /// An endpoint in the environment is invalid.
    pub fn new(environment: &Environment, file: PathBuf) -> Result<Federation, IdentityError> {
        let file = TokenFile::new(CREDENTIALS, file);
        Ok(Federation { file, sts: environment.endpoint(STS_OVERRIDE)?, iam: environment.endpoint(IAM_OVERRIDE)? })
    }

    /// A hash that changes with the configuration and the other issuer's token.
    pub fn inputs(&self) -> [u8; 32] {
        let token = self.configuration().and_then(|configuration| configuration.token_file(&self.file));
        let token = token.map(|file| file.hash()).unwrap_or_default();
        Sha256::digest([self.file.hash(), token].concat()).into()
    }

    /// Returns the identity in words.
    pub fn description(&self) -> String {
        let url = self.configuration().ok().and_then(|found| found.service_account_impersonation_url);
        let account = url.as_deref().and_then(service_account);
        account.map_or_else(
            || "the federated identity at Google Cloud".to_owned(),
            |account| format!("the Google Cloud service account {account}"),
        )
    }

    /// Exchanges the other issuer's token.
    ///
    /// # Errors
    /// The configuration cannot be used, or a service refuses.
    pub async fn access_token(&self) -> Result<Issued<Secret<String>>, IdentityError> {
        let configuration = self.configuration()?;
        let token = configuration.subject_token(&self.file)?;
        let url = configuration.sts(&self.file, self.sts.as_ref())?;
        let request = post_form(
            url.clone(),
            &[
                ("grant_type", GRANT),
                ("audience", &configuration.audience),
                ("scope", SCOPE),
                ("requested_token_type", ACCESS_TOKEN),
                ("subject_token_type", &configuration.subject_token_type),
                ("subject_token", token.expose()),
            ],
        );
        let body = exchange::send(&request, Step::GoogleExchange, &[&token]).await?;
        let found: ExchangedToken = exchange::json(&url, Step::GoogleExchange, &body)?;
        let federated = Secret::new(found.access_token);
        match configuration.impersonation(&self.file, self.iam.as_ref())? {
            Some(url) => impersonate(&url, configuration.lifetime(), &federated).await,
            None => Ok(Issued { value: federated, lifetime: Duration::from_secs(found.expires_in) }),
        }
    }

    fn configuration(&self) -> Result<Configuration, IdentityError> {
        let text = self.file.read()?;
        let unusable = |reason: &str| Err(self.file.unusable(reason.to_owned()));
        // The parser's own message could repeat a part of the file, which holds a private key in other types.
        let Ok(found) = serde_json::from_str::<Configuration>(text.expose()) else {
            return unusable("it is not a configuration of Google Cloud");
        };
        match found.kind.as_str() {
            "external_account" => {}
            "service_account" => {
                return unusable(
                    "it holds the key of a service account, which is not supported; use workload identity federation, or \
                     put the key into a Docker config file as the password of _json_key",
                );
            }
            _ => return unusable("its type is not external_account"),
        }
        if found.universe_domain.as_deref().is_some_and(|domain| domain != "googleapis.com") {
            return unusable("its universe_domain is not googleapis.com");
        }
        Ok(found)
    }
}

impl Configuration {
    fn token_file(&self, own: &TokenFile) -> Result<TokenFile, IdentityError> {
        let reason = "its credential_source is not a file, which is the only one that is supported";
        let file = self.credential_source.file.clone().ok_or_else(|| own.unusable(reason.to_owned()))?;
        Ok(TokenFile::new("the configuration in GOOGLE_APPLICATION_CREDENTIALS", file))
    }

    /// The other issuer's token.
    fn subject_token(&self, own: &TokenFile) -> Result<Secret<String>, IdentityError> {
        let file = self.token_file(own)?;
        let text = file.read()?;
        let format = &self.credential_source.format;
        match format.kind.as_deref() {
            None | Some("text") => Ok(text),
            Some("json") => {
                let field = format.subject_token_field_name.as_deref().unwrap_or_default();
                let json: Value = serde_json::from_str(text.expose()).unwrap_or_default();
                let token = json[field].as_str().filter(|token| !token.is_empty());
                let missing = || file.unusable("it is not JSON with the field that the configuration names".to_owned());
                token.map(|token| Secret::new(token.to_owned())).ok_or_else(missing)
            }
            Some(_) => Err(own.unusable("the format of its credential_source is not text or json".to_owned())),
        }
    }

    fn sts(&self, own: &TokenFile, other: Option<&Url>) -> Result<Url, IdentityError> {
        let text = self.token_url.as_deref().unwrap_or("https://sts.googleapis.com/v1/token");
        let url = google_url(text, "sts").filter(|url| url.path() == "/v1/token");
        let url =
            url.ok_or_else(|| own.unusable("its token_url is not https://sts.googleapis.com/v1/token".to_owned()));
        Ok(at(url?, other))
    }

    fn impersonation(&self, own: &TokenFile, other: Option<&Url>) -> Result<Option<Url>, IdentityError> {
        let Some(text) = &self.service_account_impersonation_url else { return Ok(None) };
        let url = google_url(text, "iamcredentials").filter(|_| service_account(text).is_some());
        let reason = "its service_account_impersonation_url is not one of https://iamcredentials.googleapis.com";
        let url = url.ok_or_else(|| own.unusable(reason.to_owned()))?;
        Ok(Some(at(url, other)))
    }

    fn lifetime(&self) -> u32 {
        self.service_account_impersonation.token_lifetime_seconds.unwrap_or(3600)
    }
}

/// Parses the URL of a service of Google: at its usual host, a regional one (`sts.europe-west1.rep.googleapis.com`), or one
/// of Private Service Connect (`sts-acme.p.googleapis.com`).
fn google_url(text: &str, service: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_plain =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.port().is_none();
    let own = url.host_str()?.strip_suffix(".googleapis.com")?.strip_prefix(service)?;
    let is_own = match own {
        "" => true,
        own if own.starts_with('-') => own.ends_with(".p"),
        own => own.starts_with('.') && own.ends_with(".rep"),
    };
    (url.scheme() == "https" && is_plain && is_own).then_some(url)
}

/// The name of the service account in the URL of its access tokens.
fn service_account(url: &str) -> Option<&str> {
    let (_, path) = url.strip_prefix("https://")?.split_once(IMPERSONATION.0)?;
    let account = path.strip_suffix(IMPERSONATION.1)?;
    let is_named = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@:".contains(&byte);
    (!account.is_empty() && account.bytes().all(is_named)).then_some(account)
}

/// The same path at another endpoint, if there is one.
fn at(url: Url, other: Option<&Url>) -> Url {
    let Some(mut moved) = other.cloned() else { return url };
    moved.set_path(&format!("{}{}", moved.path().trim_end_matches('/'), url.path()));
    moved
}

/// IAM Service Account Credentials API, method `projects.serviceAccounts.generateAccessToken`.
async fn impersonate(
    url: &Url,
    seconds: u32,
    federated: &Secret<String>,
) -> Result<Issued<Secret<String>>, IdentityError> {
    let step = Step::Impersonate;
    let body = json!({ "scope": [SCOPE], "lifetime": format!("{seconds}s") }).to_string();
    let bearer = Secret::new(format!("Bearer {}", federated.expose()));
    let request =
        exchange::post(url.clone(), "application/json", body.into_bytes()).with_secret(AUTHORIZATION, &bearer);
    let request = request.map_err(|_| exchange::invalid(url, step, "the token for it is not a single line"))?;
    let body = exchange::send(&request, step, &[federated]).await?;
    let found: ServiceAccountToken = exchange::json(url, step, &body)?;
    let left = found.expire_time.duration_since(clock::now());
    Ok(Issued { value: Secret::new(found.access_token), lifetime: left.try_into().unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_sent_to_google_alone() {
        for url in [
            "https://sts.googleapis.com/v1/token",
            "https://sts.europe-west1.rep.googleapis.com/v1/token",
            "https://sts-acme.p.googleapis.com/v1/token",
        ] {
            assert!(google_url(url, "sts").is_some(), "{url}");
        }
        for url in [
            "http://sts.googleapis.com/v1/token",
            "https://sts.googleapis.com:8443/v1/token",
            "https://sts.googleapis.com.evil.net/v1/token",
            "https://evil.net/sts.googleapis.com",
            "https://sts.googleapis.com@evil.net/v1/token",
            "https://u@sts.googleapis.com/v1/token",
            "https://stsevil.googleapis.com/v1/token",
            "https://evil-sts.googleapis.com/v1/token",
            "https://sts.googleapis.com/v1/token?x=y",
            "https://127.0.0.1/v1/token",
            "x",
        ] {
            assert!(google_url(url, "sts").is_none(), "{url}");
        }
    }

    #[test]
    fn a_service_account_is_named_by_its_url() {
        let url = |account: &str| {
            format!("https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{account}:generateAccessToken")
        };
        let account = "tagalong@acme.iam.gserviceaccount.com";
        assert_eq!(service_account(&url(account)), Some(account));
        for other in ["", "a/b", "a?b", "a b", "a#b"] {
            assert_eq!(service_account(&url(other)), None, "{other}");
        }
        assert_eq!(service_account("https://iamcredentials.googleapis.com/v1/x"), None);
    }
}

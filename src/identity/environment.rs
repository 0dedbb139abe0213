//! The environment variables with which clouds tell a process who it is. They are those that the clouds' own SDKs read.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use url::{Host, Url};

use crate::secret::Secret;

use super::error::IdentityError;
use super::provider::Provider;

/// The variables of AWS.
pub const AWS: [&str; 12] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_ECR",
];
/// The variables of Azure.
pub const AZURE: [&str; 4] =
    ["AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_AUTHORITY_HOST"];
/// The variables of Google Cloud.
pub const GOOGLE: [&str; 4] = [
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GCE_METADATA_HOST",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_STS",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS",
];

/// Where the firmware of a machine names its product.
const PRODUCT_NAME: &str = "/sys/class/dmi/id/product_name";

/// The variables that are set. Some hold secrets, so none is ever printed.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<&'static str, Secret<String>>,
    /// Whether the machine is one of Google's, whose metadata server has no variable.
    is_at_google: bool,
}

impl Environment {
    /// Reads the variables, and whether this machine is one of Google's.
    pub fn read(variable: &dyn Fn(&str) -> Option<String>) -> Environment {
        let product = std::fs::read_to_string(PRODUCT_NAME).unwrap_or_default();
        let is_at_google = product.starts_with("Google");
        Environment { is_at_google, ..Environment::of(variable) }
    }

    /// Reads the variables alone.
    pub fn of(variable: &dyn Fn(&str) -> Option<String>) -> Environment {
        let set = AWS.iter().chain(&AZURE).chain(&GOOGLE).filter_map(|name| Some((*name, variable(name)?)));
        let set = set.filter(|(_, value)| !value.is_empty());
        let variables = set.map(|(name, value)| (name, Secret::new(value))).collect();
        Environment { variables, is_at_google: false }
    }

    /// Returns whether it offers an identity at a cloud.
    pub fn offers(&self, provider: Provider) -> bool {
        let has = |name: &str| self.get(name).is_some();
        match provider {
            Provider::Aws => {
                has("AWS_ACCESS_KEY_ID")
                    || has("AWS_WEB_IDENTITY_TOKEN_FILE")
                    || has("AWS_CONTAINER_CREDENTIALS_FULL_URI")
            }
            Provider::Azure => has("AZURE_FEDERATED_TOKEN_FILE"),
            Provider::Google => has("GOOGLE_APPLICATION_CREDENTIALS") || has("GCE_METADATA_HOST") || self.is_at_google,
        }
    }

    /// The value of a variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|value| value.expose().as_str())
    }

    /// The value of a secret variable.
    ///
    /// # Errors
    /// It is not set.
    pub fn require_secret(&self, provider: Provider, name: &'static str) -> Result<&Secret<String>, IdentityError> {
        self.variables.get(name).ok_or(IdentityError::Missing { provider, variable: name })
    }

    /// The value of a variable.
    ///
    /// # Errors
    /// It is not set.
    pub fn require(&self, provider: Provider, name: &'static str) -> Result<&str, IdentityError> {
        self.require_secret(provider, name).map(|value| value.expose().as_str())
    }

    /// The path in a variable.
    ///
    /// # Errors
    /// It is not set.
    pub fn require_file(&self, provider: Provider, name: &'static str) -> Result<PathBuf, IdentityError> {
        self.require(provider, name).map(|path| Path::new(path).to_owned())
    }

    /// The URL of an endpoint in a variable, if it is set. Secrets are sent there, so it has to be `https`; `http` is good
    /// enough for this machine alone.
    ///
    /// # Errors
    /// It is not such a URL.
    pub fn endpoint(&self, name: &'static str) -> Result<Option<Url>, IdentityError> {
        let invalid = |reason| IdentityError::Variable { variable: name, reason };
        let Some(text) = self.get(name) else { return Ok(None) };
        let url = Url::parse(text).map_err(|_| invalid("it is not a URL"))?;
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || url.query().is_some() || url.fragment().is_some() || url.host().is_none() {
            return Err(invalid("only a scheme, host, port and path are allowed"));
        }
        match url.scheme() {
            "https" => Ok(Some(url)),
            "http" if is_loopback(&url) => Ok(Some(url)),
            "http" => Err(invalid("secrets would be sent in clear text; use https")),
            _ => Err(invalid("its scheme is not https")),
        }
    }
}

/// Returns whether a URL leads to this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &str) -> Environment {
        Environment::of(&|wanted| (wanted == name).then(|| value.to_owned()))
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        assert!(!with("AZURE_FEDERATED_TOKEN_FILE", "").offers(Provider::Azure));
        assert!(with("AZURE_FEDERATED_TOKEN_FILE", "/t").offers(Provider::Azure));
        assert!(!with("AZURE_FEDERATED_TOKEN_FILE", "/t").offers(Provider::Aws));
        let error = with("AZURE_CLIENT_ID", "").require(Provider::Azure, "AZURE_CLIENT_ID").expect_err("not set");
        assert!(error.to_string().contains("AZURE_CLIENT_ID"), "{error}");
        let shown = format!("{:?}", with("AWS_SECRET_ACCESS_KEY", "sesame"));
        assert!(shown.contains("AWS_SECRET_ACCESS_KEY") && !shown.contains("sesame"), "{shown}");
    }

    #[test]
    fn endpoints_are_encrypted_or_on_this_machine() {
        let endpoint = |text: &str| with("AZURE_AUTHORITY_HOST", text).endpoint("AZURE_AUTHORITY_HOST");
        for text in ["https://login.example.com/", "http://127.0.0.1:4000", "http://[::1]:4000", "http://localhost:1"] {
            assert!(endpoint(text).expect(text).is_some(), "{text}");
        }
        for text in [
            "http://login.example.com/",
            "http://169.254.169.254/",
            "http://localhost.example.com/",
            "http://127.0.0.1.example.com/",
            "https://user:sesame@login.example.com/",
            "https://login.example.com/?x=sesame",
            "ftp://127.0.0.1/",
            "login.microsoftonline.com",
        ] {
            let error = endpoint(text).expect_err(text).to_string();
            assert!(error.contains("AZURE_AUTHORITY_HOST") && !error.contains("sesame"), "{error}");
        }
    }
}

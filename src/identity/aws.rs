//! Credentials of AWS: for the web identity of a Kubernetes ServiceAccount (IAM roles for service accounts), from the agent
//! of EKS Pod Identity, or from the environment itself.

use reqwest::Method;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;
use url::{Host, Url};

use crate::http::client::Request;
use crate::secret::Secret;

use super::environment::{Environment, is_loopback};
use super::error::IdentityError;
use super::exchange::{self, post_form};
use super::hosts::{aws_domain, is_region};
use super::provider::Provider;
use super::sigv4::Credentials;
use super::step::Step;
use super::token_file::TokenFile;
use super::xml;

const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const POD_URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const POD_TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
/// The version of STS's API.
const STS_VERSION: &str = "2011-06-15";
/// The lifetime of the role's credentials in seconds, the shortest that there is: they sign a single request.
const SECONDS: &str = "900";
/// The name of the session if none is configured.
const SESSION: &str = "tagalong";

/// The source of AWS credentials.
#[derive(Debug, Clone)]
pub enum Source {
    /// The access key in the environment.
    AccessKey(Credentials),
    /// A role that trusts a web identity.
    WebIdentity {
        /// The endpoint of STS.
        sts: Url,
        /// The role.
        role: String,
        /// The name of the session.
        session: String,
        /// The file with the token of the web identity.
        token_file: TokenFile,
    },
    /// The agent of EKS Pod Identity.
    Pod {
        /// Its URL.
        url: Url,
        /// The file with the token for it.
        token_file: TokenFile,
    },
}

/// The agent's response.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PodCredentials {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
}

/// Returns the region in the environment.
///
/// # Errors
/// None is set, or it is invalid.
pub fn region(environment: &Environment) -> Result<&str, IdentityError> {
    let variable = match environment.get("AWS_REGION") {
        Some(_) => "AWS_REGION",
        None => "AWS_DEFAULT_REGION",
    };
    let missing = IdentityError::Missing { provider: Provider::Aws, variable: "AWS_REGION" };
    let region = environment.get(variable).ok_or(missing)?;
    let reason = "expected a region such as eu-west-1";
    if is_region(region) { Ok(region) } else { Err(IdentityError::Variable { variable, reason }) }
}

impl Source {
    /// Reads the variables, in the order of AWS's SDKs. The endpoint of STS is the one of the region in the environment,
    /// else of the given one.
    ///
    /// # Errors
    /// A variable is missing or invalid.
    pub fn new(environment: &Environment, other_region: &str) -> Result<Source, IdentityError> {
        if let Some(access_key) = environment.get("AWS_ACCESS_KEY_ID") {
            let secret_key = environment.require_secret(Provider::Aws, "AWS_SECRET_ACCESS_KEY")?.clone();
            let session_token = environment.get("AWS_SESSION_TOKEN").map(|token| Secret::new(token.to_owned()));
            return Ok(Source::AccessKey(Credentials { access_key: access_key.to_owned(), secret_key, session_token }));
        }
        if environment.get(TOKEN_FILE).is_none() && environment.get(POD_URI).is_some() {
            let token_file = environment.require_file(Provider::Aws, POD_TOKEN_FILE)?;
            let token_file = TokenFile::new(POD_TOKEN_FILE, token_file);
            return Ok(Source::Pod { url: pod_url(environment)?, token_file });
        }
        let token_file = TokenFile::new(TOKEN_FILE, environment.require_file(Provider::Aws, TOKEN_FILE)?);
        let role = environment.require(Provider::Aws, "AWS_ROLE_ARN")?.to_owned();
        let session = environment.get("AWS_ROLE_SESSION_NAME").unwrap_or(SESSION).to_owned();
        let sts = match environment.endpoint("AWS_ENDPOINT_URL_STS")? {
            Some(sts) => sts,
            None => {
                let own = region(environment);
                let region = match &own {
                    Err(IdentityError::Missing { .. }) => other_region,
                    own => own.as_ref().map_err(Clone::clone)?,
                };
                let invalid = IdentityError::Variable { variable: "AWS_REGION", reason: "it is not a region" };
                Url::parse(&format!("https://sts.{region}.{}/", aws_domain(region))).map_err(|_| invalid)?
            }
        };
        Ok(Source::WebIdentity { sts, role, session, token_file })
    }

    /// A hash that changes when somebody replaces the token from which the credentials come.
    pub fn inputs(&self) -> [u8; 32] {
        match self {
            Source::AccessKey(_) => [0; 32],
            Source::WebIdentity { token_file, .. } | Source::Pod { token_file, .. } => token_file.hash(),
        }
    }

    /// Requests credentials, unless they are in the environment.
    ///
    /// # Errors
    /// The token cannot be read, or the service refuses.
    pub async fn credentials(&self) -> Result<Credentials, IdentityError> {
        match self {
            Source::AccessKey(credentials) => Ok(credentials.clone()),
            Source::WebIdentity { sts, role, session, token_file } => assume_role(sts, role, session, token_file).await,
            Source::Pod { url, token_file } => of_pod(url, token_file).await,
        }
    }

    /// Returns the identity in words.
    pub fn description(&self) -> String {
        match self {
            Source::AccessKey(_) => "the AWS access key in the environment".to_owned(),
            Source::WebIdentity { role, .. } => format!("the AWS role {role}"),
            Source::Pod { .. } => "the AWS role of the pod".to_owned(),
        }
    }
}

/// STS, action `AssumeRoleWithWebIdentity`, which needs no signature.
async fn assume_role(
    sts: &Url,
    role: &str,
    session: &str,
    token_file: &TokenFile,
) -> Result<Credentials, IdentityError> {
    let token = token_file.read()?;
    let request = post_form(
        sts.clone(),
        &[
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", STS_VERSION),
            ("RoleArn", role),
            ("RoleSessionName", session),
            ("DurationSeconds", SECONDS),
            ("WebIdentityToken", token.expose()),
        ],
    );
    let step = Step::AssumeRole;
    let body = exchange::send(&request, step, &[&token]).await?;
    let body = std::str::from_utf8(body.expose()).map_err(|_| exchange::invalid(sts, step, "it is not text"))?;
    let part = |name: &str| {
        let missing = || exchange::invalid(sts, step, "it contains no credentials");
        xml::text(body, name).filter(|text| !text.is_empty()).ok_or_else(missing)
    };
    Ok(Credentials {
        access_key: part("AccessKeyId")?,
        secret_key: Secret::new(part("SecretAccessKey")?),
        session_token: Some(Secret::new(part("SessionToken")?)),
    })
}

/// The agent of EKS Pod Identity, which implements the container credential provider of AWS's SDKs.
async fn of_pod(url: &Url, token_file: &TokenFile) -> Result<Credentials, IdentityError> {
    let (token, step) = (token_file.read()?, Step::PodIdentity);
    let request = Request::new(Method::GET, url.clone()).with_secret(AUTHORIZATION, &token);
    let request = request.map_err(|_| token_file.unusable("it does not hold a single line".to_owned()))?;
    let body = exchange::send(&request, step, &[&token]).await?;
    let found: PodCredentials = exchange::json(url, step, &body)?;
    Ok(Credentials {
        access_key: found.access_key_id,
        secret_key: Secret::new(found.secret_access_key),
        session_token: found.token.map(Secret::new),
    })
}

/// The URL of the agent. It has no TLS on the link-local addresses that EKS reserves for it, and may have none on this
/// machine.
fn pod_url(environment: &Environment) -> Result<Url, IdentityError> {
    let invalid = |reason| IdentityError::Variable { variable: POD_URI, reason };
    let url = Url::parse(environment.require(Provider::Aws, POD_URI)?).map_err(|_| invalid("it is not a URL"))?;
    let is_agent = match url.host() {
        Some(Host::Ipv4(address)) => address.octets() == [169, 254, 170, 23],
        Some(Host::Ipv6(address)) => address.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23],
        _ => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_agent || is_loopback(&url) => Ok(url),
        _ => Err(invalid("the token would be sent in clear text to another address than that of EKS Pod Identity")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(variables: &[(&str, &str)]) -> Result<Source, IdentityError> {
        let value =
            |wanted: &str| variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned());
        Source::new(&Environment::of(&value), "eu-central-1")
    }

    const WEB: [(&str, &str); 2] = [(TOKEN_FILE, "/t"), ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x")];

    #[test]
    fn the_endpoint_of_sts_is_regional() {
        let sts = |more: &[(&str, &str)]| match source(&[&WEB, more].concat()) {
            Ok(Source::WebIdentity { sts, .. }) => Ok(sts.to_string()),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        };
        assert_eq!(sts(&[]).as_deref(), Ok("https://sts.eu-central-1.amazonaws.com/"));
        assert_eq!(sts(&[("AWS_REGION", "cn-north-1")]).as_deref(), Ok("https://sts.cn-north-1.amazonaws.com.cn/"));
        assert_eq!(sts(&[("AWS_DEFAULT_REGION", "us-east-2")]).as_deref(), Ok("https://sts.us-east-2.amazonaws.com/"));
        for region in ["evil.net/x-", "eu west-1", "eu-west-1.evil.net", "x"] {
            assert!(sts(&[("AWS_REGION", region)]).expect_err(region).contains("AWS_REGION"), "{region}");
        }
        assert!(sts(&[("AWS_ENDPOINT_URL_STS", "http://sts.example.com")]).is_err());
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = |variables: &[(&str, &str)]| source(variables).expect_err("incomplete").to_string();
        assert!(missing(&[]).contains(TOKEN_FILE));
        assert!(missing(&WEB[..1]).contains("AWS_ROLE_ARN"));
        assert!(missing(&[(POD_URI, "http://169.254.170.23/v1/credentials")]).contains(POD_TOKEN_FILE));
        assert!(missing(&[("AWS_ACCESS_KEY_ID", "a")]).contains("AWS_SECRET_ACCESS_KEY"));
    }

    #[test]
    fn the_token_of_a_pod_is_sent_to_the_agent_alone() {
        let pod = |uri: &str| source(&[(POD_URI, uri), (POD_TOKEN_FILE, "/t")]);
        for uri in [
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
            "http://127.0.0.1:4000/",
            "https://credentials.example.com/",
        ] {
            assert!(matches!(pod(uri), Ok(Source::Pod { .. })), "{uri}");
        }
        for uri in ["http://169.254.169.254/", "http://169.254.170.24/", "http://evil.net/", "ftp://127.0.0.1/", "x"] {
            assert!(pod(uri).expect_err(uri).to_string().contains(POD_URI), "{uri}");
        }
    }
}

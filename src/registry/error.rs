//! The errors of registries.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::fault::{Explain, Fault};
use crate::http::excerpt::excerpt;
use crate::http::redirect::{RedirectError, RedirectProblem};
use crate::http::{self, ConnectionFailure};
use crate::identity::error::IdentityError;
use crate::identity::provider::Provider;
use crate::image::Repository;

use super::connection_error::ConnectionError;

/// A failed request to a registry.
#[derive(Debug, Clone, thiserror::Error)]
#[allow(missing_docs, reason = "the messages name the fields")]
pub enum RegistryError {
    /// The repository does not exist.
    #[error("{0}: the registry has no such repository")]
    NoRepository(Repository),
    /// The tag or digest does not exist.
    #[error("{image}: the registry has no such image")]
    NoImage { image: String },
    /// The index of a Helm repository does not list the chart or its version.
    #[error("{name}: the index of the Helm repository does not list it")]
    NoChart { name: String },
    /// There is no index where a Helm repository has its own.
    #[error("{url} is not the index of a Helm repository: {reason}")]
    NotAnIndex { url: String, reason: String },
    /// A chart is named by a URL without TLS, but its host is not configured to be used without.
    #[error("{chart} would be read over plain HTTP, which is not configured for {host}")]
    Unencrypted { host: String, chart: String },
    /// The image exists, but parts of it are missing or wrong.
    #[error("{image} is incomplete: {}", listed(flaws))]
    Incomplete { image: String, flaws: Vec<Flaw> },
    /// The host requires credentials, but the file has none for it, or there is no file.
    #[error("{host} requires credentials, {}", file.as_ref().map_or("but no Docker config file is there".to_owned(), |file| format!("and {} has none for it", file.display())))]
    NoCredentials { host: String, file: Option<PathBuf> },
    /// The credentials were rejected.
    #[error("{host} rejected the credentials from {from} for {what}")]
    Denied { host: String, from: String, what: String },
    /// The identity of this process could not be proved.
    #[error("cannot sign in to {host} with the identity at {provider}: {problem}")]
    Identity { host: String, provider: Provider, problem: Arc<IdentityError> },
    /// The identity of this process was rejected.
    #[error("{host} rejected {identity} for {what}")]
    IdentityDenied { host: String, provider: Provider, identity: String, what: String },
    /// Too many requests.
    #[error("{host} limits the rate of requests{}", wait.map(|w| format!("; it asks to wait {} s", w.as_secs_f64().ceil())).unwrap_or_default())]
    RateLimited { host: String, wait: Option<Duration> },
    /// The connection failed.
    #[error("cannot reach {host}: {reason}")]
    Unreachable { host: String, reason: String, failure: ConnectionFailure },
    /// The host did not respond in time.
    #[error("{host} did not respond within {} s", after.as_secs())]
    TimedOut { host: String, after: Duration },
    /// The host did not finish what it was asked for in time, although it responded.
    #[error("{host} did not finish {what} within {} s", after.as_secs())]
    Unfinished { host: String, what: &'static str, after: Duration },
    /// The server has a problem.
    #[error("{host} responded with {status} to {what}")]
    ServerError { host: String, status: u16, what: String },
    /// The server does not implement the distribution API.
    #[error("{host} is not a registry: {reason}")]
    NotARegistry { host: String, reason: String },
    /// The response violates the specification.
    #[error("{host} gave an invalid response to {what}: {reason}")]
    InvalidResponse { host: String, what: String, reason: String },
    /// The body of the response is too large.
    #[error("{host} gave an invalid response to {what}: its body is larger than {limit} bytes")]
    TooLarge { host: String, what: String, limit: usize },
    /// The server redirected a request in a way that is not followed.
    #[error("cannot get {what} from {host}: {problem}")]
    Redirected { host: String, what: String, problem: RedirectError },
    /// The credentials would be sent to another server.
    #[error("{host} requires a token from {realm}, which may not receive the credentials for {host}")]
    ForeignRealm { host: String, realm: String },
    /// The file with credentials cannot be used.
    #[error("cannot use the credentials in {}: {reason}", file.display())]
    CredentialsFile { file: PathBuf, reason: String },
    /// The file with the certificate authority cannot be used.
    #[error("cannot use the certificates in {}: {reason}", file.display())]
    CaFile { file: PathBuf, reason: String },
    /// The client certificate or the proxy is the problem.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

/// A part of an image that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flaw {
    /// The part, such as `a layer of linux/amd64`.
    pub what: String,
    /// Its digest.
    pub digest: String,
    /// The problem, such as `is missing`.
    pub problem: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.what, self.digest, self.problem)
    }
}

/// The most flaws that a message lists.
const FLAWS: usize = 10;

fn listed(flaws: &[Flaw]) -> String {
    let mut texts: Vec<String> = flaws.iter().take(FLAWS).map(ToString::to_string).collect();
    texts.extend(flaws.len().checked_sub(FLAWS).filter(|more| *more > 0).map(|more| format!("{more} more flaws")));
    texts.join("; ")
}

impl RegistryError {
    /// The error for an identity that could not be proved.
    pub(super) fn identity(host: &str, provider: Provider, problem: IdentityError) -> RegistryError {
        RegistryError::Identity { host: host.to_owned(), provider, problem: Arc::new(problem) }
    }

    /// The error for a connection that failed for another reason than the client certificate or the proxy.
    pub(super) fn not_connected(host: &str, error: &reqwest::Error) -> RegistryError {
        let failure = ConnectionFailure::of(error);
        let reason = excerpt(&http::connection_failure(error));
        RegistryError::Unreachable { host: host.to_owned(), reason, failure }
    }

    /// Returns whether a retry may help.
    pub fn is_transient(&self) -> bool {
        match self {
            RegistryError::Identity { problem, .. } => problem.fault() == Fault::Transient,
            RegistryError::RateLimited { .. }
            | RegistryError::Unreachable { .. }
            | RegistryError::TimedOut { .. }
            | RegistryError::ServerError { .. } => true,
            RegistryError::Connection(error) => error.is_transient(),
            _ => false,
        }
    }

    /// Returns whether the host did not respond at all.
    pub(super) fn is_without_response(&self) -> bool {
        use RegistryError::{Connection, TimedOut, Unreachable};
        matches!(self, TimedOut { .. } | Unreachable { .. } | Connection(_))
    }

    /// Returns whether the request took the whole timeout: a retry would delay others for as long again.
    pub(super) fn used_full_timeout(&self) -> bool {
        matches!(self, RegistryError::TimedOut { .. })
    }

    /// Returns whether the error concerns this image only, not the registry as a whole.
    pub fn concerns_image(&self) -> bool {
        self.is_not_found()
            || matches!(
                self,
                RegistryError::Incomplete { .. }
                    | RegistryError::InvalidResponse { .. }
                    | RegistryError::TooLarge { .. }
            )
    }

    /// Returns whether the registry reported that the image does not exist.
    pub fn is_not_found(&self) -> bool {
        use RegistryError::{NoChart, NoImage, NoRepository};
        matches!(self, NoRepository(_) | NoImage { .. } | NoChart { .. })
    }
}

impl Explain for RegistryError {
    fn fault(&self) -> Fault {
        match self {
            RegistryError::Connection(error) => error.fault(),
            RegistryError::NoRepository(_)
            | RegistryError::NoImage { .. }
            | RegistryError::NoChart { .. }
            | RegistryError::Incomplete { .. } => Fault::Blocked,
            RegistryError::NoCredentials { .. }
            | RegistryError::Denied { .. }
            | RegistryError::IdentityDenied { .. }
            | RegistryError::ForeignRealm { .. } => Fault::Denied,
            RegistryError::Identity { problem, .. } => problem.fault(),
            RegistryError::CredentialsFile { .. }
            | RegistryError::CaFile { .. }
            | RegistryError::Unencrypted { .. } => Fault::BadInput,
            RegistryError::RateLimited { .. }
            | RegistryError::Unreachable { .. }
            | RegistryError::TimedOut { .. }
            | RegistryError::Unfinished { .. }
            | RegistryError::TooLarge { .. }
            | RegistryError::ServerError { .. }
            | RegistryError::NotARegistry { .. }
            | RegistryError::NotAnIndex { .. }
            | RegistryError::Redirected { .. }
            | RegistryError::InvalidResponse { .. } => Fault::Transient,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            RegistryError::Connection(error) => return error.help(),
            RegistryError::NoRepository(_) => "check the name, and that an image has been pushed".to_owned(),
            RegistryError::NoImage { .. } => {
                "check the tag; with --wait-image, `set` waits for a push to finish".to_owned()
            }
            RegistryError::NoChart { .. } => {
                "check the name and the version; versions that are deprecated do not count".to_owned()
            }
            RegistryError::NotAnIndex { .. } => {
                "check the URL of the HelmRepository; Helm appends /index.yaml".to_owned()
            }
            RegistryError::Unencrypted { host, .. } => {
                format!("if that is intended, set `plainHttp: true` in the entry of {host} under `registries`")
            }
            RegistryError::Incomplete { .. } => {
                "push the image again; a cleanup of the registry may have removed parts of it".to_owned()
            }
            RegistryError::NoCredentials { host, file: Some(_) } => {
                format!("run `docker login {host}`, or name another file in registries[].credentialsFile")
            }
            RegistryError::NoCredentials { host, file: None } => format!(
                "looked at registries[].credentialsFile, REGISTRY_AUTH_FILE, $DOCKER_CONFIG/config.json and \
                 ~/.docker/config.json; provide one with an entry for {host}"
            ),
            RegistryError::Denied { host, .. } => format!("check the entry for {host}; it must be allowed to pull"),
            RegistryError::Identity { problem, .. } => return problem.help(),
            RegistryError::IdentityDenied { provider, .. } => needed_role(*provider).to_owned(),
            RegistryError::RateLimited { .. } => "poll less often, or sign in for a higher limit".to_owned(),
            RegistryError::Unreachable { host, failure: ConnectionFailure::Certificate, .. } => {
                format!("set registries[].caFile to the certificate authority of {host}")
            }
            RegistryError::Unreachable { host, failure: ConnectionFailure::NotTls, .. } => {
                format!("if that is intended, set `plainHttp: true` in the entry of {host} under `registries`")
            }
            RegistryError::Unreachable { host, failure: ConnectionFailure::Handshake, .. } => format!(
                "if it requires a client certificate, set `clientCertificate` in the entry of {host} under `registries`"
            ),
            RegistryError::Unreachable { .. } => {
                "check the host name, the network, and that the registry is running".to_owned()
            }
            RegistryError::TimedOut { .. } | RegistryError::ServerError { .. } => {
                "check the registry's own log".to_owned()
            }
            RegistryError::Unfinished { .. } => {
                "check why the registry is slow; registries[].timeout and agent.deadline set the limits".to_owned()
            }
            RegistryError::NotARegistry { .. } => "check the host and port; the API is served under /v2/".to_owned(),
            RegistryError::InvalidResponse { .. } | RegistryError::TooLarge { .. } => {
                "check the registry's own log and storage".to_owned()
            }
            RegistryError::ForeignRealm { host, realm } => format!(
                "if that is the registry's own token server, set `realm: {realm}` in the entry of {host} under `registries` \
                 in tagalong.yaml"
            ),
            RegistryError::Redirected { host, problem, .. } => match problem.problem {
                RedirectProblem::Private => format!(
                    "if the registry keeps its content there, add \"{}\" to `redirects` in the entry of {host} under \
                     `registries` in tagalong.yaml",
                    problem.host()
                ),
                RedirectProblem::Credentials => {
                    format!("if the images are at {} now, use that name and configure its credentials", problem.host())
                }
                _ => "check the external URL in the registry's own configuration, and any proxy in front of it"
                    .to_owned(),
            },
            RegistryError::CredentialsFile { .. } => "use a Docker config file, as `docker login` writes it".to_owned(),
            RegistryError::CaFile { .. } => "use a file of PEM certificates".to_owned(),
        })
    }
}

/// What an identity needs to list tags and to pull.
fn needed_role(provider: Provider) -> &'static str {
    match provider {
        Provider::Aws => {
            "allow it ecr:ListImages, ecr:BatchGetImage and ecr:GetDownloadUrlForLayer on the repository; a registry of \
             another account must allow it in the policy of the repository, too"
        }
        Provider::Azure => "give it the role AcrPull on the registry",
        Provider::Google => "give it the role roles/artifactregistry.reader on the repository",
    }
}

//! The errors of obtaining an identity.

use std::path::PathBuf;
use std::time::Duration;

use crate::fault::{Explain, Fault};
use crate::http::complaint::Complaint;

use super::provider::Provider;
use super::step::Step;

/// This process could not prove who it is. No message contains a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages name the fields")]
pub enum IdentityError {
    /// The environment lacks something.
    #[error("the environment variable {variable} is not set, which an identity at {provider} requires")]
    Missing { provider: Provider, variable: &'static str },
    /// A variable has an invalid value. It is not repeated, because it may contain a secret.
    #[error("the environment variable {variable} is not valid: {reason}")]
    Variable { variable: &'static str, reason: &'static str },
    /// A file that a variable names cannot be used.
    #[error("cannot use {}, which is named by {variable}: {reason}", file.display())]
    File { variable: &'static str, file: PathBuf, reason: String },
    /// The token would be sent without TLS.
    #[error("the identity at {provider} is not shown to {host}, because it is used without TLS")]
    Unencrypted { host: String, provider: Provider },
    /// The host cannot be reached.
    #[error("cannot {step}: cannot reach {host}: {reason}")]
    Unreachable { host: String, step: Step, reason: String },
    /// The host did not respond in time.
    #[error("cannot {step}: {host} did not respond within {} s", after.as_secs())]
    TimedOut { host: String, step: Step, after: Duration },
    /// The service refused.
    #[error("cannot {step}: {host} responded with {status}{}", Complaint::appended(message.as_ref()))]
    Refused { host: String, step: Step, status: u16, message: Option<String> },
    /// The response is not one of the service.
    #[error("cannot {step}: {host} gave an invalid response: {reason}")]
    InvalidResponse { host: String, step: Step, reason: String },
}

impl Explain for IdentityError {
    fn fault(&self) -> Fault {
        match self {
            IdentityError::Missing { .. }
            | IdentityError::Variable { .. }
            | IdentityError::File { .. }
            | IdentityError::Unencrypted { .. } => Fault::BadInput,
            IdentityError::Refused { status: 408 | 425 | 429 | 500.., .. } => Fault::Transient,
            IdentityError::Refused { message: Some(message), .. } if is_throttled(message) => Fault::Transient,
            IdentityError::Refused { .. } => Fault::Denied,
            IdentityError::Unreachable { .. }
            | IdentityError::TimedOut { .. }
            | IdentityError::InvalidResponse { .. } => Fault::Transient,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            IdentityError::Missing { provider, .. } => missing_help(*provider).to_owned(),
            IdentityError::Variable { variable, .. } => format!("correct {variable}, or unset it"),
            IdentityError::File { .. } => {
                "check that the file is mounted, and that this process may read it".to_owned()
            }
            IdentityError::Unencrypted { .. } => {
                "remove `plainHttp` or `provider` from its entry under `registries`".to_owned()
            }
            IdentityError::Unreachable { step: Step::Metadata, .. } => {
                "the network policy must allow connections to it; outside of Google Cloud, let \
                 GOOGLE_APPLICATION_CREDENTIALS name the configuration of a workload identity federation"
                    .to_owned()
            }
            IdentityError::Unreachable { host, .. } | IdentityError::TimedOut { host, .. } => {
                format!("check the network, and that the NetworkPolicy allows connections to {host}")
            }
            IdentityError::Refused { .. } if self.fault() == Fault::Transient => "the next request retries".to_owned(),
            IdentityError::Refused { step, message, .. } => step.help(message.as_deref().unwrap_or_default()),
            IdentityError::InvalidResponse { host, .. } => {
                format!("check that {host} is the service itself, and not a proxy in front of it")
            }
        })
    }
}

/// Returns whether AWS asks for fewer requests, which it does with the status 400.
fn is_throttled(message: &str) -> bool {
    ["Throttling", "RequestLimitExceeded", "IDPCommunicationError"].iter().any(|code| message.starts_with(code))
}

fn missing_help(provider: Provider) -> &'static str {
    match provider {
        Provider::Aws => {
            "on EKS, annotate the ServiceAccount with eks.amazonaws.com/role-arn, or create a Pod Identity association \
             for it, and restart the pod"
        }
        Provider::Azure => {
            "on AKS, label the pod with azure.workload.identity/use: \"true\", annotate the ServiceAccount with \
             azure.workload.identity/client-id, and restart the pod"
        }
        Provider::Google => {
            "on GKE, bind the ServiceAccount to IAM; elsewhere, let GOOGLE_APPLICATION_CREDENTIALS name the \
             configuration of a workload identity federation"
        }
    }
}

//! The errors of the Kubernetes API and of Flux.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::fault::{Explain, Fault};
use crate::http::redirect::RedirectError;

use super::api_call::ApiCall;

/// A failed request to the Kubernetes API or to Flux.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages name the fields")]
pub enum ClusterError {
    /// Neither the pod nor `KUBECONFIG` names an API.
    #[error("no Kubernetes API is configured: this is not a pod, and KUBECONFIG is not set")]
    NoCluster,
    /// The service account or the kubeconfig cannot be used.
    #[error("cannot use the credentials for the Kubernetes API: {reason}")]
    Access { reason: String },
    /// The API could not be reached.
    #[error("cannot reach the Kubernetes API to {call}: {reason}")]
    Unreachable { call: ApiCall, reason: String },
    /// The API did not respond in time.
    #[error("the Kubernetes API did not {call} within {} s", after.as_secs_f64())]
    TimedOut { call: ApiCall, after: Duration },
    /// The API rejected our credentials, or they lack a permission.
    #[error("the Kubernetes API does not allow us to {call} ({status}): {message}")]
    Denied { call: ApiCall, status: u16, message: String },
    /// The object, or its kind, does not exist.
    #[error("the Kubernetes API cannot {call}, because it does not exist: {message}")]
    NotFound { call: ApiCall, message: String },
    /// Another client has changed the object in the meantime.
    #[error("the Kubernetes API did not {call}, because another client changed it first")]
    Conflict { call: ApiCall },
    /// The API refused the request for another reason.
    #[error("the Kubernetes API did not {call} ({status}): {message}")]
    Refused { call: ApiCall, status: u16, message: String },
    /// The response does not match the API's schema.
    #[error("the Kubernetes API gave an unexpected response when asked to {call}: {reason}")]
    InvalidResponse { call: ApiCall, reason: String },
    /// A file of the Receiver cannot be read.
    #[error("cannot read {}", file.display())]
    ReceiverFile { file: PathBuf, source: io::Error },
    /// The file does not hold a URL. Its content is not repeated.
    #[error("{} does not hold an http or https URL", file.display())]
    ReceiverUrl { file: PathBuf },
    /// The Receiver could not be notified. Its path is a secret, so only the host is named.
    #[error("cannot notify Flux's Receiver at {host}: {reason}")]
    Receiver { host: String, reason: String, status: Option<u16> },
    /// The Receiver redirected the notification, which is not sent elsewhere.
    #[error("cannot notify Flux's Receiver at {host}: {problem}")]
    ReceiverRedirected { host: String, file: PathBuf, problem: RedirectError },
}

impl Explain for ClusterError {
    fn fault(&self) -> Fault {
        match self {
            ClusterError::NoCluster
            | ClusterError::Access { .. }
            | ClusterError::NotFound { .. }
            | ClusterError::ReceiverFile { .. }
            | ClusterError::ReceiverUrl { .. } => Fault::BadInput,
            ClusterError::Denied { .. } | ClusterError::Receiver { status: Some(400..500), .. } => Fault::Denied,
            ClusterError::Conflict { .. } => Fault::Stale,
            ClusterError::Refused { status: ..500, .. } => Fault::Refused,
            ClusterError::Unreachable { .. }
            | ClusterError::TimedOut { .. }
            | ClusterError::Refused { .. }
            | ClusterError::InvalidResponse { .. }
            | ClusterError::Receiver { .. }
            | ClusterError::ReceiverRedirected { .. } => Fault::Transient,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            ClusterError::NoCluster => {
                "run in a pod with a service account token (see deploy/cluster-access), set KUBECONFIG, or remove the \
                 section `cluster`"
                    .to_owned()
            }
            ClusterError::Access { .. } => {
                "check the pod's service account, or the file that KUBECONFIG names".to_owned()
            }
            ClusterError::Unreachable { .. } | ClusterError::TimedOut { .. } => {
                "check the network, and that a NetworkPolicy allows access to the API server; the request is retried".to_owned()
            }
            ClusterError::Denied { status: 401, .. } => {
                "the token was refused: check the pod's service account, or the file that KUBECONFIG names".to_owned()
            }
            ClusterError::Denied { call, .. } => format!(
                "the Role needs a rule such as {}, as in {}",
                call.rule(),
                call.example()
            ),
            ClusterError::NotFound { call, .. } => format!("check {} and that {} is installed", call.key(), call.product()),
            ClusterError::Conflict { .. } => "the request is retried".to_owned(),
            ClusterError::Refused { call, .. } => format!("check the object, and {}", call.key()),
            ClusterError::InvalidResponse { call, .. } => {
                format!("check {}, and that the cluster serves this version of the API", call.key())
            }
            ClusterError::ReceiverFile { .. } | ClusterError::ReceiverUrl { .. } => {
                "check cluster.flux.receiver and the permissions of its files".to_owned()
            }
            ClusterError::Receiver { status: Some(400..500), .. } => {
                "check the URL in cluster.flux.receiver.urlFile, which changes with the Receiver's token, and secretFile"
                    .to_owned()
            }
            ClusterError::ReceiverRedirected { file, problem, .. } => {
                format!("if the Receiver is at {} now, write that URL to {}", problem.to, file.display())
            }
            ClusterError::Receiver { .. } => {
                "check the network and Flux's notification-controller; Flux fetches on its own after its interval".to_owned()
            }
        })
    }
}

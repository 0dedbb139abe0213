//! What goes wrong with the Kubernetes API and with Flux.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::fault::{Explain, Fault};

use super::api::ApiCall;

/// What goes wrong with the Kubernetes API and with Flux.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Nothing says where the API is.
    #[error("it cannot be told where the Kubernetes API is")]
    NoCluster,
    /// What says where the API is cannot be used.
    #[error("the access to the Kubernetes API cannot be used: {reason}")]
    Access {
        /// Why.
        reason: String,
    },
    /// The API could not be reached.
    #[error("cannot reach the Kubernetes API to {call}: {reason}")]
    Unreachable {
        /// What was asked for.
        call: ApiCall,
        /// Why.
        reason: String,
    },
    /// No answer in time.
    #[error("the Kubernetes API did not {call} within {} s", after.as_secs_f64())]
    TimedOut {
        /// What was asked for.
        call: ApiCall,
        /// How long was waited.
        after: Duration,
    },
    /// The API does not know who we are, or does not let us.
    #[error("the Kubernetes API does not let us {call} ({status}): {words}")]
    Denied {
        /// What was asked for.
        call: ApiCall,
        /// The HTTP status.
        status: u16,
        /// Its words.
        words: String,
    },
    /// There is no such object, or no such kind of objects.
    #[error("the Kubernetes API cannot {call}, for it is not there: {words}")]
    NotFound {
        /// What was asked for.
        call: ApiCall,
        /// Its words.
        words: String,
    },
    /// Someone else has changed the object meanwhile.
    #[error("the Kubernetes API did not {call}, for someone else was first")]
    Conflict {
        /// What was asked for.
        call: ApiCall,
    },
    /// It said no.
    #[error("the Kubernetes API did not {call} ({status}): {words}")]
    Refused {
        /// What was asked for.
        call: ApiCall,
        /// The HTTP status.
        status: u16,
        /// Its words.
        words: String,
    },
    /// The answer is not what the API promises.
    #[error("the Kubernetes API was asked to {call}, and gave an answer that it does not promise: {reason}")]
    InvalidResponse {
        /// What was asked for.
        call: ApiCall,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of the Receiver cannot be read.
    #[error("cannot read {}", file.display())]
    ReceiverFile {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What should be the Receiver's URL is none. It is not repeated.
    #[error("{} holds no URL of http or https", file.display())]
    ReceiverUrl {
        /// The file.
        file: PathBuf,
    },
    /// The Receiver could not be told. Its path is a secret, so only the host is named.
    #[error("cannot tell Flux's Receiver at {host}: {reason}")]
    Receiver {
        /// The host.
        host: String,
        /// Why.
        reason: String,
        /// The HTTP status, if there was an answer.
        status: Option<u16>,
    },
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
            | ClusterError::Receiver { .. } => Fault::Transient,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            ClusterError::NoCluster => {
                "run in a pod with a service account's token (deploy/cluster-access gives it one), set KUBECONFIG, or take \
                 the section `cluster` out"
                    .to_owned()
            }
            ClusterError::Access { .. } => {
                "check the pod's service account, or the file that KUBECONFIG names".to_owned()
            }
            ClusterError::Unreachable { .. } | ClusterError::TimedOut { .. } => {
                "check the network, and a NetworkPolicy's way to the API server; it is asked again by itself".to_owned()
            }
            ClusterError::Denied { status: 401, .. } => {
                "the token was refused: check the pod's service account, or the file that KUBECONFIG names".to_owned()
            }
            ClusterError::Denied { call, .. } => format!(
                "the Role needs a rule such as {}; deploy/cluster-access/role.yaml has it",
                call.rule()
            ),
            ClusterError::NotFound { call, .. } => format!("check {} and that Flux is installed", call.key()),
            ClusterError::Conflict { .. } => "it is tried again by itself".to_owned(),
            ClusterError::Refused { call, .. } => format!("look at the object; check {}", call.key()),
            ClusterError::InvalidResponse { call, .. } => {
                format!("check {}: that version of the API has to be there", call.key())
            }
            ClusterError::ReceiverFile { .. } | ClusterError::ReceiverUrl { .. } => {
                "check cluster.flux.receiver and who may read its files".to_owned()
            }
            ClusterError::Receiver { status: Some(400..500), .. } => {
                "check the URL in cluster.flux.receiver.urlFile, which changes with the Receiver's token, and secretFile"
                    .to_owned()
            }
            ClusterError::Receiver { .. } => {
                "check the network and Flux's notification-controller; Flux looks by itself after its interval".to_owned()
            }
        })
    }
}

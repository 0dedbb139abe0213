//! What the side of the cluster has to be told.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Settings of the side of the cluster. Neither part needs the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// How one of several replicas comes to lead, if it is to be just one.
    pub election: Option<Election>,
    /// What Flux is asked.
    pub flux: Option<Flux>,
}

/// How one of several replicas comes to lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Election {
    /// The Lease.
    pub lease: ObjectName,
    /// Its namespace; that of the service account, or of the kubeconfig's context, where none is said.
    pub namespace: Option<ObjectName>,
    /// What this replica is called: the name of the pod, or of the machine.
    pub identity: String,
    /// The times.
    pub timing: ElectionTiming,
}

/// The times of an election, with the names and defaults of client-go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElectionTiming {
    /// A leader that says nothing for so long leads no more. Whole seconds, as the Lease has it.
    pub lease_duration: Duration,
    /// A leader that could not renew for so long gives up, which is before anyone else may take over.
    pub renew_deadline: Duration,
    /// From one try to the next.
    pub retry_period: Duration,
}

/// Times that do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ElectionTimingError {
    /// The Lease counts seconds.
    #[error("leaseDuration has to be whole seconds")]
    NoSeconds,
    /// Others could take over before the leader has given up.
    #[error("leaseDuration has to be longer than renewDeadline, or two could lead")]
    Overlap,
    /// The leader would give up before its second try.
    #[error("renewDeadline has to be longer than 1.2 times retryPeriod")]
    NoRetry,
}

/// What Flux is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flux {
    /// The GitRepository that reads the branch.
    pub source: ObjectRef,
    /// Where Kustomizations are looked for.
    pub namespaces: Vec<ObjectName>,
    /// The Receiver that is told of a push; without one the GitRepository is annotated.
    pub receiver: Option<Receiver>,
    /// How long a commit may take to be applied.
    pub timeout: Duration,
}

/// An object in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A Receiver of Flux.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiver {
    /// The file with its URL, which is a secret: whoever knows it is let in.
    pub url_file: PathBuf,
    /// The file with the key of the signature, where the Receiver is of the type `generic-hmac`.
    pub secret_file: Option<PathBuf>,
}

/// The name of an object or of a namespace: a part of a path to the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName(String);

/// A text that is no such name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name of Kubernetes is needed: small letters, digits, `-` and `.`, such as flux-system")]
pub struct ObjectNameError;

impl Default for ElectionTiming {
    fn default() -> ElectionTiming {
        ElectionTiming {
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

impl ElectionTiming {
    /// The times, if they go together.
    pub fn checked(self) -> Result<ElectionTiming, ElectionTimingError> {
        if self.lease_duration.subsec_nanos() != 0 {
            return Err(ElectionTimingError::NoSeconds);
        }
        if self.lease_duration <= self.renew_deadline {
            return Err(ElectionTimingError::Overlap);
        }
        if self.renew_deadline <= self.retry_period.mul_f64(1.2) {
            return Err(ElectionTimingError::NoRetry);
        }
        Ok(self)
    }
}

impl FromStr for ObjectName {
    type Err = ObjectNameError;

    /// RFC 1123 subdomains, as Kubernetes has them ("Object Names and IDs").
    fn from_str(text: &str) -> Result<ObjectName, ObjectNameError> {
        let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_label = |label: &str| {
            !label.is_empty() && label.chars().all(is_inner) && !label.starts_with('-') && !label.ends_with('-')
        };
        let is_name = text.len() <= 253 && text.split('.').all(is_label);
        if is_name { Ok(ObjectName(text.to_owned())) } else { Err(ObjectNameError) }
    }
}

impl ObjectName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parts_of_a_path_and_nothing_else() {
        for text in ["flux-system", "a", "9.b"] {
            assert!(text.parse::<ObjectName>().is_ok(), "{text}");
        }
        for text in ["", "Flux", "a/b", "..", "-a", "a-", "a..b", "a?b", "ä", &"a".repeat(254)] {
            assert!(text.parse::<ObjectName>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_leader_gives_up_before_another_may_take_over() {
        let times = |lease: u64, renew: u64, retry: u64| ElectionTiming {
            lease_duration: Duration::from_millis(lease),
            renew_deadline: Duration::from_millis(renew),
            retry_period: Duration::from_millis(retry),
        };
        assert_eq!(ElectionTiming::default().checked(), Ok(ElectionTiming::default()));
        assert_eq!(times(10_000, 10_000, 2_000).checked(), Err(ElectionTimingError::Overlap));
        assert_eq!(times(15_000, 10_000, 9_000).checked(), Err(ElectionTimingError::NoRetry));
        assert_eq!(times(1_500, 1_000, 100).checked(), Err(ElectionTimingError::NoSeconds));
    }
}

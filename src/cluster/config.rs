//! The settings for Kubernetes, Flux and Argo CD.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The settings for Kubernetes, Flux and Argo CD. Each part works without the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Leader election among replicas, if it is enabled.
    pub election: Option<Election>,
    /// The settings for notifying and watching Flux.
    pub flux: Option<Flux>,
    /// The settings for notifying and watching Argo CD.
    pub argocd: Option<Argocd>,
    /// The pods whose images are compared with the repository.
    pub pods: Option<Pods>,
    /// What happens to a commit that Flux or Argo CD could not apply.
    pub on_failure: OnFailure,
}

/// What happens to a commit that Flux or Argo CD could not apply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It is reported.
    #[default]
    Report,
    /// It is reported and taken back, if what was applied before it worked.
    RollBack,
}

/// Leader election among replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Election {
    /// The Lease.
    pub lease: ObjectName,
    /// Its namespace; by default that of the service account or of the kubeconfig's context.
    pub namespace: Option<ObjectName>,
    /// The name of this replica: that of the pod or the machine.
    pub identity: String,
    /// Its durations.
    pub timing: ElectionTiming,
}

/// The durations of an election, with the names and defaults of client-go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElectionTiming {
    /// The time until a Lease that is not renewed expires. Whole seconds, as the Lease stores it.
    pub lease_duration: Duration,
    /// The time until a leader that cannot renew gives up, which is before another replica may take over.
    pub renew_deadline: Duration,
    /// The interval between attempts.
    pub retry_period: Duration,
}

/// Durations that contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ElectionTimingError {
    /// The Lease stores whole seconds.
    #[error("leaseDuration must be whole seconds")]
    NoSeconds,
    /// Another replica could take over before the leader has given up.
    #[error("leaseDuration must be longer than renewDeadline, or two replicas could lead at once")]
    Overlap,
    /// The leader would give up before its second attempt.
    #[error("renewDeadline must be longer than 1.2 times retryPeriod")]
    NoRetry,
}

/// The settings for notifying and watching Flux.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flux {
    /// The GitRepository that tracks the branch.
    pub source: ObjectRef,
    /// The namespaces whose Kustomizations are watched.
    pub namespaces: Vec<ObjectName>,
    /// The Receiver that is notified of a push; without one, the GitRepository is annotated.
    pub receiver: Option<Receiver>,
    /// The time until a commit that is not applied is overdue.
    pub timeout: Duration,
}

/// The applications of Argo CD that deploy the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argocd {
    /// Their namespace.
    pub namespace: ObjectName,
    /// Their names; all if there are none.
    pub names: Vec<ObjectName>,
    /// The labels that they have, as a selector of Kubernetes.
    pub selector: Option<String>,
    /// The time until a commit that is not deployed is overdue.
    pub timeout: Duration,
}

/// The pods whose images are compared with the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pods {
    /// Their namespaces.
    pub namespaces: Vec<ObjectName>,
    /// The shortest time between two looks at them.
    pub interval: Duration,
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
    /// The file with its URL, which is a secret: knowing it is enough to call the Receiver.
    pub url_file: PathBuf,
    /// The file with the signing key, for a Receiver of the type `generic-hmac`.
    pub secret_file: Option<PathBuf>,
}

/// The name of an object or a namespace, which is safe to use in an API path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName(String);

/// A text that is not a valid name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a Kubernetes name: use lowercase letters, digits, `-` and `.`, as in flux-system")]
pub struct ObjectNameError;

impl Argocd {
    /// Returns whether the application with a name is selected, as far as names decide.
    pub fn selects(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|own| own.as_str() == name)
    }
}

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
    /// Returns the durations if they are consistent.
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

    /// Parses an RFC 1123 subdomain, as Kubernetes requires ("Object Names and IDs").
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

//! The proof of origin that a policy requires, as it is configured: files of keys are named, not read.

use std::path::PathBuf;

use crate::sigstore::matcher::Matcher;
use crate::sigstore::requirement::{AttestationRule, Transparency};

/// The proof of origin that a policy requires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginRule {
    /// Those whose signatures count.
    pub signers: SignerNames,
    /// The file with the trusted root, which confirms identities and transparency logs.
    pub trusted_root: Option<PathBuf>,
    /// Whether signatures must be in a transparency log.
    pub transparency: Transparency,
    /// The number of different signers who must have signed.
    pub need: usize,
    /// The attestations that must exist.
    pub attestations: Vec<RequiredAttestation>,
}

/// Those whose signatures count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignerNames {
    /// The files of public keys.
    pub keys: Vec<PathBuf>,
    /// The identities that a certificate may name.
    pub keyless: Vec<Identity>,
}

/// An identity that a certificate may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The identity provider.
    pub issuer: Matcher,
    /// The e-mail address or the URI of the workflow.
    pub subject: Matcher,
}

/// An attestation that must exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredAttestation {
    /// What it must say. Its signers are those below.
    pub rule: AttestationRule,
    /// Those whose attestations of this kind count; if empty, the signers of the image.
    pub signers: SignerNames,
}

impl OriginRule {
    /// Returns whether it needs a trusted root.
    pub fn needs_trusted_root(&self) -> bool {
        let all = std::iter::once(&self.signers).chain(self.attestations.iter().map(|required| &required.signers));
        self.transparency == Transparency::Require || all.into_iter().any(|signers| !signers.keyless.is_empty())
    }
}

impl SignerNames {
    /// Returns the number of signers.
    pub fn count(&self) -> usize {
        self.keys.len() + self.keyless.len()
    }
}

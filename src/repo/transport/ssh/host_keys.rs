//! Verifying the server's key.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use russh::client::{DisconnectReason, Handler, Session};
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, EcdsaCurve, HashAlg, PublicKeyOrCertificate};

use crate::repo::config::Config;
use crate::repo::error::RepoError;
use crate::repo::known_hosts::{self, Fingerprint, KnownHost, Verdict};

/// What is known about the keys of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeys {
    host: String,
    file: PathBuf,
    known: KnownHost,
    pinned: Vec<Fingerprint>,
}

impl HostKeys {
    /// Reads what the configuration says about the host of its URL.
    pub fn read(config: &Config) -> Result<HostKeys, RepoError> {
        let host = known_hosts::host_name(config.url.authority());
        let file = config.ssh.known_hosts_file.clone();
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            // No file is an empty file: the error then gives the line to begin it with.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(RepoError::Unreadable { file, source }),
        };
        let known = KnownHost::read(&text, &host);
        Ok(HostKeys { host, file, known, pinned: config.ssh.host_fingerprints.clone() })
    }

    /// Returns the algorithms to offer: those of known keys first, in the order of the file, so that a server with several
    /// keys shows one that can be verified.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let mut algorithms = Vec::new();
        for kind in self.known.kinds() {
            algorithms.extend(ALGORITHMS.iter().filter(|algorithm| kind_of(algorithm) == kind).cloned());
        }
        algorithms.extend_from_slice(&ALGORITHMS);
        let mut unique: Vec<Algorithm> = Vec::new();
        for algorithm in algorithms {
            if !unique.contains(&algorithm) {
                unique.push(algorithm);
            }
        }
        unique
    }

    /// Returns the certificate algorithms to offer: all if an authority is known for the host, otherwise none.
    pub fn certificate_algorithms(&self) -> Cow<'static, [Algorithm]> {
        match self.known.authorities().next() {
            Some(_) => Cow::Borrowed(&ALGORITHMS),
            None => Cow::Borrowed(&[]),
        }
    }

    fn check(&self, shown: &PublicKeyOrCertificate) -> Result<(), RepoError> {
        let key = shown.public_key();
        let blob = key.to_bytes().unwrap_or_default();
        let kind = kind_of(&key.algorithm());
        let verdict = self.known.verdict(&kind, &blob);
        if verdict == Verdict::Revoked {
            return Err(RepoError::HostKeyRevoked { host: self.host.clone(), file: self.file.clone() });
        }
        let vouched_for = shown.certificate().is_some_and(|certificate| self.vouches(certificate));
        let fingerprint = Fingerprint::of(&blob);
        match verdict {
            _ if vouched_for || self.pinned.contains(&fingerprint) => Ok(()),
            Verdict::Trusted => Ok(()),
            Verdict::Changed | Verdict::Revoked => {
                Err(RepoError::HostKeyChanged { host: self.host.clone(), file: self.file.clone() })
            }
            Verdict::Unknown => Err(RepoError::UnknownHost {
                host: self.host.clone(),
                file: self.file.clone(),
                line: known_hosts::line(&self.host, &kind, &blob),
                fingerprint,
            }),
        }
    }

    /// Returns whether a known authority has signed the certificate for this host and this time (PROTOCOL.certkeys).
    fn vouches(&self, certificate: &Certificate) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let authority = certificate.signature_key();
        let blob = russh::keys::PublicKey::new(authority.clone(), "").to_bytes().unwrap_or_default();
        let is_on_file = self.known.authorities().any(|on_file| on_file == blob) && !self.known.revokes(&blob);
        is_on_file
            && certificate.cert_type() == CertType::Host
            && certificate.critical_options().is_empty()
            && certificate.signature().algorithm() != (Algorithm::Rsa { hash: None })
            && known_hosts::is_principal(certificate.valid_principals(), &self.host)
            && certificate.validate_at(now, [&authority.fingerprint(HashAlg::Sha256)]).is_ok()
    }
}

/// The accepted algorithms of host keys. RSA is only accepted with SHA-2.
const ALGORITHMS: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// Returns the name of an algorithm's keys in known_hosts.
fn kind_of(algorithm: &Algorithm) -> String {
    match algorithm {
        Algorithm::Rsa { .. } => "ssh-rsa".to_owned(),
        other => other.to_string(),
    }
}

/// The errors of a connection that has ended.
#[derive(Debug, Default)]
pub struct Left {
    /// Why the server's key was rejected.
    pub refusal: Option<RepoError>,
    /// The server's reason for disconnecting.
    pub goodbye: Option<String>,
}

/// Verifies the server's key when it arrives.
pub struct Gatekeeper {
    /// What is known about the host's keys.
    pub keys: HostKeys,
    /// Where errors are stored, which would otherwise lose their type.
    pub left: Arc<Mutex<Left>>,
}

impl Handler for Gatekeeper {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let Err(error) = self.keys.check(shown) else { return Ok(true) };
        self.left.lock().refusal = Some(error);
        Ok(false)
    }

    async fn auth_banner(&mut self, banner: &str, _: &mut Session) -> Result<(), russh::Error> {
        tracing::debug!(host = self.keys.host, %banner, "the ssh server sent a banner");
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<russh::Error>) -> Result<(), russh::Error> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                self.left.lock().goodbye = Some(info.message);
                Ok(())
            }
            DisconnectReason::Error(error) => Err(error),
        }
    }
}

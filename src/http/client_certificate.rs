//! Client certificates for TLS (RFC 5280), with their private keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::Identity;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::time::Time;

use crate::secret::Secret;

/// A certificate that is renewed in time never gets to the last sixth of its life: cert-manager renews in the last third.
const LAST_PART: i64 = 6;

/// A client certificate together with its private key.
#[derive(Clone)]
pub struct ClientCertificate {
    /// The certificate with its chain and key, for the HTTP client.
    pub identity: Identity,
    /// The name and the validity of the certificate.
    pub facts: CertificateFacts,
}

/// The name and the validity of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The subject (RFC 4514). If it is empty, as in certificates for SPIFFE, the alternative names.
    pub subject: String,
    /// The beginning of its validity.
    pub not_before: Timestamp,
    /// The end of its validity.
    pub not_after: Timestamp,
}

/// Why a client certificate cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateFlaw {
    /// The problem with the file of the certificate.
    Certificate(String),
    /// The problem with the file of the key.
    Key(String),
    /// The key belongs to another certificate.
    Mismatch,
}

/// The age of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// It is valid, and not about to expire.
    Valid,
    /// It is in the last part of its life, so its renewal is overdue.
    ExpiresSoon,
    /// It has expired.
    Expired,
    /// It is not valid yet.
    NotYet,
}

impl CertificateFacts {
    /// Returns how old the certificate is at a point in time.
    pub fn validity(&self, now: Timestamp) -> Validity {
        let life = self.not_after.as_second() - self.not_before.as_second();
        match now {
            _ if now < self.not_before => Validity::NotYet,
            _ if now > self.not_after => Validity::Expired,
            _ if (self.not_after.as_second() - now.as_second()) * LAST_PART < life => Validity::ExpiresSoon,
            _ => Validity::Valid,
        }
    }
}

impl ClientCertificate {
    /// Parses the certificate with its chain, and the private key (PKCS #8, PKCS #1 or SEC 1), all in PEM.
    ///
    /// # Errors
    /// One of them cannot be used, or the key does not belong to the certificate.
    pub fn parse(certificates: &[u8], key: &Secret<Vec<u8>>) -> Result<ClientCertificate, CertificateFlaw> {
        let chain = CertificateDer::pem_slice_iter(certificates).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|_| CertificateFlaw::Certificate("it is not valid PEM".to_owned()))?;
        let first =
            chain.first().ok_or_else(|| CertificateFlaw::Certificate("it contains no certificate".to_owned()))?;
        let facts = facts(first).ok_or_else(|| CertificateFlaw::Certificate("it is not a certificate".to_owned()))?;
        let pem = pem(&chain, key)?;
        let key = private_key(key)?;
        check_pair(chain, key)?;
        let identity = Identity::from_pem(pem.expose());
        let identity = identity.map_err(|error| CertificateFlaw::Certificate(super::root_cause(&error)))?;
        Ok(ClientCertificate { identity, facts })
    }
}

fn private_key(pem: &Secret<Vec<u8>>) -> Result<PrivateKeyDer<'static>, CertificateFlaw> {
    let is_encrypted = pem.expose().windows(9).any(|word| word == b"ENCRYPTED");
    PrivateKeyDer::from_pem_slice(pem.expose()).map_err(|error| {
        let reason = match error {
            _ if is_encrypted => "its key is encrypted; write it without a passphrase, for example with openssl pkey",
            rustls::pki_types::pem::Error::NoItemsFound => "it contains no private key",
            _ => "its private key is not valid PEM",
        };
        CertificateFlaw::Key(reason.to_owned())
    })
}

/// Checks that a key belongs to the first certificate of a chain.
fn check_pair(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<(), CertificateFlaw> {
    let provider = rustls::crypto::ring::default_provider();
    let key = provider.key_provider.load_private_key(key);
    let key = key.map_err(|_| CertificateFlaw::Key("its private key is of a kind that is not supported".to_owned()))?;
    CertifiedKey::new(chain, key).keys_match().map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => CertificateFlaw::Mismatch,
        error => CertificateFlaw::Certificate(error.to_string()),
    })
}

/// Writes the chain and the key to one text, without anything else that the files contain: the HTTP client rejects other
/// sections.
fn pem(chain: &[CertificateDer<'_>], key: &Secret<Vec<u8>>) -> Result<Secret<Vec<u8>>, CertificateFlaw> {
    let key = private_key(key)?;
    let label = match &key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    let mut text = Secret::new(Vec::new());
    let sections = chain.iter().map(|certificate| ("CERTIFICATE", certificate.as_ref()));
    for (label, der) in sections.chain([(label, key.secret_der())]) {
        let base64 = Secret::new(STANDARD.encode(der));
        let section = Secret::new(format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", base64.expose()));
        text.expose_mut().extend_from_slice(section.expose().as_bytes());
    }
    Ok(text)
}

fn facts(der: &CertificateDer<'_>) -> Option<CertificateFacts> {
    let certificate = Certificate::from_der(der).ok()?.tbs_certificate;
    let at = |time: Time| Timestamp::from_second(i64::try_from(time.to_unix_duration().as_secs()).ok()?).ok();
    let mut subject = certificate.subject.to_string();
    if subject.is_empty() {
        let names = certificate.get::<SubjectAltName>().ok().flatten().map(|(_, names)| names.0).unwrap_or_default();
        let name = |name: &GeneralName| match name {
            GeneralName::DnsName(name) => Some(name.to_string()),
            GeneralName::UniformResourceIdentifier(name) => Some(name.to_string()),
            GeneralName::Rfc822Name(name) => Some(name.to_string()),
            _ => None,
        };
        subject = names.iter().filter_map(name).collect::<Vec<_>>().join(", ");
    }
    let validity = certificate.validity;
    Some(CertificateFacts { subject, not_before: at(validity.not_before)?, not_after: at(validity.not_after)? })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn made(name: Option<&str>, uri: Option<&str>) -> (String, String) {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(name) = name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.subject_alt_names = uri.map(|uri| SanType::URI(uri.try_into().expect("a URI"))).into_iter().collect();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 3, 2);
        let key = KeyPair::generate().expect("a key");
        (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
    }

    fn parsed(certificate: &str, key: &str) -> Result<CertificateFacts, CertificateFlaw> {
        let key = Secret::new(key.as_bytes().to_vec());
        ClientCertificate::parse(certificate.as_bytes(), &key).map(|certificate| certificate.facts)
    }

    #[test]
    fn a_certificate_shows_its_name_and_its_age() {
        let (certificate, key) = made(Some("tagalong"), None);
        let facts = parsed(&certificate, &key).expect("a pair");
        assert_eq!(facts.subject, "CN=tagalong");
        let at = |text: &str| facts.validity(text.parse().expect("a time"));
        assert_eq!(at("2025-12-31T00:00:00Z"), Validity::NotYet);
        // Of its 60 days, the last ten are the last sixth.
        assert_eq!((at("2026-02-19T00:00:00Z"), at("2026-02-21T00:00:00Z")), (Validity::Valid, Validity::ExpiresSoon));
        assert_eq!(at("2026-03-03T00:00:00Z"), Validity::Expired);
        let (certificate, key) = made(None, Some("spiffe://example.com/tagalong"));
        assert_eq!(parsed(&certificate, &key).expect("a pair").subject, "spiffe://example.com/tagalong");
    }

    #[test]
    fn what_does_not_fit_is_told_apart_and_not_repeated() {
        let ((certificate, key), (_, other)) = (made(Some("one"), None), made(Some("two"), None));
        assert_eq!(parsed(&certificate, &other), Err(CertificateFlaw::Mismatch));
        let wrong_certificate = |text: &str| match parsed(text, &key) {
            Err(CertificateFlaw::Certificate(reason)) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(wrong_certificate(""), "it contains no certificate");
        assert_eq!(wrong_certificate(&key), "it contains no certificate");
        assert_eq!(wrong_certificate("-----BEGIN CERTIFICATE-----\nAAAA\n"), "it is not valid PEM");
        let zeros = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(wrong_certificate(zeros), "it is not a certificate");
        let wrong_key = |text: &str| match parsed(&certificate, text) {
            Err(CertificateFlaw::Key(reason)) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(wrong_key(&certificate), "it contains no private key");
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert!(wrong_key(encrypted).starts_with("its key is encrypted"));
        let zeros = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(wrong_key(zeros), "its private key is of a kind that is not supported");
    }

    #[test]
    fn other_sections_of_the_files_do_not_matter() {
        let (certificate, key) = made(Some("tagalong"), None);
        let (_, authority_key) = made(Some("authority"), None);
        // As `openssl ecparam -genkey` writes it, and a combined file with the key first.
        let parameters = format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{key}");
        let combined = format!("{key}{certificate}");
        assert!(parsed(&certificate, &parameters).is_ok());
        assert!(parsed(&combined, &combined).is_ok());
        assert_eq!(parsed(&format!("{authority_key}{certificate}"), &authority_key), Err(CertificateFlaw::Mismatch));
    }
}

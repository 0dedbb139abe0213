//! Errors of connections whose cause is the client certificate or the proxy.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::fault::{Explain, Fault};
use crate::http::client_certificate::CertificateFlaw;
use crate::http::peer_failure::{CertificateObjection, ProxyFailure};

use super::config::CertificateFiles;

/// A connection that failed, or cannot be made, because of the client certificate or the proxy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages name the fields")]
pub enum ConnectionError {
    /// The file with the client certificate or its key cannot be used.
    #[error("cannot use the client certificate in {}: {reason}", file.display())]
    CertificateFile { file: PathBuf, reason: String },
    /// The certificate and the key do not belong together.
    #[error("the key in {} does not belong to the client certificate in {}", files.key_file.display(), files.cert_file.display())]
    Pair { files: CertificateFiles },
    /// There is a client certificate for a host that is used without TLS.
    #[error("{host} has a client certificate, but is used over plain HTTP")]
    PlainHttp { host: String },
    /// The proxy uses TLS, so it would be shown the client certificate as well.
    #[error("{host} has a client certificate, which the proxy {proxy} would be shown as well")]
    ProxyTls { host: String, proxy: String },
    /// The file with the credentials for the proxy cannot be used.
    #[error("cannot use the credentials for the proxy in {}: {reason}", file.display())]
    ProxyCredentialsFile { file: PathBuf, reason: String },
    /// The host requires a client certificate, and there is none for it.
    #[error("{host} requires a client certificate")]
    CertificateRequired { host: String },
    /// A server that the host refers to requires a client certificate, and gets none.
    #[error("{server}, which {host} refers to, requires a client certificate and does not get one")]
    CertificateRequiredElsewhere { host: String, server: String },
    /// The host does not accept the client certificate.
    #[error("{host} refused the client certificate in {}: {reason}", file.display())]
    CertificateRefused { host: String, file: PathBuf, reason: String },
    /// The proxy failed, so the host was not reached.
    #[error("cannot reach {host}, because the proxy {proxy} {}", failed(failure))]
    Proxy { host: String, proxy: String, credentials_file: Option<PathBuf>, failure: ProxyFailure },
}

impl ConnectionError {
    /// The error for files of a certificate that cannot be used.
    pub fn of_flaw(flaw: CertificateFlaw, files: &CertificateFiles) -> ConnectionError {
        match flaw {
            CertificateFlaw::Certificate(reason) => {
                ConnectionError::CertificateFile { file: files.cert_file.clone(), reason }
            }
            CertificateFlaw::Key(reason) => ConnectionError::CertificateFile { file: files.key_file.clone(), reason },
            CertificateFlaw::Mismatch => ConnectionError::Pair { files: files.clone() },
        }
    }

    /// The error for a client certificate that a host refused, which is valid until `not_after`.
    pub fn refused(
        host: &str,
        files: &CertificateFiles,
        objection: CertificateObjection,
        not_after: Timestamp,
    ) -> ConnectionError {
        let reason = match objection {
            // What the host reports is often vague.
            _ if not_after < crate::clock::now() => format!("it expired at {not_after}"),
            CertificateObjection::Missing => "the host supports no key of its kind".to_owned(),
            CertificateObjection::UnknownAuthority => "the host does not trust the authority that signed it".to_owned(),
            CertificateObjection::Expired => {
                format!("it has expired by the host's clock, although it is valid until {not_after}")
            }
            CertificateObjection::Revoked => "it has been revoked".to_owned(),
            CertificateObjection::Unacceptable => "it is not acceptable, which the host does not explain".to_owned(),
        };
        ConnectionError::CertificateRefused { host: host.to_owned(), file: files.cert_file.clone(), reason }
    }

    /// Returns whether a retry may help.
    pub fn is_transient(&self) -> bool {
        self.fault() == Fault::Transient
    }
}

fn failed(failure: &ProxyFailure) -> String {
    match failure {
        ProxyFailure::Unreachable(reason) => format!("failed: {reason}"),
        ProxyFailure::Credentials => "requires credentials that it accepts".to_owned(),
        ProxyFailure::NoConnection => "does not connect to it".to_owned(),
    }
}

impl Explain for ConnectionError {
    fn fault(&self) -> Fault {
        match self {
            ConnectionError::CertificateFile { .. }
            | ConnectionError::Pair { .. }
            | ConnectionError::PlainHttp { .. }
            | ConnectionError::ProxyTls { .. }
            | ConnectionError::ProxyCredentialsFile { .. } => Fault::BadInput,
            ConnectionError::Proxy { failure: ProxyFailure::Unreachable(_) | ProxyFailure::NoConnection, .. } => {
                Fault::Transient
            }
            ConnectionError::CertificateRequired { .. }
            | ConnectionError::CertificateRequiredElsewhere { .. }
            | ConnectionError::CertificateRefused { .. }
            | ConnectionError::Proxy { .. } => Fault::Denied,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            ConnectionError::CertificateFile { .. } => {
                "use PEM files: the certificate followed by its chain, and its private key without a passphrase"
                    .to_owned()
            }
            ConnectionError::Pair { .. } => "check that certFile and keyFile are of the same certificate".to_owned(),
            ConnectionError::PlainHttp { host } => {
                format!("remove `plainHttp` or `clientCertificate` from the entry of {host} under `registries`")
            }
            ConnectionError::ProxyTls { host, .. } => {
                format!("set `proxy` in the entry of {host} under `registries` to a proxy with http:// or to direct")
            }
            ConnectionError::ProxyCredentialsFile { .. } => "write user:password to the file, on one line".to_owned(),
            ConnectionError::CertificateRequired { host } => {
                format!("set `clientCertificate` in the entry of {host} under `registries`")
            }
            ConnectionError::CertificateRequiredElsewhere { host, .. } => {
                format!("a client certificate is shown only to {host} itself; let it serve this without a redirect")
            }
            ConnectionError::CertificateRefused { host, .. } => {
                format!("replace the files by a certificate that {host} accepts; they are read again when they change")
            }
            ConnectionError::Proxy { failure: ProxyFailure::Unreachable(_), .. } => {
                "check the address of the proxy, and that it is running".to_owned()
            }
            ConnectionError::Proxy { failure: ProxyFailure::Credentials, credentials_file: Some(file), .. } => {
                format!("check the user and the password in {}", file.display())
            }
            ConnectionError::Proxy { failure: ProxyFailure::Credentials, host, .. } => format!(
                "set `proxy` and `proxyCredentialsFile` in the entry of {host} under `registries`, or correct the \
                 environment variable of the proxy"
            ),
            ConnectionError::Proxy { failure: ProxyFailure::NoConnection, host, .. } => {
                format!("check that the rules of the proxy allow {host}, and that it can be reached from there")
            }
        })
    }
}

//! Failed connections whose cause is the client certificate or the proxy, which both need other remedies than a server
//! that is down.

use std::error::Error;

use reqwest::StatusCode;
use rustls::AlertDescription;

use super::{connection_failure, root_cause, tls_error};

/// The alerts about the certificate of a client (RFC 8446, section 6.2).
const ALERTS: [AlertDescription; 8] = [
    AlertDescription::CertificateRequired,
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::UnknownCA,
    AlertDescription::AccessDenied,
];

/// The messages about a proxy that requires credentials or rejects them, and about one that does not connect to a server.
const CREDENTIALS: [&str; 3] = [
    "tunnel error: proxy authorization required",
    "SOCKS error: credentials not accepted",
    "SOCKS error: server does not support user/pass authentication",
];
const NO_CONNECTION: [&str; 2] = ["tunnel error: unsuccessful", "SOCKS error: connection not allowed"];

/// What a server objects to about the certificate of its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateObjection {
    /// There was none.
    Missing,
    /// The server does not trust the authority that signed it.
    UnknownAuthority,
    /// It has expired.
    Expired,
    /// It has been revoked.
    Revoked,
    /// Anything else: servers may, and old ones do, report all of the above like this.
    Unacceptable,
}

impl CertificateObjection {
    /// Determines the objection from the TLS alert that ended a connection. `presented` says whether the server was shown
    /// a certificate.
    pub fn of(error: &(dyn Error + 'static), presented: bool) -> Option<CertificateObjection> {
        Some(match alert(error)? {
            AlertDescription::CertificateRequired => CertificateObjection::Missing,
            // TLS 1.2 has no alert for a missing certificate; servers send the one for a bad one.
            AlertDescription::BadCertificate if !presented => CertificateObjection::Missing,
            // Without a certificate, these are not about ours.
            _ if !presented => return None,
            AlertDescription::UnknownCA => CertificateObjection::UnknownAuthority,
            AlertDescription::CertificateExpired => CertificateObjection::Expired,
            AlertDescription::CertificateRevoked => CertificateObjection::Revoked,
            _ => CertificateObjection::Unacceptable,
        })
    }

    /// Reads the objection from a response: nginx completes the handshake and then answers 400 with a page that says it.
    pub fn in_response(status: StatusCode, body: &[u8]) -> Option<CertificateObjection> {
        if status != StatusCode::BAD_REQUEST {
            return None;
        }
        let body = String::from_utf8_lossy(body);
        if body.contains("No required SSL certificate was sent") {
            return Some(CertificateObjection::Missing);
        }
        body.contains("The SSL certificate error").then_some(CertificateObjection::Unacceptable)
    }
}

/// Returns the alert that ended a connection, if it is about certificates.
fn alert(error: &(dyn Error + 'static)) -> Option<AlertDescription> {
    if let Some(rustls::Error::AlertReceived(alert)) = tls_error(error) {
        return ALERTS.contains(alert).then_some(*alert);
    }
    // In TLS 1.3, the alert arrives after the handshake, and HTTP/2 keeps only the text of an error.
    let words = root_cause(error);
    ALERTS.into_iter().find(|alert| words.contains(&rustls::Error::AlertReceived(*alert).to_string()))
}

/// The way in which a proxy failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyFailure {
    /// It cannot be reached, for this reason.
    Unreachable(String),
    /// It requires credentials, or rejected them.
    Credentials,
    /// It does not connect to the server: its rules forbid it, or the server cannot be reached from there. The status of its
    /// response is not known.
    NoConnection,
}

impl ProxyFailure {
    /// Determines whether a connection through a proxy failed at the proxy; `None` means that it got through to the server.
    pub fn of(error: &reqwest::Error) -> Option<ProxyFailure> {
        if !error.is_connect() {
            return None;
        }
        let texts: Vec<String> = chain(error).map(ToString::to_string).collect();
        let says = |text: &str| texts.iter().any(|is| is.starts_with(text));
        // The types of these errors are private.
        if CREDENTIALS.iter().any(|text| says(text)) {
            return Some(ProxyFailure::Credentials);
        }
        if NO_CONNECTION.iter().any(|text| says(text)) {
            return Some(ProxyFailure::NoConnection);
        }
        // With `socks5`, names of servers are resolved here.
        if says("error resolving for socks proxy") {
            return None;
        }
        let is_before_server = says("tunnel error: ") || says("SOCKS error: ");
        if is_before_server || tls_error(error).is_none() {
            let reason =
                if error.is_timeout() { "it did not connect in time".to_owned() } else { connection_failure(error) };
            return Some(ProxyFailure::Unreachable(reason));
        }
        None
    }
}

/// An error and its causes, from the outermost to the innermost.
fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| (*error).source())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn objection(error: &(dyn Error + 'static), presented: bool) -> Option<CertificateObjection> {
        CertificateObjection::of(error, presented)
    }

    #[test]
    fn alerts_are_told_apart_with_and_without_their_type() {
        let typed = |alert| io::Error::other(rustls::Error::AlertReceived(alert));
        let text = |alert| io::Error::other(rustls::Error::AlertReceived(alert).to_string());
        for (alert, presented, expected) in [
            (AlertDescription::CertificateRequired, false, Some(CertificateObjection::Missing)),
            (AlertDescription::BadCertificate, false, Some(CertificateObjection::Missing)),
            (AlertDescription::BadCertificate, true, Some(CertificateObjection::Unacceptable)),
            (AlertDescription::UnknownCA, true, Some(CertificateObjection::UnknownAuthority)),
            (AlertDescription::CertificateExpired, true, Some(CertificateObjection::Expired)),
            (AlertDescription::CertificateRevoked, true, Some(CertificateObjection::Revoked)),
            (AlertDescription::UnknownCA, false, None),
            (AlertDescription::ProtocolVersion, true, None),
        ] {
            assert_eq!(objection(&typed(alert), presented), expected, "{alert:?}");
            assert_eq!(objection(&text(alert), presented), expected, "{alert:?}");
        }
        assert_eq!(objection(&io::Error::other("connection reset by peer"), true), None);
    }
}

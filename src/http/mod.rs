//! HTTP for all outside systems: clients with the same TLS, redirects and timeouts, and the causes of failed
//! connections.
//!
//! Every secret is bound to an origin (scheme, host and port, RFC 6454). No client follows redirects on its own, and
//! [`redirect`] is the only place that decides about them.
//!
//! - [`client`]: sends requests, follows redirects and limits the size of responses
//! - [`client_certificate`]: client certificates with their keys
//! - [`complaint`]: what a server says about a request that it refuses
//! - [`peer_failure`]: connections that failed because of the client certificate or the proxy
//! - [`proxy`]: the proxy of a client
//! - [`redirect`]: decides which redirects are followed, and who receives secrets
//! - [`reach`]: tells public addresses from those of this machine and of private networks
//! - [`resolver`]: resolves names, and keeps redirects away from private addresses
//! - [`wait`]: how long a server asks to wait
//! - [`excerpt`]: the beginning of a text from a server, for messages

pub mod client;
pub mod client_certificate;
pub mod complaint;
pub mod excerpt;
pub mod peer_failure;
pub mod proxy;
pub mod reach;
pub mod redirect;
pub mod resolver;
pub mod wait;

use std::error::Error;
use std::io;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderMap, LINK};

/// All but the unreserved characters of a path segment (RFC 3986, section 2.3).
const PATH_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A client that identifies itself and respects `timeout`. It follows no redirects: [`client::Client`] does, for
/// requests that need it.
pub fn builder(timeout: Duration) -> reqwest::ClientBuilder {
    use_ring();
    reqwest::Client::builder()
        .user_agent(concat!("tagalong/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(timeout.min(Duration::from_secs(10)))
        .timeout(timeout)
}

/// Installs the cryptography provider for TLS, once for the process; further calls do nothing.
pub fn use_ring() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Parses at least one certificate from PEM text.
///
/// # Errors
/// The problem, in words.
pub fn parse_certificates(pem: &[u8]) -> Result<Vec<reqwest::Certificate>, String> {
    let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(|error| error.to_string())?;
    if certificates.is_empty() { Err("it contains no certificate".to_owned()) } else { Ok(certificates) }
}

/// The message of the innermost cause, which is the most specific ("connection refused", "invalid peer certificate")
/// and contains no URL.
pub fn root_cause(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => root_cause(source),
        None => error.to_string(),
    }
}

/// The reason why a connection failed: in words where TLS is the reason, else the message of the innermost cause.
pub fn connection_failure(error: &(dyn Error + 'static)) -> String {
    use rustls::AlertDescription::HandshakeFailure;
    use rustls::CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext, UnknownIssuer,
    };
    let words = match tls_error(error) {
        // An authority of the same name with another key gives a bad signature.
        Some(rustls::Error::InvalidCertificate(UnknownIssuer | BadSignature)) => {
            "its certificate is signed by an unknown authority"
        }
        Some(rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. })) => "its certificate has expired",
        Some(rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => {
            "its certificate is for another name"
        }
        Some(rustls::Error::InvalidMessage(_)) => "it does not speak TLS, so it probably serves plain HTTP",
        Some(rustls::Error::AlertReceived(HandshakeFailure)) => {
            "it refused the TLS handshake, as servers do that require a client certificate or other ciphers"
        }
        _ => return root_cause(error),
    };
    words.to_owned()
}

/// The kind of a failed connection, as far as advice depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionFailure {
    /// The server's certificate is not trusted, or there are no authorities to trust.
    Certificate,
    /// The server does not speak TLS.
    NotTls,
    /// The server refused the handshake without saying why. In TLS 1.2, many do if there is no client certificate.
    Handshake,
    /// Any other failure.
    Other,
}

impl ConnectionFailure {
    /// Determines the kind from the TLS error in the chain of causes.
    pub fn of(error: &(dyn Error + 'static)) -> ConnectionFailure {
        match tls_error(error) {
            // Building a client without any authorities fails with a general error.
            Some(
                rustls::Error::InvalidCertificate(_)
                | rustls::Error::NoCertificatesPresented
                | rustls::Error::General(_),
            ) => ConnectionFailure::Certificate,
            Some(rustls::Error::InvalidMessage(_)) => ConnectionFailure::NotTls,
            Some(rustls::Error::AlertReceived(rustls::AlertDescription::HandshakeFailure)) => {
                ConnectionFailure::Handshake
            }
            _ => ConnectionFailure::Other,
        }
    }
}

fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(error);
    }
    // The source of an I/O error is that of the error it wraps, not the wrapped error itself.
    if let Some(wrapped) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        return tls_error(wrapped);
    }
    error.source().and_then(tls_error)
}

/// Encodes a text as a path segment or as a query value.
pub fn encode_path_segment(text: &str) -> String {
    utf8_percent_encode(text, PATH_SEGMENT).to_string()
}

/// The target of `Link: <…>; rel="next"` (RFC 8288), among all links.
pub fn next_link(headers: &HeaderMap) -> Option<String> {
    headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok()).find_map(|text| {
        let mut rest = text;
        loop {
            let (target, tail) = rest.trim_start_matches([',', ' ']).strip_prefix('<')?.split_once('>')?;
            let (parameters, after) = tail.split_at(tail.find('<').unwrap_or(tail.len()));
            if parameters.replace(['"', ' ', ','], "").split(';').any(|parameter| parameter == "rel=next") {
                return Some(target.to_owned());
            }
            rest = after;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_other_links() {
        let next = |text: &str| next_link(&HeaderMap::from_iter([(LINK, text.parse().expect("a header"))]));
        let all = "<https://x/a?page=1,2>; rel=\"prev\", <https://x/a?page=3>; rel=\"next\", <https://x/a?page=9>; rel=\"last\"";
        assert_eq!(next(all).as_deref(), Some("https://x/a?page=3"));
        assert_eq!(next("</v2/x/tags/list?n=1&last=a>; rel=next").as_deref(), Some("/v2/x/tags/list?n=1&last=a"));
        assert_eq!(next("<https://x/a?page=1>; rel=\"prev\", <https://x/a?page=9>; rel=\"last\""), None);
        assert_eq!(next("nonsense"), None);
    }
}

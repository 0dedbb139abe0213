//! HTTP clients, alike for all outside systems: TLS, redirects, time limits, and words for what goes wrong.

use std::error::Error;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderMap, LINK, RETRY_AFTER};

/// What stands for itself in a part of a path (RFC 3986, section 2.3).
const PATH_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A client in the making. It names us, waits no longer than `timeout`, and follows redirects, but never from https to
/// http and not for ever; reqwest itself takes credentials off when the host changes.
pub fn builder(timeout: Duration) -> reqwest::ClientBuilder {
    use_ring();
    let redirects = reqwest::redirect::Policy::custom(|attempt| {
        let from_https = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
        let downgrade = from_https && attempt.url().scheme() != "https";
        if downgrade || attempt.previous().len() > 5 { attempt.stop() } else { attempt.follow() }
    });
    reqwest::Client::builder()
        .user_agent(concat!("tagalong/", env!("CARGO_PKG_VERSION")))
        .redirect(redirects)
        .connect_timeout(timeout.min(Duration::from_secs(10)))
        .timeout(timeout)
}

/// Sets the provider of cryptography for TLS, one for the whole process; a second call finds it there.
pub fn use_ring() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The certificates of PEM text, at least one; or what is wrong with it.
pub fn parse_certificates(pem: &[u8]) -> Result<Vec<reqwest::Certificate>, String> {
    let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(|error| error.to_string())?;
    if certificates.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(certificates) }
}

/// The innermost reason says the most: "connection refused", "invalid peer certificate". It names no URL.
pub fn root_cause(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => root_cause(source),
        None => error.to_string(),
    }
}

/// `Retry-After` in its two forms, seconds or a date.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        // A year is as good as for ever, and does not overflow.
        return Some(Duration::from_secs(seconds.min(365 * 24 * 3600)));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(at.duration_since(jiff::Timestamp::now())).ok()
}

/// A text as a part of a path, or as the value of a query.
pub fn encode_path_segment(text: &str) -> String {
    utf8_percent_encode(text, PATH_SEGMENT).to_string()
}

/// The target of `Link: <…>; rel="next"` (RFC 8288), among all that are given.
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

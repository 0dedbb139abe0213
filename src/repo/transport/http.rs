//! Requests to a server, and which of its redirects are followed.

use std::net::IpAddr;

use git2::transport::Service;
use reqwest::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{RequestBuilder, Response, StatusCode, Url};

use crate::http::root_cause;
use crate::repo::credentials::Offer;
use crate::repo::error::{Outage, RepoError, Words};

use super::operation::Operation;

/// The number of redirects that are followed.
const MOST_REDIRECTS: usize = 5;

/// How much of the body of an error response is read.
const MOST_WORDS: usize = 4096;

/// Returns the name of a service in URLs and content types.
pub fn name(service: Service) -> &'static str {
    match service {
        Service::UploadPackLs | Service::UploadPack => "git-upload-pack",
        Service::ReceivePackLs | Service::ReceivePack => "git-receive-pack",
    }
}

/// Returns the configured URL without credentials.
fn configured(operation: &Operation) -> Result<Url, RepoError> {
    let url = Url::parse(operation.url().expose());
    let mut url = url.map_err(|error| operation.broken(Outage::NoConnection(error.to_string())))?;
    let _ = (url.set_username(""), url.set_password(None));
    url.set_fragment(None);
    Ok(url)
}

/// Returns a URL below a repository (gitprotocol-http). The repository's own query is kept.
fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

/// Returns the URL of the list of references for a service.
pub fn announcement(operation: &Operation, service: Service) -> Result<Url, RepoError> {
    let mut url = below(&configured(operation)?, "info/refs");
    url.query_pairs_mut().append_pair("service", name(service));
    Ok(url)
}

/// Returns the URL for requests to a service: below the configured URL, or where the references were found.
pub fn endpoint(operation: &Operation, service: Service) -> Result<Url, RepoError> {
    let base = operation.base.lock().clone();
    Ok(below(&base.map_or_else(|| configured(operation), Ok)?, name(service)))
}

/// Adds common headers to a request. Credentials are only sent to the origin that they were configured for.
pub fn with_headers(operation: &Operation, request: RequestBuilder, to: &Url) -> Result<RequestBuilder, RepoError> {
    let request = request.header(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(match &operation.offer {
        Offer::Password { user, password, .. } if to.origin() == configured(operation)?.origin() => {
            request.basic_auth(user, Some(password.expose()))
        }
        _ => request,
    })
}

/// Returns a request for the list of references.
pub fn get(
    operation: &Operation,
    client: &reqwest::Client,
    service: Service,
    url: &Url,
) -> Result<RequestBuilder, RepoError> {
    let accepted = format!("application/x-{}-advertisement", name(service));
    with_headers(operation, client.get(url.clone()).header(ACCEPT, accepted), url)
}

/// Returns a POST request to a service.
pub fn post(operation: &Operation, client: &reqwest::Client, service: Service) -> Result<RequestBuilder, RepoError> {
    let url = endpoint(operation, service)?;
    let request = client.post(url.clone()).header(CONTENT_TYPE, format!("application/x-{}-request", name(service)));
    with_headers(operation, request.header(ACCEPT, format!("application/x-{}-result", name(service))), &url)
}

/// Returns whether a status is a redirect.
pub fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Returns the target of a redirect if it may be followed: it must be the same kind of URL, not http after https, and not
/// in a private network or on this machine unless the redirecting host is.
pub fn redirected(operation: &Operation, from: &Url, response: &Response, followed: usize) -> Result<Url, RepoError> {
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let to = location.and_then(|location| from.join(location).ok());
    let Some(mut to) = to else {
        return Err(operation.broken(Outage::Answer(format!("{} without a usable Location", response.status()))));
    };
    let _ = (to.set_username(""), to.set_password(None));
    let refuse = |why| {
        let mut shown = to.clone();
        shown.set_query(None);
        Err(RepoError::Redirected { url: operation.url().clone(), to: shown.to_string(), why })
    };
    let asked = from.query_pairs().find(|(key, _)| key == "service").map(|(_, value)| value.into_owned());
    let is_same = to.query_pairs().any(|(key, value)| key == "service" && Some(&*value) == asked.as_deref());
    if followed >= MOST_REDIRECTS {
        return refuse("which is one redirect too many");
    }
    if !matches!(to.scheme(), "https" | "http") || from.scheme() == "https" && to.scheme() != "https" {
        return refuse("which is not https");
    }
    if !to.path().ends_with("/info/refs") || !is_same {
        return refuse("which is not where a repository announces its references");
    }
    if to.host() != from.host() && is_inside(&to) && !is_inside(from) {
        return refuse("which is inside a private network");
    }
    Ok(to)
}

/// Returns whether a host is an address, or a name, of this machine or of a private network.
fn is_inside(url: &Url) -> bool {
    let is_inside = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unique_local() || ip.is_unspecified(),
    };
    match url.host() {
        Some(url::Host::Ipv4(ip)) => is_inside(ip.into()),
        Some(url::Host::Ipv6(ip)) => is_inside(ip.to_ipv4_mapped().map_or(ip.into(), IpAddr::from)),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => true,
    }
}

/// Stores where the references were found, for the following requests of the operation.
pub fn remember(operation: &Operation, announcement: &Url) {
    let mut base = announcement.clone();
    let path = announcement.path();
    base.set_path(path.strip_suffix("/info/refs").unwrap_or(path));
    let others: Vec<(String, String)> = announcement
        .query_pairs()
        .filter(|(key, _)| key != "service")
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    base.set_query(None);
    if !others.is_empty() {
        base.query_pairs_mut().extend_pairs(others);
    }
    *operation.base.lock() = Some(base);
}

/// Returns an error unless the response is a success with the expected content type.
pub fn checked(operation: &Operation, response: Response, expected: &str) -> Result<Response, RepoError> {
    let status = response.status();
    if !status.is_success() {
        return Err(refusal(operation, status, response));
    }
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("nothing");
    if kind.split(';').next().map(str::trim) != Some(expected) {
        let words = format!("the server sent {kind} instead of {expected}; this is not the URL of a git repository");
        return Err(operation.broken(Outage::Answer(words)));
    }
    Ok(response)
}

fn refusal(operation: &Operation, status: StatusCode, response: Response) -> RepoError {
    let from = response.url().clone();
    let printed = operation.wait(words_of(response)).unwrap_or_default();
    let words = if printed.is_empty() { status.to_string() } else { format!("{status}: {printed}") };
    let url = operation.url().clone();
    let is_ours = configured(operation).is_ok_and(|ours| ours.origin() == from.origin());
    match status.as_u16() {
        401 | 403 if !is_ours => {
            let mut to = from;
            to.set_query(None);
            RepoError::Redirected {
                url,
                to: to.to_string(),
                why: "which requires credentials, and none were sent there",
            }
        }
        401 => operation.offer.refused(&operation.config, ""),
        403 => RepoError::NoAccess { url, words },
        404 | 410 => RepoError::NotFound { url, words },
        _ => operation.broken(Outage::Answer(words)),
    }
}

/// Returns the body of an error response if it is plain text.
async fn words_of(mut response: Response) -> String {
    let is_text = response.headers().get(CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let mut body = Vec::new();
    while is_text
        && body.len() < MOST_WORDS
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    let text = String::from_utf8_lossy(&body);
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the error for a failed request.
pub fn failed(operation: &Operation, error: &reqwest::Error) -> RepoError {
    let words = root_cause(error);
    if error.is_connect() && is_certificate(error) {
        return RepoError::Certificate { url: operation.url().clone(), source: Words(words) };
    }
    operation.broken(if error.is_connect() { Outage::NoConnection(words) } else { Outage::Cut(words) })
}

fn is_certificate(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let inner = error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
        let is_tls = |error: &(dyn std::error::Error + 'static)| {
            matches!(error.downcast_ref::<rustls::Error>(), Some(rustls::Error::InvalidCertificate(_)))
        };
        if is_tls(error) || inner.is_some_and(|inner| is_tls(inner)) {
            return true;
        }
        source = error.source();
    }
    false
}

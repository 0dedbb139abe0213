//! Requests to a server, and which of its redirects are followed.

use git2::transport::Service;
use reqwest::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};

use crate::http::client::is_private;
use crate::http::redirect::{RedirectError, RedirectProblem, Route};
use crate::http::{ConnectionFailure, root_cause};
use crate::identity::issuer_error::IssuerError;
use crate::repo::credentials::Offer;
use crate::repo::error::{Outage, RepoError, Words};
use crate::repo::words;

use super::operation::{Base, Operation};

/// Why a redirect is of no use whose target wants to know who is asking.
const NO_CREDENTIALS: &str = "which requires credentials, and none were sent there";

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

/// Adds common headers to a request, and the credentials if it is for the origin that they were configured for.
fn with_headers(operation: &Operation, request: RequestBuilder, carries_secrets: bool) -> RequestBuilder {
    let request = request.header(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if carries_secrets { operation.offer().authorize(request) } else { request }
}

/// Returns a request for the list of references.
pub fn get(operation: &Operation, client: &reqwest::Client, service: Service, route: &Route) -> RequestBuilder {
    let accepted = format!("application/x-{}-advertisement", name(service));
    with_headers(operation, client.get(route.url().clone()).header(ACCEPT, accepted), route.carries_secrets())
}

/// Returns a POST request to a service: below the configured URL, or where the references were found.
pub fn post(operation: &Operation, client: &reqwest::Client, service: Service) -> Result<RequestBuilder, RepoError> {
    let base = operation.base.lock().clone();
    let Base { url, carries_secrets } =
        base.map_or_else(|| configured(operation).map(|url| Base { url, carries_secrets: true }), Ok)?;
    let request = client.post(below(&url, name(service)));
    let request = request.header(CONTENT_TYPE, format!("application/x-{}-request", name(service)));
    let request = request.header(ACCEPT, format!("application/x-{}-result", name(service)));
    Ok(with_headers(operation, request, carries_secrets))
}

/// Follows a redirect to where the repository announces its references, if the response is one.
pub fn follow(operation: &Operation, route: &mut Route, response: &Response) -> Result<bool, RepoError> {
    let requested = route.url().clone();
    let refused = |error: RedirectError, why| RepoError::Redirected { url: operation.url().clone(), to: error.to, why };
    let is_redirect = route.follow(&Method::GET, response.status(), response.headers(), &[]);
    let is_redirect = is_redirect.map_err(|error| {
        let why = match error.problem {
            RedirectProblem::TooMany => "which is one redirect too many",
            RedirectProblem::Unencrypted | RedirectProblem::Invalid => "which is not https",
            RedirectProblem::Private => "which is inside a private network",
            RedirectProblem::NotRepeated | RedirectProblem::Credentials => NO_CREDENTIALS,
        };
        refused(error, why)
    })?;
    let service = |url: &Url| url.query_pairs().find(|(key, _)| key == "service").map(|(_, value)| value.into_owned());
    let announces = route.url().path().ends_with("/info/refs") && service(route.url()) == service(&requested);
    if is_redirect && !announces {
        let error = RedirectError::new(route.url(), RedirectProblem::Invalid);
        return Err(refused(error, "which is not where a repository announces its references"));
    }
    Ok(is_redirect)
}

/// Returns whether a response says that the credentials are not valid.
pub fn is_refused(response: &Response) -> bool {
    response.status() == StatusCode::UNAUTHORIZED
}

/// Stores where the references were found, for the following requests of the operation.
pub fn remember(operation: &Operation, route: &Route) {
    let announcement = route.url();
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
    *operation.base.lock() = Some(Base { url: base, carries_secrets: route.carries_secrets() });
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
    let printed = operation.wait(message_of(response)).unwrap_or_default();
    let words = words::line(&printed);
    let shown = if words.is_empty() { status.to_string() } else { format!("{status}: {words}") };
    let (url, access) = (operation.url().clone(), *operation.access.lock());
    let is_ours = configured(operation).is_ok_and(|ours| ours.origin() == from.origin());
    let offer = operation.offer();
    if let (401 | 403 | 404, true, Offer::NotInstalled(error)) = (status.as_u16(), is_ours, &*offer) {
        return IssuerError::GitHubApp(error.clone()).into();
    }
    match status.as_u16() {
        401 | 403 if !is_ours => {
            let mut to = from;
            to.set_query(None);
            RepoError::Redirected { url, to: to.to_string(), why: NO_CREDENTIALS }
        }
        401 | 403 if matches!(*offer, Offer::Nothing) => RepoError::NoCredentials { url, access, words: shown },
        401 => offer.refused(&operation.config, "", &words),
        403 => match operation.refused(&printed) {
            Some(error @ RepoError::Closed { .. }) => error,
            _ => RepoError::NoAccess { url, access, words: shown },
        },
        404 | 410 => RepoError::NotFound { url, words: shown },
        _ => operation.broken(Outage::Answer(shown)),
    }
}

/// Returns the body of an error response if it is plain text.
async fn message_of(mut response: Response) -> String {
    let is_text = response.headers().get(CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let mut body = Vec::new();
    while is_text
        && body.len() < MOST_WORDS
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(MOST_WORDS);
    String::from_utf8_lossy(&body).into_owned()
}

/// Returns the error for a failed request.
pub fn failed(operation: &Operation, error: &reqwest::Error) -> RepoError {
    let words = root_cause(error);
    if let (true, Some(url)) = (is_private(error), error.url()) {
        let RedirectError { to, .. } = RedirectError::new(url, RedirectProblem::Private);
        let url = operation.url().clone();
        return RepoError::Redirected { url, to, why: "which is inside a private network" };
    }
    if error.is_connect() && ConnectionFailure::of(error) == ConnectionFailure::Certificate {
        return RepoError::Certificate { url: operation.url().clone(), source: Words(words) };
    }
    operation.broken(if error.is_connect() { Outage::NoConnection(words) } else { Outage::Cut(words) })
}

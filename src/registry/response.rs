//! Headers that all responses share, and the errors that a response may indicate.

use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;

use crate::http::client::Response;
use crate::http::excerpt::excerpt;
use crate::image::Repository;

use super::error::RegistryError;

/// The value of a header, if it is text.
pub(super) fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers.get(name).and_then(|value| value.to_str().ok())
}

/// Returns whether a response is a web page.
pub(super) fn is_html(response: &Response) -> bool {
    header(response, CONTENT_TYPE.as_str()).is_some_and(|kind| kind.starts_with("text/html"))
}

/// Returns whether a body is an error of the distribution API (section "Error Codes").
pub(super) fn is_registry_error(response: &Response) -> bool {
    #[derive(Deserialize)]
    struct Errors {
        #[serde(rename = "errors")]
        _errors: Vec<serde::de::IgnoredAny>,
    }
    serde_json::from_slice::<Errors>(&response.body).is_ok()
}

/// The error for a response that a registry would not give.
pub(super) fn not_a_registry(host: &str, response: &Response) -> RegistryError {
    let kind = header(response, CONTENT_TYPE.as_str()).unwrap_or("no content type");
    let (path, status) = (excerpt(response.url.path()), response.status.as_u16());
    let reason = format!("{path} answered status {status} ({})", excerpt(kind));
    RegistryError::NotARegistry { host: host.to_owned(), reason }
}

/// The error for a response about a repository that violates the specification. The reason may quote the response.
pub(super) fn invalid_response(repository: &Repository, what: &str, reason: String) -> RegistryError {
    let (what, reason) = (excerpt(what), excerpt(&reason));
    RegistryError::InvalidResponse { host: repository.host().to_owned(), what, reason }
}

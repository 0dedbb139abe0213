//! Requests that exchange one proof of identity for another.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::{Position, Url};
use zeroize::Zeroize;

use crate::http;
use crate::http::client::{Authorities, Client, Request, SendError};
use crate::http::complaint::{Complaint, is_repeated};
use crate::http::excerpt::excerpt;
use crate::secret::Secret;

use super::error::IdentityError;
use super::step::Step;
use super::xml;

/// The time limit of a request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest response that is read, in bytes.
const LIMIT: usize = 256 << 10;
/// The shortest secret that a message must not repeat, in bytes: shorter texts are in many harmless words.
const SHORTEST_SECRET: usize = 8;

/// Sends a request with all that must stay secret of it, and returns the body of a successful response. Connections are
/// not kept: the next request is minutes or hours away.
///
/// # Errors
/// The service cannot be reached, or refuses. Its message is in the error unless it repeats a secret.
pub async fn send(
    request: &Request,
    step: Step,
    secrets: &[&Secret<String>],
) -> Result<Secret<Vec<u8>>, IdentityError> {
    let host = host_of(&request.url);
    let unreachable = |error: &(dyn std::error::Error + 'static)| IdentityError::Unreachable {
        host: host.clone(),
        step,
        reason: excerpt(&http::connection_failure(error)),
    };
    // Without TLS, it is on this machine or on the link to it: no proxy is to see it, and no authorities are needed.
    let client = match request.url.scheme() {
        "http" => Client::without_proxy(TIMEOUT, Authorities::Only(Vec::new())),
        _ => Client::new(TIMEOUT, Authorities::System, Vec::new()),
    };
    let client = client.map_err(|error| unreachable(&error))?;
    let response = client.send(request, LIMIT).await.map_err(|error| match error {
        SendError::Connection(error) if error.is_timeout() => {
            IdentityError::TimedOut { host: host.clone(), step, after: TIMEOUT }
        }
        SendError::Connection(error) => unreachable(&error),
        error => IdentityError::InvalidResponse { host: host.clone(), step, reason: error.to_string() },
    })?;
    if response.has_left {
        let reason = "it redirects to another server".to_owned();
        return Err(IdentityError::InvalidResponse { host, step, reason });
    }
    if response.status == StatusCode::OK {
        return Ok(Secret::new(response.body));
    }
    Err(refusal(host, step, response.status, &response.headers, &response.body, secrets))
}

/// The error for a response that refuses.
pub fn refusal(
    host: String,
    step: Step,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[&Secret<String>],
) -> IdentityError {
    let message = match aws_json(body).or_else(|| xml::error(body)) {
        Some(message) => Some(excerpt(message.trim())),
        None => Complaint::read(headers, body, &[]).message,
    };
    // The whole body is searched, because a message is cut off, too.
    let text = String::from_utf8_lossy(body);
    let mut secrets = secrets.iter().map(|secret| secret.expose()).filter(|secret| secret.len() >= SHORTEST_SECRET);
    let message = message.filter(|_| !secrets.any(|secret| is_repeated(secret, &text)));
    IdentityError::Refused { host, step, status: status.as_u16(), message }
}

/// The code and the message of an error of AWS's JSON protocol.
fn aws_json(body: &[u8]) -> Option<String> {
    let json: Value = serde_json::from_slice(body).ok()?;
    let kind = json["__type"].as_str()?;
    let code = kind.rsplit('#').next().unwrap_or(kind);
    let message = json["message"].as_str().or(json["Message"].as_str());
    Some(message.map_or_else(|| code.to_owned(), |message| format!("{code}: {message}")))
}

/// Reads a response as JSON.
///
/// # Errors
/// It is not the JSON of this service. The response is not repeated.
pub fn json<T: DeserializeOwned>(url: &Url, step: Step, body: &Secret<Vec<u8>>) -> Result<T, IdentityError> {
    serde_json::from_slice(body.expose()).map_err(|error| {
        let reason = match error.classify() {
            serde_json::error::Category::Data => "a part of it is missing or has the wrong type",
            _ => "it is not valid JSON",
        };
        invalid(url, step, reason)
    })
}

/// The error for a response that does not hold what it should.
pub fn invalid(url: &Url, step: Step, reason: &str) -> IdentityError {
    IdentityError::InvalidResponse { host: host_of(url), step, reason: reason.to_owned() }
}

/// Host and port of a URL.
pub fn host_of(url: &Url) -> String {
    url[Position::BeforeHost..Position::AfterPort].to_owned()
}

/// A request that posts a form.
pub fn post_form(url: Url, fields: &[(&str, &str)]) -> Request {
    let mut form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = post(url, "application/x-www-form-urlencoded", form.clone().into_bytes());
    form.zeroize();
    request
}

/// A request that posts a body.
pub fn post(url: Url, content_type: &'static str, body: Vec<u8>) -> Request {
    let mut request = Request::new(Method::POST, url);
    request.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    request.body = Some(body);
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(status: u16, body: &str, secret: &str) -> Option<String> {
        let status = StatusCode::from_u16(status).expect("a status");
        let secret = Secret::new(secret.to_owned());
        let error = refusal("h".to_owned(), Step::EcrToken, status, &HeaderMap::new(), body.as_bytes(), &[&secret]);
        let IdentityError::Refused { message, .. } = error else { panic!("{error}") };
        message
    }

    #[test]
    fn the_words_of_each_service_are_found_and_never_a_secret() {
        let ecr = r#"{"__type":"com.amazonaws.ecr#AccessDeniedException","Message":"not authorized"}"#;
        assert_eq!(message(400, ecr, "").as_deref(), Some("AccessDeniedException: not authorized"));
        assert_eq!(
            message(400, r#"{"__type":"UnrecognizedClientException"}"#, "").as_deref(),
            Some("UnrecognizedClientException")
        );
        let sts =
            "<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized</Message></Error></ErrorResponse>";
        assert_eq!(message(403, sts, "").as_deref(), Some("AccessDenied: Not authorized"));
        let entra = r#"{"error":"invalid_client","error_description":"AADSTS700213: No match. Trace ID: x"}"#;
        assert_eq!(message(401, entra, "").as_deref(), Some("invalid_client: AADSTS700213: No match. Trace ID: x"));
        let google = r#"{"error":{"code":403,"message":"Permission denied","status":"PERMISSION_DENIED"}}"#;
        assert_eq!(message(403, google, "").as_deref(), Some("Permission denied"));
        for body in [ecr.replace("not authorized", "no open-sesame-1"), sts.replace("Not authorized", "open-sesame-1")]
        {
            assert_eq!(message(400, &body, "open-sesame-1"), None, "{body}");
        }
        // Only the beginning of a long token fits into a message.
        let token = "eyJhbGciOiJSUzI1NiJ9.".repeat(50);
        for echo in [token.as_str(), &token[..100]] {
            assert_eq!(message(400, &ecr.replace("not authorized", echo), &token), None);
        }
        let long = message(400, &ecr.replace("not authorized", &"x\\u001b".repeat(10_000)), "").expect("a message");
        assert!(long.chars().count() < 350 && !long.contains('\u{1b}'), "{long}");
    }
}

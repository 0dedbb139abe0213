//! A request to a service.

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use serde_json::Value;
use url::Url;

use crate::secret::Secret;

/// A request that is ready to be sent.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    /// Their values may be secrets.
    pub(super) headers: Vec<(HeaderName, Secret<String>)>,
    pub(super) body: String,
}

impl Request {
    /// A POST of JSON.
    pub(super) fn json(url: Url, body: &Value) -> Request {
        let headers = vec![(CONTENT_TYPE, Secret::new("application/json".to_owned()))];
        Request { method: Method::POST, url, headers, body: body.to_string() }
    }

    /// Adds credentials with a scheme, such as `Bearer` or `token`.
    pub(super) fn authorized(mut self, scheme: &str, token: &Secret<String>) -> Request {
        self.headers.push((AUTHORIZATION, Secret::new(format!("{scheme} {}", token.expose()))));
        self
    }
}

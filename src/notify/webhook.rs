//! Any service that accepts a POST: an event as JSON, or rendered by a template.

use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderName};
use sha2::Sha256;
use url::Url;

use crate::plan::template::{self, TemplateError};
use crate::secret::Secret;

use super::error::NotifyError;
use super::event::{Event, Kind};
use super::request::Request;

/// The header with the HMAC of the body, in GitHub's format: `sha256=HEX`.
const SIGNATURE: HeaderName = HeaderName::from_static("x-tagalong-signature-256");

/// The body of a webhook request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    template: Option<String>,
    content_type: String,
}

impl Body {
    /// A body rendered by a template, which is checked with an event of each kind; without a template, the event as
    /// JSON.
    pub fn new(template: Option<String>, content_type: Option<String>) -> Result<Body, TemplateError> {
        if let Some(source) = &template {
            for kind in Kind::ALL {
                template::render(source, &Event::example(kind))?;
            }
        }
        Ok(Body { template, content_type: content_type.unwrap_or_else(|| "application/json".to_owned()) })
    }

    pub(super) fn request(
        &self,
        url: Url,
        event: &Event,
        secret: Option<&Secret<String>>,
    ) -> Result<Request, NotifyError> {
        let failed = |message: String| NotifyError::Template(message);
        let body = match &self.template {
            Some(source) => template::render(source, event).map_err(|error| failed(error.to_string()))?,
            None => serde_json::to_string(event).map_err(|error| failed(error.to_string()))?,
        };
        let mut headers = vec![(CONTENT_TYPE, Secret::new(self.content_type.clone()))];
        if let Some(Ok(mut mac)) = secret.map(|secret| Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())) {
            mac.update(body.as_bytes());
            let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            headers.push((SIGNATURE, Secret::new(format!("sha256={hex}"))));
        }
        Ok(Request { method: Method::POST, url, headers, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> Url {
        Url::parse("https://example.com/hook").expect("a URL")
    }

    #[test]
    fn without_a_template_the_event_is_sent_as_json_and_signed() {
        let body = Body::new(None, None).expect("a body");
        let key = Secret::new("key".to_owned());
        let request = body.request(url(), &Event::example(Kind::Updated), Some(&key)).expect("a request");
        let sent: serde_json::Value = serde_json::from_str(&request.body).expect("JSON");
        assert_eq!((&sent["kind"], &sent["image"]), (&"updated".into(), &"ghcr.io/acme/shop".into()));
        let mut mac = Hmac::<Sha256>::new_from_slice(b"key").expect("any length");
        mac.update(request.body.as_bytes());
        let hex = request.headers[1].1.expose().strip_prefix("sha256=").expect("a prefix").to_owned();
        let bytes: Vec<u8> = (0..32).map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).expect("hex")).collect();
        assert!(mac.verify_slice(&bytes).is_ok());
    }

    #[test]
    fn a_template_renders_the_body_and_an_invalid_one_is_reported_at_once() {
        let body = Body::new(Some("{\"text\": {{ title | tojson }}}".to_owned()), None).expect("a body");
        let event = Event { title: "a \"quoted\" title".to_owned(), ..Event::example(Kind::Failed) };
        let sent: serde_json::Value =
            serde_json::from_str(&body.request(url(), &event, None).expect("a request").body).expect("JSON");
        assert_eq!(sent["text"], "a \"quoted\" title");
        let wrong = Body::new(Some("{{ titel }}".to_owned()), None).expect_err("wrong").to_string();
        assert!(wrong.starts_with("line 1: "), "{wrong}");
    }
}

//! The body of a webhook: the event as JSON, or a form that contains it.

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};

use crate::secret::Secret;

use super::authentic::Proof;
use super::config::Kind;

/// The media type of forms (HTML, "Form submission").
const FORM: &str = "application/x-www-form-urlencoded";
/// The field of a form that contains the event (GitHub, "Webhook events and payloads"; Gitea, `ContentTypeForm`).
const FIELD: &str = "payload";

/// The body of a webhook.
pub struct Payload {
    body: Bytes,
    /// The event in the form, if the body is one.
    form: Option<Result<String, PayloadError>>,
}

/// A form whose event cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The sender is not known to put events into forms.
    #[error("webhooks of kind {0} are accepted as JSON, not as forms; set their content type to application/json")]
    Unsupported(Kind),
    /// There is no event in the form.
    #[error("the form must contain the event as JSON in exactly one field `{FIELD}`")]
    NoEvent,
}

impl PayloadError {
    /// Returns the status of the response.
    pub fn status(self) -> StatusCode {
        match self {
            PayloadError::Unsupported(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            PayloadError::NoEvent => StatusCode::BAD_REQUEST,
        }
    }
}

impl Payload {
    /// Makes the payload of a request. Content types other than forms do not matter, because registries use many.
    pub fn of(kind: Kind, headers: &HeaderMap, body: Bytes) -> Payload {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let form = media_type.eq_ignore_ascii_case(FORM).then(|| match kind {
            Kind::Gitea | Kind::Ghcr => only_field(&body),
            _ => Err(PayloadError::Unsupported(kind)),
        });
        Payload { body, form }
    }

    /// Returns whether a proof is valid for it. GitHub signs a form as it is sent, Gitea the event in it.
    pub fn is_proved_by(&self, proof: &Proof, secret: &Secret<String>) -> bool {
        let as_sent = proof.is_valid(secret, &self.body);
        match &self.form {
            Some(Ok(event)) => as_sent | proof.is_valid(secret, event.as_bytes()),
            _ => as_sent,
        }
    }

    /// Returns the event.
    pub fn event(&self) -> Result<&[u8], PayloadError> {
        match &self.form {
            None => Ok(&self.body),
            Some(Ok(event)) => Ok(event.as_bytes()),
            Some(Err(error)) => Err(*error),
        }
    }
}

fn only_field(body: &[u8]) -> Result<String, PayloadError> {
    let mut events = url::form_urlencoded::parse(body).filter(|(name, _)| name == FIELD).map(|(_, event)| event);
    match (events.next(), events.next()) {
        (Some(event), None) => Ok(event.into_owned()),
        _ => Err(PayloadError::NoEvent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: Kind, content_type: &str, body: &'static str) -> Result<String, PayloadError> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type.parse().expect("a value"))]);
        let payload = Payload::of(kind, &headers, Bytes::from_static(body.as_bytes()));
        payload.event().map(|event| String::from_utf8_lossy(event).into_owned())
    }

    #[test]
    fn events_are_read_from_forms() {
        let body = "payload=%7B%22a%22%3A+1%7D";
        for form in [FORM, "Application/X-WWW-Form-Urlencoded; charset=utf-8"] {
            assert_eq!(event(Kind::Gitea, form, body).as_deref(), Ok(r#"{"a": 1}"#));
            assert_eq!(event(Kind::Ghcr, form, body).as_deref(), Ok(r#"{"a": 1}"#));
            assert_eq!(event(Kind::Harbor, form, body), Err(PayloadError::Unsupported(Kind::Harbor)));
        }
        assert_eq!(event(Kind::Gitea, "application/json", body).as_deref(), Ok(body));
        for without in ["", "event=1", "payload=1&payload=2", r#"{"a": 1}"#] {
            assert_eq!(event(Kind::Gitea, FORM, without), Err(PayloadError::NoEvent), "{without}");
        }
    }
}

//! Notifies Flux through the URL of a Receiver of the type `generic` or `generic-hmac`
//! (notification.toolkit.fluxcd.io/v1).

use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use sha2::Sha256;
use url::Url;

use crate::http;
use crate::http::client::{Authorities, Client, Request, SendError};
use crate::secret::Secret;

use super::api::TIMEOUT;
use super::config::Receiver;
use super::error::ClusterError;

/// The header with the signature: `sha256=HEX` ("Generic HMAC receiver").
const SIGNATURE: HeaderName = HeaderName::from_static("x-signature");
/// The body; Flux accepts anything.
const BODY: &str = "{}";

/// Notifies a Receiver. Its files are read on each call, so that they can be rotated.
pub async fn notify(receiver: &Receiver) -> Result<(), ClusterError> {
    let file = &receiver.url_file;
    let url = url_of(receiver)?;
    let host = url[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
    let failed = |reason: String, status| ClusterError::Receiver { host: host.clone(), reason, status };
    let unreachable = |error: reqwest::Error| {
        if error.is_timeout() {
            failed(format!("no response within {} s", TIMEOUT.as_secs()), None)
        } else {
            failed(http::root_cause(&error), None)
        }
    };
    let client = Client::new(TIMEOUT, Authorities::System, Vec::new()).map_err(unreachable)?;
    let mut request = Request::new(Method::POST, url);
    request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.body = Some(BODY.as_bytes().to_vec());
    let not_sent = |error: SendError| match error {
        SendError::Redirect(problem) => {
            ClusterError::ReceiverRedirected { host: host.clone(), file: file.clone(), problem }
        }
        SendError::Connection(error) => unreachable(error),
        SendError::TooLarge(_) | SendError::Header(_) => failed(error.to_string(), None),
    };
    if let Some(file) = &receiver.secret_file {
        request = request.with_secret(SIGNATURE, &Secret::new(signature(&read(file)?))).map_err(not_sent)?;
    }
    let status = client.send(&request, 0).await.map_err(not_sent)?.status;
    if status.is_success() {
        Ok(())
    } else {
        Err(failed(format!("it responded with status {}", status.as_u16()), Some(status.as_u16())))
    }
}

/// Checks the files of a Receiver, without notifying it.
pub fn check_files(receiver: &Receiver) -> Result<(), ClusterError> {
    url_of(receiver)?;
    receiver.secret_file.as_deref().map(read).transpose().map(drop)
}

fn url_of(receiver: &Receiver) -> Result<Url, ClusterError> {
    let file = &receiver.url_file;
    let url = Url::parse(read(file)?.expose()).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
    url.ok_or_else(|| ClusterError::ReceiverUrl { file: file.clone() })
}

fn signature(key: &Secret<String>) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()) else { return String::new() };
    mac.update(BODY.as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

/// Reads a file, without the trailing newline that editors add.
fn read(file: &Path) -> Result<Secret<String>, ClusterError> {
    let fail = |source| ClusterError::ReceiverFile { file: file.to_owned(), source };
    let text = Secret::new(std::fs::read_to_string(file).map_err(fail)?);
    Ok(Secret::new(text.expose().trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_openssl() {
        // printf '{}' | openssl dgst -sha256 -hmac key
        let key = Secret::new("key".to_owned());
        assert_eq!(signature(&key), "sha256=a777724d943eb48dc69bca8a4a6d57a04db3f9ec7e1de4e581e860265bdf3032");
    }
}

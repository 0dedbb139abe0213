//! Payloads of cosign 2, in the form "simple signing" of Red Hat's container tools.

use serde::Deserialize;

use crate::image::Digest;

use super::flaw::Cause;
use super::foreign::{shown, unreadable};

const TYPE: &str = "cosign container image signature";

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// Checks that a payload is about a manifest. That its signature is genuine is for the caller to check.
///
/// # Errors
/// It is not, or it is not a payload.
pub(super) fn check(payload: &[u8], digest: &Digest) -> Result<(), Cause> {
    let Payload { critical } = serde_json::from_slice(payload).map_err(|error| unreadable(&error))?;
    if critical.kind != TYPE {
        return Err(Cause::StatementType(shown(&critical.kind)));
    }
    if critical.image.digest != digest.as_str() {
        return Err(Cause::OtherDigest { named: shown(&critical.image.digest), digest: digest.clone() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn label(payload: &str) -> &'static str {
        match check(payload.as_bytes(), &format!("sha256:{HEX}").parse().expect("a digest")) {
            Ok(()) => "fine",
            Err(cause) => cause.label(),
        }
    }

    fn payload(kind: &str, digest: &str) -> String {
        format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"a/b"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"{kind}"}},"optional":null}}"#
        )
    }

    #[test]
    fn a_payload_names_its_type_and_its_digest() {
        assert_eq!(label(&payload(TYPE, &format!("sha256:{HEX}"))), "fine");
        assert_eq!(label(&payload("atomic container signature", &format!("sha256:{HEX}"))), "statement-type");
        assert_eq!(label(&payload(TYPE, &format!("sha256:{}", HEX.replace('0', "1")))), "other-digest");
        assert_eq!(label(&payload(TYPE, HEX)), "other-digest");
        assert_eq!(label("{}"), "unreadable");
        let twice = payload(TYPE, &format!("sha256:{HEX}")).replace("\"type\"", "\"type\":\"x\",\"type\"");
        assert_eq!(label(&twice), "unreadable", "readers differ in which of two keys they take");
    }
}

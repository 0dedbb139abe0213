//! Authentication of events by a shared secret, in constant time.

use axum::http::{HeaderMap, header};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::secret::Secret;

use super::config::Kind;

/// Headers with the HMAC-SHA256 of the body, in hexadecimal, with or without the prefix `sha256=` (GitHub, "Validating webhook
/// deliveries"; Gitea, "Webhooks").
const SIGNATURES: [&str; 3] = ["x-hub-signature-256", "x-gitea-signature", "x-forgejo-signature"];
/// The header in which GitLab sends the secret itself.
const GITLAB_TOKEN: &str = "x-gitlab-token";

/// The proof in a request that its sender knows the secret.
pub enum Proof {
    /// The secret itself, which can be compared before the body has arrived.
    Token(Secret<String>),
    /// Signatures of the body.
    Signatures(Vec<Vec<u8>>),
}

impl Proof {
    /// Returns the proof in a request, if it has one. If there is a signature, it alone decides; without one, the secret may
    /// be in `Authorization`, with or without `Bearer`, and for senders that support nothing else in the URL.
    pub fn of(kind: Kind, headers: &HeaderMap, query: &str) -> Option<Proof> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let mut signatures = SIGNATURES.iter().filter(|name| headers.contains_key(**name)).peekable();
        if signatures.peek().is_some() {
            let decoded = signatures.map(|name| text(name).and_then(decoded));
            return decoded.collect::<Option<_>>().map(Proof::Signatures);
        }
        let shown = text(GITLAB_TOKEN).or_else(|| {
            text(header::AUTHORIZATION.as_str()).map(|value| value.strip_prefix("Bearer ").unwrap_or(value))
        });
        let shown = match shown {
            None if kind.supports_urls_only() => {
                let mut pairs = url::form_urlencoded::parse(query.as_bytes());
                pairs.find(|(key, _)| key == "token").map(|(_, shown)| shown.into_owned())
            }
            shown => shown.map(str::to_owned),
        };
        shown.map(|shown| Proof::Token(Secret::new(shown)))
    }

    /// Returns whether it proves that the sender knows a secret.
    pub fn is_valid(&self, secret: &Secret<String>, body: &[u8]) -> bool {
        match self {
            Proof::Token(shown) => is_same(secret, shown.expose()),
            Proof::Signatures(signatures) => signatures.iter().all(|signature| is_signed(secret, signature, body)),
        }
    }
}

fn is_signed(secret: &Secret<String>, signature: &[u8], body: &[u8]) -> bool {
    keyed(secret).is_some_and(|mut mac| {
        mac.update(body);
        mac.verify_slice(signature).is_ok()
    })
}

/// Compares two texts by their HMACs, so that the time reveals neither where they differ nor how long they are.
fn is_same(secret: &Secret<String>, shown: &str) -> bool {
    let (Some(mut ours), Some(mut theirs)) = (keyed(secret), keyed(secret)) else { return false };
    ours.update(secret.expose().as_bytes());
    theirs.update(shown.as_bytes());
    theirs.verify_slice(&ours.finalize().into_bytes()).is_ok()
}

fn keyed(secret: &Secret<String>) -> Option<Hmac<Sha256>> {
    Hmac::new_from_slice(secret.expose().as_bytes()).ok()
}

fn decoded(signature: &str) -> Option<Vec<u8>> {
    let hex = signature.strip_prefix("sha256=").unwrap_or(signature);
    let digits =
        hex.as_bytes().chunks_exact(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) { digits.collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(kind: Kind, headers: &[(&'static str, &str)], query: &str, body: &[u8]) -> bool {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(*name, value.parse().expect("a value"));
        }
        // The example of GitHub's documentation, "Testing the webhook payload validation".
        let secret = Secret::new("It's a Secret to Everybody".to_owned());
        Proof::of(kind, &all, query).is_some_and(|proof| proof.is_valid(&secret, body))
    }

    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn signatures_are_those_of_the_documentation() {
        let judged = |name, value: &str| judged(Kind::Generic, &[(name, value)], "", b"Hello, World!");
        assert!(judged("x-hub-signature-256", SIGNATURE));
        assert!(judged("x-gitea-signature", &SIGNATURE[7..]));
        assert!(!judged("x-hub-signature-256", &SIGNATURE.replace('7', "8")));
        for broken in [
            "",
            "sha256=",
            "sha256=zz",
            &SIGNATURE[..SIGNATURE.len() - 2],
            "sha256=+757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e1",
        ] {
            assert!(!judged("x-hub-signature-256", broken), "{broken}");
        }
    }

    #[test]
    fn a_token_does_not_make_up_for_a_wrong_signature() {
        let token = ("authorization", "Bearer It's a Secret to Everybody");
        assert!(judged(Kind::Generic, &[token], "", b"x"));
        assert!(!judged(Kind::Generic, &[token, ("x-hub-signature-256", SIGNATURE)], "", b"x"));
        assert!(!judged(
            Kind::Generic,
            &[("x-hub-signature-256", SIGNATURE), ("x-gitea-signature", "00")],
            "",
            b"Hello, World!"
        ));
    }

    #[test]
    fn tokens_are_accepted_where_each_sender_can_put_them() {
        let secret = "It's a Secret to Everybody";
        assert!(judged(Kind::Harbor, &[("authorization", secret)], "", b""));
        assert!(judged(Kind::Gitlab, &[("x-gitlab-token", secret)], "", b""));
        for wrong in ["", "It's", "It's a Secret to Everybody!", "Bearer It's", "Basic It's a Secret to Everybody"] {
            assert!(!judged(Kind::Harbor, &[("authorization", wrong)], "", b""), "{wrong}");
        }
        let query = "a=b&token=It%27s+a+Secret+to+Everybody";
        assert!(judged(Kind::Quay, &[], query, b"") && judged(Kind::DockerHub, &[], query, b""));
        assert!(!judged(Kind::Generic, &[], query, b"") && !judged(Kind::Quay, &[], "token=", b""));
    }
}

//! A token server as specified by the distribution project: JSON Web Tokens, signed with a certificate's key, each for
//! one scope.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{KeyPair, SigningKey};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;

use super::certificates;
use super::registry::{PASSWORD, USER};
use super::scripted::{Answer, Asked, Scripted, json as answer};

/// A server that gives tokens to the only user, and to holders of the refresh token.
pub struct TokenServer {
    pub server: Scripted,
    /// The lifetime of tokens in seconds.
    pub seconds: Arc<AtomicU64>,
}

/// The refresh token that OAuth2 exchanges for an access token.
pub const REFRESH_TOKEN: &str = "refresh-sesame-9";

impl TokenServer {
    /// Starts it, with its certificates in a folder.
    pub fn start(folder: &Path) -> TokenServer {
        fs::create_dir_all(folder).expect("a folder");
        certificates::make(folder);
        let key = KeyPair::from_pem(&fs::read_to_string(folder.join("server.key")).expect("a key")).expect("a key");
        let certificate = CertificateDer::from_pem_file(folder.join("server.pem")).expect("a certificate");
        let seconds = Arc::new(AtomicU64::new(300));
        let good_for = Arc::clone(&seconds);
        let server = Scripted::start(move |request| give(request, &key, &certificate, good_for.load(Ordering::SeqCst)));
        TokenServer { server, seconds }
    }

    /// The `auth` section for the configuration of a registry that requires these tokens.
    pub fn registry_auth(&self, folder: &Path) -> String {
        format!(
            "auth:\n  token:\n    realm: http://{}/token\n    service: tests\n    issuer: token-tests\n    rootcertbundle: {}/ca.pem\n",
            self.server.host(),
            folder.display()
        )
    }
}

fn give(request: &Asked, key: &KeyPair, certificate: &CertificateDer<'_>, seconds: u64) -> Answer {
    let query = match request.method.as_str() {
        "POST" => request.body.clone(),
        _ => request.target.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default(),
    };
    let field = |wanted: &str| {
        let mut fields = url::form_urlencoded::parse(query.as_bytes());
        fields.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let basic = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    let is_user = request.authorization.as_ref() == Some(&basic);
    let is_refresh = field("grant_type") == "refresh_token" && field("refresh_token") == REFRESH_TOKEN;
    if !(is_user || is_refresh) || field("service") != "tests" {
        return answer(401, json!({ "details": "who are you?" }), &[]);
    }
    let scope = field("scope");
    let parts: Vec<&str> = scope.split(':').collect();
    let access = match parts.as_slice() {
        [kind, name, actions] => json!([{ "type": kind, "name": name, "actions": [actions] }]),
        _ => json!([]),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let header = json!({ "typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(certificate)] });
    let claims = json!({
        "iss": "token-tests", "sub": USER, "aud": "tests", "jti": "1", "access": access,
        "iat": now, "nbf": now - 10, "exp": now + seconds,
    });
    let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let signature = fixed(&key.sign(signed.as_bytes()).expect("a signature"));
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
    // OAuth2 has another name for it.
    let name = if request.method == "POST" { "access_token" } else { "token" };
    answer(200, json!({ name: token, "expires_in": seconds }), &[])
}

/// The two numbers of an ECDSA signature one after the other, 32 bytes each, instead of in DER (RFC 7518 section 3.4).
fn fixed(der: &[u8]) -> Vec<u8> {
    let mut rest = &der[2..];
    let mut both = Vec::new();
    for _ in 0..2 {
        let length = usize::from(rest[1]);
        let number = rest[2..2 + length].strip_prefix(&[0]).unwrap_or(&rest[2..2 + length]);
        both.extend(std::iter::repeat_n(0, 32 - number.len()));
        both.extend_from_slice(number);
        rest = &rest[2 + length..];
    }
    both
}

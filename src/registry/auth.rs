//! Challenges and tokens, according to RFC 9110 section 11 and the distribution project's token authentication.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::secret::Secret;

/// The authentication that a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token from another server.
    Bearer {
        /// The token server.
        realm: String,
        /// The token server's name for this registry.
        service: Option<String>,
    },
}

impl Challenge {
    /// Parses the first supported challenge of a `WWW-Authenticate` header.
    pub fn parse(header: &str) -> Option<Challenge> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut parameters = parameters(rest);
        Some(Challenge::Bearer { realm: parameters.remove("realm")?, service: parameters.remove("service") })
    }
}

/// Parses `name="value", name=value`; commas inside quotes belong to the value.
fn parameters(text: &str) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut rest = text;
    while let Some((name, tail)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ',']).to_ascii_lowercase();
        let (value, after) = match tail.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => tail.split_once(',').unwrap_or((tail, "")),
        };
        found.insert(name, value.trim().to_owned());
        rest = after;
    }
    found
}

/// A token and its expiry.
#[derive(Debug, Clone)]
pub struct Token {
    /// The token.
    pub value: Secret<String>,
    expires: Instant,
}

/// The token server's response.
#[derive(Deserialize)]
pub struct TokenResponse {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl TokenResponse {
    /// The token, which is valid for 60 s if the server does not specify it. It expires here a little early, so that it
    /// does not expire in transit.
    pub fn into_token(self, now: Instant) -> Option<Token> {
        let value = self.token.or(self.access_token)?;
        let seconds = self.expires_in.unwrap_or(60).min(24 * 3600);
        let margin = (seconds / 10).min(30);
        Some(Token { value: Secret::new(value), expires: now + Duration::from_secs(seconds - margin) })
    }
}

impl Token {
    /// Returns whether it has not expired.
    pub fn is_valid(&self, now: Instant) -> bool {
        now < self.expires
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let header = r#"Bearer realm="https://auth.example.com/token?a=b,c",service="registry, main",scope="x""#;
        let expected = Challenge::Bearer {
            realm: "https://auth.example.com/token?a=b,c".to_owned(),
            service: Some("registry, main".to_owned()),
        };
        assert_eq!(Challenge::parse(header), Some(expected));
        assert_eq!(Challenge::parse("basic realm=x"), Some(Challenge::Basic));
        assert_eq!(Challenge::parse("Negotiate"), None);
        assert_eq!(Challenge::parse("Bearer service=x"), None);
    }

    #[test]
    fn tokens_expire_a_little_early() {
        let now = Instant::now();
        let response: TokenResponse = serde_json::from_str(r#"{"token":"t","expires_in":100}"#).expect("JSON");
        let token = response.into_token(now).expect("a token");
        assert!(token.is_valid(now + Duration::from_secs(89)) && !token.is_valid(now + Duration::from_secs(91)));
    }
}

//! Responses of token servers: a token is kept for no longer than a day, and never shown.

use std::time::{Duration, Instant};

use tagalong::registry::auth::TokenResponse;

const DAY: Duration = Duration::from_secs(24 * 3600);

pub fn run(bytes: &[u8]) {
    let Ok(response) = serde_json::from_slice::<TokenResponse>(bytes) else { return };
    let now = Instant::now();
    let Some(token) = response.into_token(now) else { return };
    assert!(!token.is_valid(now + DAY));
    assert!(token.value.expose().len() <= bytes.len());
    assert!(format!("{token:?}").contains("[redacted]"));
}

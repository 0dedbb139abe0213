//! Texts and digests from outside, made fit for messages and for the library.

use std::fmt::Display;

use sigstore_verify::types::{ArtifactDigest, DigestBytes, HashAlgorithm};

use crate::image::Digest;
use crate::text;

use super::flaw::Cause;

/// The longest text from outside that messages repeat, in characters.
const LONGEST: usize = 200;

/// Returns the cause for something that is not in its form.
pub(super) fn unreadable(error: &dyn Display) -> Cause {
    Cause::Unreadable(shown(&error.to_string()))
}

/// Returns a text from outside for messages: on one line, and not too long.
pub(super) fn shown(text: &str) -> String {
    text::cut(&text::line(text), LONGEST).into_owned()
}

/// Returns a digest as the library takes it.
pub(super) fn typed(digest: &Digest) -> Result<ArtifactDigest, Cause> {
    let (algorithm, hex) = match digest.as_str().split_once(':') {
        Some(("sha256", hex)) => (HashAlgorithm::Sha2256, hex),
        Some((_, hex)) => (HashAlgorithm::Sha2512, hex),
        None => return Err(Cause::Unrelated),
    };
    let bytes = unhex(hex).ok_or(Cause::Unrelated)?;
    ArtifactDigest::new(algorithm, DigestBytes::new(bytes)).map_err(|error| unreadable(&error))
}

/// Returns the bytes that hexadecimal digits stand for.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_come_in_pairs() {
        assert_eq!(unhex("00fF7a"), Some(vec![0, 255, 122]));
        assert_eq!(unhex(""), Some(Vec::new()));
        for text in ["0", "0g", "+1", "0x", "é", "0é0"] {
            assert_eq!(unhex(text), None, "{text}");
        }
    }
}

//! Bech32 (BIP 173) without its limit of length: how age writes keys.

use age_core::primitives::{bech32_decode, bech32_encode};
use bech32::Hrp;

use crate::secret::Secret;

/// Reads a text of one case: what stands before the last `1`, in lower case, and the bytes after it.
pub fn decode(text: &str) -> Option<(String, Secret<Vec<u8>>)> {
    let read = |prefix: Hrp, bytes: bech32::primitives::decode::ByteIter<'_>| {
        Ok((prefix.to_lowercase(), Secret::new(bytes.collect())))
    };
    bech32_decode(text, |_| (), |_| Ok(()), read).ok()
}

/// Writes bytes behind a prefix, in lower case; `None` for what is no prefix.
pub fn encode(prefix: &str, bytes: &[u8]) -> Option<String> {
    Hrp::parse(prefix).ok().map(|prefix| bech32_encode(prefix, bytes))
}

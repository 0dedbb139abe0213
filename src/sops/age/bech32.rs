//! Bech32 (BIP 173) without its length limit, the encoding of age's keys.

use age_core::primitives::{bech32_decode, bech32_encode};
use bech32::Hrp;

use crate::secret::Secret;

/// Decodes a text in a single case: the prefix before the last `1`, in lower case, and the bytes after it.
pub fn decode(text: &str) -> Option<(String, Secret<Vec<u8>>)> {
    let read = |prefix: Hrp, bytes: bech32::primitives::decode::ByteIter<'_>| {
        Ok((prefix.to_lowercase(), Secret::new(bytes.collect())))
    };
    bech32_decode(text, |_| (), |_| Ok(()), read).ok()
}

/// Encodes bytes after a prefix, in lower case; `None` if the prefix is not valid.
pub fn encode(prefix: &str, bytes: &[u8]) -> Option<String> {
    Hrp::parse(prefix).ok().map(|prefix| bech32_encode(prefix, bytes))
}

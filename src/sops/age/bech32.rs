//! Bech32 (BIP 173) without its length limit, the encoding of age's keys.

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Checksum, Hrp};

use crate::secret::Secret;

/// Bech32 for texts of any length.
enum Unbounded {}

impl Checksum for Unbounded {
    type MidstateRepr = u32;
    const CODE_LENGTH: usize = usize::MAX;
    const CHECKSUM_LENGTH: usize = Bech32::CHECKSUM_LENGTH;
    const GENERATOR_SH: [u32; 5] = Bech32::GENERATOR_SH;
    const TARGET_RESIDUE: u32 = Bech32::TARGET_RESIDUE;
}

/// Decodes a text in a single case: the prefix before the last `1`, in lower case, and the bytes after it.
pub fn decode(text: &str) -> Option<(String, Secret<Vec<u8>>)> {
    let read = CheckedHrpstring::new::<Unbounded>(text).ok()?;
    Some((read.hrp().to_lowercase(), Secret::new(read.byte_iter().collect())))
}

/// Encodes bytes after a prefix, in lower case; `None` if the prefix is not valid.
pub fn encode(prefix: &str, bytes: &[u8]) -> Option<String> {
    bech32::encode_lower::<Unbounded>(Hrp::parse(prefix).ok()?, bytes).ok()
}

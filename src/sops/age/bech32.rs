//! Bech32 (BIP 173) without its limit of length: how age writes keys.

use crate::secret::Secret;

const CHARSET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// Reads a text of one case: what stands before the last `1`, in lower case, and the bytes after it.
pub fn decode(text: &str) -> Option<(String, Secret<Vec<u8>>)> {
    let mixed = text.bytes().any(|b| b.is_ascii_lowercase()) && text.bytes().any(|b| b.is_ascii_uppercase());
    if mixed || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    let text = Secret::new(text.to_ascii_lowercase());
    let (prefix, data) =
        text.expose().rsplit_once('1').filter(|(prefix, data)| !prefix.is_empty() && data.len() >= 6)?;
    let digit = |byte: u8| CHARSET.iter().position(|c| *c == byte).map(|at| at as u8);
    let digits = Secret::new(data.bytes().map(digit).collect::<Option<Vec<u8>>>()?);
    if checksum(prefix, digits.expose()) != 1 {
        return None;
    }
    let body = &digits.expose()[..digits.expose().len() - 6];
    // Bits that are left over must be fewer than a digit, and zero.
    let left = body.len() * 5 % 8;
    let last = body.last().copied().unwrap_or_default();
    if left >= 5 || last & ((1 << left) - 1) != 0 {
        return None;
    }
    Some((prefix.to_owned(), Secret::new(regroup(body, 5, 8, false))))
}

/// Writes bytes behind a prefix, in lower case.
pub fn encode(prefix: &str, bytes: &[u8]) -> String {
    let mut digits = regroup(bytes, 8, 5, true);
    let mut padded = digits.clone();
    padded.extend([0; 6]);
    let sum = checksum(prefix, &padded) ^ 1;
    digits.extend((0..6).map(|at| (sum >> (5 * (5 - at)) & 31) as u8));
    let data: String = digits.iter().map(|digit| CHARSET[usize::from(*digit)] as char).collect();
    format!("{prefix}1{data}")
}

fn regroup(groups: &[u8], from: u32, to: u32, pad: bool) -> Vec<u8> {
    let (mut held, mut bits) = (0u32, 0);
    let mut regrouped = Vec::with_capacity(groups.len() * from as usize / to as usize + 1);
    for group in groups {
        held = held << from | u32::from(*group);
        bits += from;
        while bits >= to {
            bits -= to;
            regrouped.push((held >> bits & ((1 << to) - 1)) as u8);
        }
    }
    if pad && bits > 0 {
        regrouped.push((held << (to - bits) & ((1 << to) - 1)) as u8);
    }
    regrouped
}

fn checksum(prefix: &str, digits: &[u8]) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let high = prefix.bytes().map(|b| b >> 5);
    let low = prefix.bytes().map(|b| b & 31);
    high.chain([0]).chain(low).chain(digits.iter().copied()).fold(1, |sum, digit| {
        let top = sum >> 25;
        let shifted = (sum & 0x01ff_ffff) << 5 ^ u32::from(digit);
        (0..5).filter(|bit| top >> bit & 1 == 1).fold(shifted, |sum, bit| sum ^ GENERATOR[bit])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_and_go() {
        for text in ["A12UEL5L", "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw"] {
            let (prefix, bytes) = decode(text).expect(text);
            assert_eq!(encode(&prefix, bytes.expose()), text.to_ascii_lowercase());
        }
        for text in ["", "A1G7SGD8", "1qzzfhee", "x1b4n0q5v", "A12uEL5L", "li1dgmt3", "de1lg7wt\u{ff}"] {
            assert!(decode(text).is_none(), "{text}");
        }
    }
}

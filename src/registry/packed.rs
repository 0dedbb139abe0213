//! A compact encoding of the cache's values: digests and times in binary, texts preceded by their length.

use jiff::Timestamp;

use crate::image::{Digest, Tag};

const SHA256: u8 = 1;
const SHA512: u8 = 2;

/// Encodes a value.
#[derive(Debug, Default)]
pub(super) struct Packer(Vec<u8>);

impl Packer {
    pub(super) fn number(mut self, number: u32) -> Packer {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Packer {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn text(self, text: &str) -> Packer {
        self.number(u32::try_from(text.len()).unwrap_or(u32::MAX)).bytes(text.as_bytes())
    }

    /// Appends an optional text.
    pub(super) fn maybe(self, text: Option<&str>) -> Packer {
        match text {
            Some(text) => self.bytes(&[1]).text(text),
            None => self.bytes(&[0]),
        }
    }

    pub(super) fn digest(self, digest: &Digest) -> Packer {
        let (kind, hex) = match digest.as_str().split_once(':') {
            Some(("sha512", hex)) => (SHA512, hex),
            Some((_, hex)) => (SHA256, hex),
            None => (SHA256, ""),
        };
        let mut packed = self.bytes(&[kind]);
        packed.0.extend(hex.as_bytes().chunks_exact(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])));
        packed
    }

    /// Appends an optional time, to the nanosecond: two images are equally new only if their times are exactly the
    /// same.
    pub(super) fn time(self, time: Option<Timestamp>) -> Packer {
        match time {
            Some(time) => self.bytes(&time.as_second().to_be_bytes()).bytes(&time.subsec_nanosecond().to_be_bytes()),
            None => self,
        }
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Decodes a value; `None` if the bytes are not valid.
#[derive(Debug)]
pub(super) struct Unpacker<'b>(pub(super) &'b [u8]);

impl<'b> Unpacker<'b> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    pub(super) fn text(&mut self) -> Option<String> {
        let length = self.number()? as usize;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }

    pub(super) fn maybe(&mut self) -> Option<Option<String>> {
        match self.take(1)? {
            [0] => Some(None),
            _ => self.text().map(Some),
        }
    }

    pub(super) fn digest(&mut self) -> Option<Digest> {
        match *self.take(1)? {
            [SHA256] => Some(Digest::sha256(&hex(self.take(32)?))),
            [SHA512] => Some(Digest::sha512(&hex(self.take(64)?))),
            _ => None,
        }
    }

    /// Decodes the rest as an optional time.
    pub(super) fn time(&mut self) -> Option<Option<Timestamp>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let second = self.take(8)?.try_into().ok().map(i64::from_be_bytes)?;
        let nanosecond = self.take(4)?.try_into().ok().map(i32::from_be_bytes)?;
        Timestamp::new(second, nanosecond).ok().map(Some)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The first byte of a packed tag of hexadecimal digits; no tag begins with it.
const HEX: u8 = 0;
/// The fewest digits that are packed.
const FEWEST_DIGITS: usize = 16;

/// Packs a tag: a full git SHA takes half its length.
pub(super) fn pack_tag(tag: &Tag) -> Vec<u8> {
    let text = tag.as_str().as_bytes();
    let is_hex = text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_hex || text.len() < FEWEST_DIGITS || text.len() % 2 == 1 {
        return text.to_vec();
    }
    let mut packed = Vec::with_capacity(1 + text.len() / 2);
    packed.push(HEX);
    packed.extend(text.chunks_exact(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])));
    packed
}

/// Unpacks a tag.
pub(super) fn unpack_tag(bytes: &[u8]) -> Option<Tag> {
    match bytes.split_first()? {
        (&HEX, packed) => hex(packed).parse().ok(),
        _ => std::str::from_utf8(bytes).ok()?.parse().ok(),
    }
}

/// Packs tags, each preceded by its length.
pub(super) fn pack_tags<'t>(tags: impl Iterator<Item = &'t Tag>) -> Vec<u8> {
    let mut packed = Vec::new();
    for tag in tags.map(pack_tag) {
        // A tag has at most 128 bytes.
        packed.push(tag.len() as u8);
        packed.extend(tag);
    }
    packed
}

/// Unpacks tags.
pub(super) fn unpack_tags(bytes: &[u8]) -> Option<Vec<Tag>> {
    let (mut bytes, mut tags) = (Unpacker(bytes), Vec::new());
    while !bytes.is_empty() {
        let length = usize::from(*bytes.take(1)?.first()?);
        tags.push(unpack_tag(bytes.take(length)?)?);
    }
    Some(tags)
}

fn nibble(digit: u8) -> u8 {
    if digit.is_ascii_digit() { digit - b'0' } else { digit.wrapping_sub(b'a').wrapping_add(10) }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
    let mut text = String::with_capacity(bytes.len() * 2);
    bytes.iter().for_each(|byte| text.extend([digit(byte >> 4), digit(byte & 15)]));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_packed_and_hexadecimal_ones_to_half_their_length() {
        let texts = ["1.0", "latest", "0123456789abcdef", "0123456789abcdeF", "abcdef0", "0123456789abcdef0", "A"];
        let mut tags: Vec<Tag> = texts.iter().map(|text| text.parse().expect("a tag")).collect();
        tags.push("0f".repeat(20).parse().expect("a tag"));
        assert_eq!(unpack_tags(&pack_tags(tags.iter())).as_ref(), Some(&tags));
        assert_eq!(pack_tag(&tags[7]).len(), 21);
        assert_eq!((unpack_tags(&[5, b'a']), unpack_tag(&[])), (None, None));
    }

    #[test]
    fn packed_values_are_unpacked() {
        let digests = [Digest::sha256(&"0f".repeat(32)), Digest::sha512(&"a7".repeat(64))];
        let times = ["2026-04-01T10:00:00Z", "1969-12-31T23:59:59.25Z", "2026-04-01T10:00:00.000000001Z"];
        for (digest, time) in digests.iter().flat_map(|digest| times.map(|time| (digest, time))) {
            let time: Option<Timestamp> = Some(time.parse().expect("a time"));
            for time in [time, None] {
                let bytes =
                    Packer::default().number(7).text("é").maybe(None).maybe(Some("x")).digest(digest).time(time).done();
                let mut read = Unpacker(&bytes);
                assert_eq!((read.number(), read.text()), (Some(7), Some("é".to_owned())));
                assert_eq!((read.maybe(), read.maybe()), (Some(None), Some(Some("x".to_owned()))));
                assert_eq!((read.digest(), read.time()), (Some(digest.clone()), Some(time)));
                assert!(read.is_empty());
                // Truncated bytes do not panic.
                for length in 0..bytes.len() {
                    let mut cut = Unpacker(&bytes[..length]);
                    let _ = (cut.number(), cut.text(), cut.maybe(), cut.maybe(), cut.digest(), cut.time());
                }
            }
        }
    }
}

//! The keys and values of the cache.

use jiff::Timestamp;

use crate::image::Digest;

use super::metadata::ImageMetadata;
use super::packed::{Packer, Unpacker};

/// The first bytes of keys.
pub(super) mod kind {
    /// A repository, by name: its number, the last day of use, its listing.
    pub const REPOSITORY: u8 = b'r';
    /// A page of tags, by the repository's number and the page's index.
    pub const PAGE: u8 = b'p';
    /// An image, by the repository's number and the tag.
    pub const TAG: u8 = b't';
    /// A push time, by the repository's number and the tag.
    pub const PUSH: u8 = b'u';
    /// The time when the image of a tag was first seen, by the repository's number and the tag: its digest and the time.
    pub const FIRST_SEEN: u8 = b's';
    /// Source labels, by the repository's number and the digest.
    pub const SOURCE_LABELS: u8 = b'o';
    /// Proof of origin that was verified, by the repository's number and the digest: what was required, and what was found.
    pub const ORIGIN: u8 = b'g';
    /// The source repository that one of the images of a repository names, by the repository's number.
    pub const SOURCE: u8 = b'f';
    /// The kinds that are stored by the number of a repository.
    pub const BELOW_REPOSITORIES: [u8; 7] = [PAGE, TAG, PUSH, FIRST_SEEN, SOURCE_LABELS, ORIGIN, SOURCE];
    /// An image, by its digest: the last day of use, and its metadata.
    pub const IMAGE: u8 = b'i';
    /// The number of the next repository.
    pub const NEXT: u8 = b'n';
    /// The number of days on which the cache was used, and the last of them.
    pub const DAYS: u8 = b'd';
}

pub(super) fn repository_key(name: &str) -> Vec<u8> {
    [&[kind::REPOSITORY], name.as_bytes()].concat()
}

pub(super) fn image_key(digest: &Digest) -> Vec<u8> {
    Packer::default().bytes(&[kind::IMAGE]).digest(digest).done()
}

/// The key of what is stored about a digest of a repository.
pub(super) fn digest_key(kind: u8, number: u32, digest: &Digest) -> Vec<u8> {
    Packer::default().bytes(&[kind]).number(number).digest(digest).done()
}

pub(super) fn key_below(kind: u8, number: u32, rest: &[u8]) -> Vec<u8> {
    Packer::default().bytes(&[kind]).number(number).bytes(rest).done()
}

pub(super) fn unpack_image(bytes: &[u8]) -> Option<ImageMetadata> {
    let mut bytes = Unpacker(bytes);
    unpack_metadata(bytes.digest()?, &mut bytes)
}

/// Packs the metadata of an image except its digest: the platforms of an index, and the build time.
pub(super) fn pack_metadata(packer: Packer, image: &ImageMetadata) -> Packer {
    // More platforms than this do not exist.
    let platforms = &image.platforms[..image.platforms.len().min(u8::MAX.into())];
    let packer = packer.bytes(&[platforms.len() as u8]);
    platforms.iter().fold(packer, Packer::digest).time(image.created)
}

pub(super) fn pack_first_seen(digest: &Digest, at: Timestamp) -> Vec<u8> {
    Packer::default().digest(digest).time(Some(at)).done()
}

pub(super) fn unpack_first_seen(bytes: &[u8]) -> Option<(Digest, Timestamp)> {
    let mut bytes = Unpacker(bytes);
    Some((bytes.digest()?, bytes.time()??))
}

pub(super) fn unpack_metadata(digest: Digest, bytes: &mut Unpacker<'_>) -> Option<ImageMetadata> {
    let [count] = *bytes.take(1)? else { return None };
    let platforms = (0..count).map(|_| bytes.digest()).collect::<Option<_>>()?;
    Some(ImageMetadata { digest, platforms, created: bytes.time()? })
}

//! The cached part of a tag listing that shows whether it has changed.

use sha2::{Digest as _, Sha256};

use super::packed::{Packer, Unpacker};

/// The pages of a tag listing, without the tags themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The host that listed the tags.
    pub host: String,
    /// The pages, in order.
    pub pages: Vec<Page>,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The path and query of the page.
    pub target: String,
    /// Its ETag, if the registry sent one.
    pub etag: Option<String>,
    /// The hash of its body.
    pub hash: [u8; 32],
    /// The path and query of the next page, if the registry links to one.
    pub link: Option<String>,
    /// Whether it is the last page despite a link, because it has no new tags.
    pub is_last: bool,
}

/// Identifies a listing: as long as it is the same, the registry lists the same tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Listing {
    /// The fingerprint of the listing.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        self.pages.iter().for_each(|page| hash.update(page.hash));
        Fingerprint(hash.finalize().into())
    }

    pub(super) fn pack(&self, packer: Packer) -> Packer {
        self.pages.iter().fold(packer.text(&self.host), |packer, page| {
            let Page { target, etag, hash, link, is_last } = page;
            packer.text(target).maybe(etag.as_deref()).bytes(hash).maybe(link.as_deref()).bytes(&[u8::from(*is_last)])
        })
    }

    pub(super) fn unpack(bytes: &mut Unpacker<'_>) -> Option<Listing> {
        let mut listing = Listing { host: bytes.text()?, pages: Vec::new() };
        while !bytes.is_empty() {
            listing.pages.push(Page {
                target: bytes.text()?,
                etag: bytes.maybe()?,
                hash: bytes.take(32)?.try_into().ok()?,
                link: bytes.maybe()?,
                is_last: bytes.take(1)? == [1],
            });
        }
        Some(listing)
    }
}

impl Page {
    /// The path and query of the page to read next.
    pub fn next(&self) -> Option<&String> {
        self.link.as_ref().filter(|_| !self.is_last)
    }
}

/// Hashes the body of a page.
pub fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

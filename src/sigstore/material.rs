//! What a registry has about an image: signatures and attestations, as they were stored.

use std::collections::BTreeMap;
use std::fmt;

/// The most material that is looked at for one image. A registry can offer any amount.
pub const MAX_COUNT: usize = 100;
/// The largest payload, envelope or bundle that is read, in bytes. Bills of materials are the largest.
pub const MAX_BYTES: usize = 8 << 20;
/// The largest annotation that is read, in bytes: certificates, chains, entries of logs.
pub const MAX_ANNOTATION: usize = 128 << 10;

/// A piece of material and where it was found.
#[derive(Clone, PartialEq, Eq)]
pub struct Material {
    /// Where it was found, for messages: `sha256-….sig, layer 1`.
    pub place: String,
    /// What it is.
    pub content: Content,
}

/// The forms of material.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// A signature of cosign 2: a layer `application/vnd.dev.cosign.simplesigning.v1+json` below the tag
    /// `sha256-….sig`, with the signature in its annotations.
    SimpleSigning {
        /// The layer.
        payload: Vec<u8>,
        /// The annotations of the layer.
        annotations: BTreeMap<String, String>,
    },
    /// An attestation of cosign 2: a layer `application/vnd.dsse.envelope.v1+json` below the tag `sha256-….att`.
    Envelope {
        /// The layer.
        envelope: Vec<u8>,
        /// The annotations of the layer.
        annotations: BTreeMap<String, String>,
    },
    /// A signature or an attestation of cosign 3: a Sigstore bundle, the layer of a referrer.
    Bundle {
        /// The layer.
        bytes: Vec<u8>,
    },
}

impl fmt::Debug for Material {
    /// Writes where it was found; contents are too long to show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material").field("place", &self.place).finish_non_exhaustive()
    }
}

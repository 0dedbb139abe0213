//! The public instance of Sigstore: where its repository is, and the root metadata that is trusted from the beginning.

/// The address of its repository.
pub const PUBLIC: &str = "https://tuf-repo-cdn.sigstore.dev";

/// Version 16 of its root metadata, as in the crate sigstore-trust-root 0.15.1. Later ones are signed by the ones before.
pub const PUBLIC_ROOT: &[u8] = include_bytes!("root.json");

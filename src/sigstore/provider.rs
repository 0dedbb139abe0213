//! The arithmetic of signatures, which the library for Sigstore takes from its caller. The crates are those that TLS, SSH
//! and OpenPGP bring already; ring is not enough, since it verifies no digests that were computed elsewhere.

use std::sync::Once;

use ed25519_dalek::VerifyingKey;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::{Pkcs1v15Sign, Pss, RsaPublicKey};
use sha2::{Digest, Sha256, Sha384, Sha512};
use sigstore_verify::crypto::{
    CryptoProvider, Error, HashContext, Result, SigningScheme, install_default_provider, verification,
};
use sigstore_verify::types::HashAlgorithm;

/// Hands the arithmetic to the library, once. Whoever verifies calls this first.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // It fails only if there is one already, and nobody else hands one over.
        let _ = install_default_provider(&Provider);
    });
}

/// Returns whether a signature over data is valid under a key, for one way of signing.
pub(super) fn is_valid(key: &[u8], scheme: SigningScheme, data: &[u8], signature: &[u8]) -> bool {
    verification::validate_raw_public_key(scheme, key).is_ok()
        && Provider.verify_raw(scheme, key, data, signature).is_ok()
}

#[derive(Debug)]
struct Provider;

struct Hash<H>(H);

impl<H: Digest + Send> HashContext for Hash<H> {
    fn update(&mut self, data: &[u8]) {
        Digest::update(&mut self.0, data);
    }

    fn finalize(self: Box<Self>) -> Vec<u8> {
        Digest::finalize(self.0).to_vec()
    }
}

impl CryptoProvider for Provider {
    fn hash(&self, algorithm: HashAlgorithm) -> Result<Box<dyn HashContext>> {
        match algorithm {
            HashAlgorithm::Sha2256 => Ok(Box::new(Hash(Sha256::new()))),
            HashAlgorithm::Sha2384 => Ok(Box::new(Hash(Sha384::new()))),
            HashAlgorithm::Sha2512 => Ok(Box::new(Hash(Sha512::new()))),
            other => Err(Error::UnsupportedAlgorithm(format!("{other} is not supported"))),
        }
    }

    fn verify_raw(&self, scheme: SigningScheme, key: &[u8], data: &[u8], signature: &[u8]) -> Result<()> {
        if scheme == SigningScheme::Ed25519 {
            let key = key.try_into().ok().and_then(|key| VerifyingKey::from_bytes(key).ok());
            let signature = ed25519_dalek::Signature::from_slice(signature).ok();
            let is_valid =
                key.zip(signature).is_some_and(|(key, signature)| key.verify_strict(data, &signature).is_ok());
            return valid(is_valid, scheme);
        }
        let algorithm = scheme.hash_algorithm().ok_or_else(|| unsupported(scheme))?;
        let mut hash = self.hash(algorithm)?;
        hash.update(data);
        self.verify_prehashed(scheme, key, &hash.finalize(), signature)
    }

    fn verify_prehashed(&self, scheme: SigningScheme, key: &[u8], digest: &[u8], signature: &[u8]) -> Result<()> {
        use SigningScheme::{
            EcdsaP256Sha256, EcdsaP256Sha384, EcdsaP384Sha256, EcdsaP384Sha384, RsaPkcs1Sha256, RsaPkcs1Sha384,
            RsaPkcs1Sha512, RsaPssSha256, RsaPssSha384, RsaPssSha512,
        };
        let is_valid = match scheme {
            EcdsaP256Sha256 | EcdsaP256Sha384 => p256(key, digest, signature),
            EcdsaP384Sha256 | EcdsaP384Sha384 => p384(key, digest, signature),
            RsaPkcs1Sha256 => rsa(key).verify(Pkcs1v15Sign::new::<rsa::sha2::Sha256>(), digest, signature),
            RsaPkcs1Sha384 => rsa(key).verify(Pkcs1v15Sign::new::<rsa::sha2::Sha384>(), digest, signature),
            RsaPkcs1Sha512 => rsa(key).verify(Pkcs1v15Sign::new::<rsa::sha2::Sha512>(), digest, signature),
            RsaPssSha256 => rsa(key).verify(Pss::new::<rsa::sha2::Sha256>(), digest, signature),
            RsaPssSha384 => rsa(key).verify(Pss::new::<rsa::sha2::Sha384>(), digest, signature),
            RsaPssSha512 => rsa(key).verify(Pss::new::<rsa::sha2::Sha512>(), digest, signature),
            other => return Err(unsupported(other)),
        };
        valid(is_valid, scheme)
    }
}

fn p256(key: &[u8], digest: &[u8], signature: &[u8]) -> bool {
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key).ok();
    let signature = p256::ecdsa::Signature::from_der(signature).ok();
    key.zip(signature).is_some_and(|(key, signature)| key.verify_prehash(digest, &signature).is_ok())
}

fn p384(key: &[u8], digest: &[u8], signature: &[u8]) -> bool {
    let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(key).ok();
    let signature = p384::ecdsa::Signature::from_der(signature).ok();
    key.zip(signature).is_some_and(|(key, signature)| key.verify_prehash(digest, &signature).is_ok())
}

/// An RSA key of 2048 to 4096 bits, if it is one.
struct Rsa(Option<RsaPublicKey>);

fn rsa(key: &[u8]) -> Rsa {
    Rsa(RsaPublicKey::from_pkcs1_der(key).ok())
}

impl Rsa {
    fn verify(&self, padding: impl rsa::traits::SignatureScheme, digest: &[u8], signature: &[u8]) -> bool {
        self.0.as_ref().is_some_and(|key| key.verify(padding, digest, signature).is_ok())
    }
}

fn valid(is_valid: bool, scheme: SigningScheme) -> Result<()> {
    if is_valid { Ok(()) } else { Err(Error::Verification(format!("the {} signature is not valid", scheme.name()))) }
}

fn unsupported(scheme: SigningScheme) -> Error {
    Error::UnsupportedAlgorithm(format!("{} is not supported", scheme.name()))
}

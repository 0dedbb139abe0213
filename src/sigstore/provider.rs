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
            // cosign 2 signs the hash (Ed25519ph, RFC 8032, section 5.1), others the whole; neither can pass for the other.
            let is_valid = key.zip(signature).is_some_and(|(key, signature)| {
                let of_hash = || key.verify_prehashed_strict(Sha512::new_with_prefix(data), None, &signature);
                key.verify_strict(data, &signature).or_else(|_| of_hash()).is_ok()
            });
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

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// A key in raw form and a signature over "hello", made with OpenSSL 3.0.
    fn example(name: &str) -> (Vec<u8>, Vec<u8>) {
        let line = include_str!("../../fixtures/signatures/hello.txt")
            .lines()
            .find(|line| line.starts_with(name))
            .expect(name);
        let mut words = line.split(' ').skip(1).map(|word| STANDARD.decode(word).expect("base64"));
        (words.next().expect("a key"), words.next().expect("a signature"))
    }

    #[test]
    fn signatures_of_openssl_are_verified() {
        for (name, scheme) in [
            ("p256-sha256", SigningScheme::EcdsaP256Sha256),
            ("p256-sha384", SigningScheme::EcdsaP256Sha384),
            ("p384-sha256", SigningScheme::EcdsaP384Sha256),
            ("p384-sha384", SigningScheme::EcdsaP384Sha384),
            ("rsa-sha256", SigningScheme::RsaPkcs1Sha256),
            ("rsa-sha384", SigningScheme::RsaPkcs1Sha384),
            ("rsa-sha512", SigningScheme::RsaPkcs1Sha512),
            ("pss-sha256", SigningScheme::RsaPssSha256),
            ("pss-sha384", SigningScheme::RsaPssSha384),
            ("pss-sha512", SigningScheme::RsaPssSha512),
            ("ed25519", SigningScheme::Ed25519),
        ] {
            let (key, signature) = example(name);
            assert!(is_valid(&key, scheme, b"hello", &signature), "{name}");
            assert!(!is_valid(&key, scheme, b"hallo", &signature), "{name}");
            let mut changed = signature.clone();
            let last = changed.len() - 1;
            changed[last] ^= 1;
            assert!(!is_valid(&key, scheme, b"hello", &changed), "{name}");
            assert!(!is_valid(&key, scheme, b"hello", &[]) && !is_valid(&[], scheme, b"hello", &signature), "{name}");
            let digest = scheme.hash_algorithm().map(|algorithm| {
                let mut hash = Provider.hash(algorithm).expect("a hash");
                hash.update(b"hel");
                hash.update(b"lo");
                hash.finalize()
            });
            let prehashed = digest.map(|digest| Provider.verify_prehashed(scheme, &key, &digest, &signature).is_ok());
            assert_ne!(prehashed, Some(false), "{name}");
        }
    }

    #[test]
    fn a_signature_is_bound_to_the_hash_it_was_made_with() {
        let (key, signature) = example("rsa-sha256");
        assert!(!is_valid(&key, SigningScheme::RsaPkcs1Sha384, b"hello", &signature));
        assert!(!is_valid(&key, SigningScheme::RsaPssSha256, b"hello", &signature));
        assert!(Provider.verify_raw(SigningScheme::MlDsa44, &key, b"hello", &signature).is_err());
    }
}

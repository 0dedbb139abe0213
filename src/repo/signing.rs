//! Signed commits: with an SSH key like `gpg.format = ssh` (PROTOCOL.sshsig, namespace `git`), or with an OpenPGP key
//! (RFC 9580, an armored detached signature). Keys are read from their files for each commit, so that a rotated one is used.

use std::path::{Path, PathBuf};

use pgp::composed::{ArmorOptions, Deserializable, DetachedSignature, SignedSecretKey};
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails, Password, SigningKey};
use rsa::pkcs1v15;
use rsa::sha2::Sha512;
use rsa::signature::{RandomizedSigner, SignatureEncoding};
use rsa::{BigUint, RsaPrivateKey};
use ssh_key::private::{KeypairData, RsaKeypair};
use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, HashAlg, LineEnding, Mpint, PrivateKey, SshSig};

use crate::clock;
use crate::secret::Secret;

use super::config::{Signing, SigningKeyFile};
use super::credentials::{read_bytes, read_secret};
use super::error::{RepoError, Words};
use super::signers::allowed::NAMESPACE;

/// Returns the signature of a commit in the format of the commit's header.
pub(super) fn sign(signing: &Signing, content: &str) -> Result<String, RepoError> {
    let passphrase = signing.passphrase_file.as_deref().map(read_secret).transpose()?;
    let file = signing.key.path();
    let key = read_bytes(file)?;
    let signature = match &signing.key {
        SigningKeyFile::Ssh(_) => by_ssh(&key, passphrase.as_ref(), content.as_bytes()),
        SigningKeyFile::OpenPgp(_) => by_openpgp(&key, passphrase.as_ref(), content.as_bytes()),
    };
    signature.map_err(|reason| unusable(file, reason))
}

fn unusable(file: &Path, reason: String) -> RepoError {
    RepoError::Key { file: PathBuf::from(file), source: Words(reason) }
}

fn by_ssh(key: &Secret<Vec<u8>>, passphrase: Option<&Secret<String>>, content: &[u8]) -> Result<String, String> {
    let key =
        PrivateKey::from_openssh(key.expose()).map_err(|error| format!("it is no OpenSSH private key: {error}"))?;
    let key = match (key.is_encrypted(), passphrase) {
        (false, _) => key,
        (true, None) => return Err("it is encrypted, and no passphraseFile is given".to_owned()),
        (true, Some(passphrase)) => {
            key.decrypt(passphrase.expose()).map_err(|error| format!("the passphrase does not open it: {error}"))?
        }
    };
    let signature = match key.key_data() {
        KeypairData::Rsa(pair) => by_rsa(&key, pair, content),
        _ => key.sign(NAMESPACE, HashAlg::Sha512, content).map_err(|error| error.to_string()),
    };
    signature?.to_pem(LineEnding::LF).map_err(|error| error.to_string())
}

/// Signs with an RSA key. The rsa crate is used because ssh-key 0.6 uses the first prime twice and fails.
fn by_rsa(key: &PrivateKey, pair: &RsaKeypair, content: &[u8]) -> Result<SshSig, String> {
    let number = |n: &Mpint| n.as_positive_bytes().map(BigUint::from_bytes_be).ok_or("it holds a negative number");
    let primes = vec![number(&pair.private.p)?, number(&pair.private.q)?];
    let private = RsaPrivateKey::from_components(
        number(&pair.public.n)?,
        number(&pair.public.e)?,
        number(&pair.private.d)?,
        primes,
    );
    let signer = pkcs1v15::SigningKey::<Sha512>::new(private.map_err(|error| error.to_string())?);
    let data = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, content).map_err(|error| error.to_string())?;
    let algorithm = Algorithm::Rsa { hash: Some(HashAlg::Sha512) };
    let signature = ssh_key::Signature::new(algorithm, signer.sign_with_rng(&mut OsRng, &data).to_vec());
    let signature = signature.map_err(|error| error.to_string())?;
    SshSig::new(key.public_key().key_data().clone(), NAMESPACE, HashAlg::Sha512, signature)
        .map_err(|error| error.to_string())
}

fn by_openpgp(key: &Secret<Vec<u8>>, passphrase: Option<&Secret<String>>, content: &[u8]) -> Result<String, String> {
    let (key, _) = SignedSecretKey::from_reader_single(key.expose().as_slice())
        .map_err(|error| format!("it is no OpenPGP private key: {error}"))?;
    let password = passphrase.map_or_else(Password::empty, |text| Password::from(text.expose().as_str()));
    let hint = if passphrase.is_none() { "; if it is encrypted, passphraseFile is missing" } else { "" };
    let signed = match signing_subkey(&key) {
        Some(subkey) => detached(subkey, &password, content),
        None => detached(&key.primary_key, &password, content),
    };
    signed.map_err(|error| format!("it does not sign: {error}{hint}"))
}

fn detached(key: &impl SigningKey, password: &Password, content: &[u8]) -> Result<String, pgp::errors::Error> {
    let signature = DetachedSignature::sign_binary_data(OsRng, key, password, key.hash_alg(), content)?;
    signature.to_armored_string(ArmorOptions::default())
}

/// Returns the newest signing subkey that is neither revoked nor expired, or else the primary key.
fn signing_subkey(key: &SignedSecretKey) -> Option<&pgp::packet::SecretSubkey> {
    let now = clock::now().as_second();
    let usable = key.secret_subkeys.iter().filter(|subkey| {
        let of = |kind| move |signature: &&Signature| signature.typ() == Some(kind);
        let newest = subkey.signatures.iter().filter(of(SignatureType::SubkeyBinding)).max_by_key(|s| s.created());
        let revoked = subkey.signatures.iter().any(|s| of(SignatureType::SubkeyRevocation)(&s));
        let created = i64::from(subkey.key.created_at().as_secs());
        let lives = |binding: &Signature| {
            let span = binding.key_expiration_time().map_or(0, |span| i64::from(span.as_secs()));
            span == 0 || created + span > now
        };
        !revoked && newest.is_some_and(|binding| binding.key_flags().sign() && lives(binding))
    });
    usable.max_by_key(|subkey| subkey.key.created_at()).map(|subkey| &subkey.key)
}

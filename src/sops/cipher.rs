//! A single value, encrypted and decrypted: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`.
//!
//! The cipher is AES-256-GCM with a nonce of 32 bytes. The value's path is the additional data, so that a value that is
//! moved to another key no longer decrypts.

use aes_gcm::AesGcm;
use aes_gcm::aead::array::Array;
use aes_gcm::aead::consts::{U12, U16, U32};
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::aes::Aes256;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use rand_core::CryptoRng;
use zeroize::Zeroize;

use crate::secret::Secret;

use super::plaintext::{Plaintext, Type};

/// The prefix of every encrypted value.
pub const PREFIX: &str = "ENC[AES256_GCM,";

/// Go's `StdEncoding`: padding is required, unused bits are ignored.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);

/// The reason why a value does not decrypt. It never contains a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CipherError {
    /// It does not have the form of an encrypted value.
    #[error("does not have the form ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]: it was truncated or edited by hand")]
    Form,
    /// One of its parts is not base64.
    #[error("has a part `{0}` that is not base64: it was truncated or edited by hand")]
    NotBase64(&'static str),
    /// The nonce has a length that sops does not write.
    #[error("has an `iv` of {0} bytes, which is not supported")]
    Nonce(usize),
    /// The type is unknown.
    #[error("has an unknown type")]
    UnknownType,
    /// Authentication failed.
    #[error("does not decrypt: it was edited by hand, or moved here from another key or file")]
    Refused,
    /// It decrypts, but is not a value of its type.
    #[error("decrypts, but not to a value of type {0}: its type was edited by hand")]
    NotOfType(&'static str),
}

/// The key that encrypts the values of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataKey(Secret<[u8; 32]>);

impl DataKey {
    /// Generates a new key.
    pub fn generate(rng: &mut impl CryptoRng) -> DataKey {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        let key = DataKey(Secret::new(bytes));
        bytes.zeroize();
        key
    }

    /// Makes a key from its bytes; `None` unless there are 32.
    pub fn from_bytes(bytes: &[u8]) -> Option<DataKey> {
        Some(DataKey(Secret::new(bytes.try_into().ok()?)))
    }

    /// Returns the key itself.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

/// Returns whether a text looks like an encrypted value, or like a truncated one.
pub fn looks_encrypted(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Returns the additional data of a value: the keys that lead to it, without list positions.
pub fn additional_data(path: &[String]) -> String {
    format!("{}:", path.join(":"))
}

/// Checks that a text has the form of an encrypted value, as far as that is visible without the key.
pub fn check_form(text: &str) -> Result<(), CipherError> {
    let parts = Parts::of(text)?;
    for (part, name) in [(parts.data, "data"), (parts.iv, "iv"), (parts.tag, "tag")] {
        decoded(part, name)?;
    }
    Type::from_name(parts.kind).map(|_| ()).ok_or(CipherError::UnknownType)
}

/// Decrypts a value. An empty text is its own plaintext.
pub fn decrypt(text: &str, key: &DataKey, additional: &str) -> Result<Plaintext, CipherError> {
    if text.is_empty() {
        return Ok(Plaintext::text(""));
    }
    let parts = Parts::of(text)?;
    let mut data = decoded(parts.data, "data")?;
    let nonce = decoded(parts.iv, "iv")?;
    data.extend_from_slice(&decoded(parts.tag, "tag")?);
    let kind = Type::from_name(parts.kind).ok_or(CipherError::UnknownType)?;
    let split = data.len().checked_sub(16).ok_or(CipherError::Refused)?;
    let tag = Array::<u8, U16>::try_from(&data[split..]).map_err(|_| CipherError::Refused)?;
    data.truncate(split);
    let opened = match nonce.len() {
        32 => open::<AesGcm<Aes256, U32>, _>(key, &nonce, additional, &mut data, &tag),
        12 => open::<AesGcm<Aes256, U12>, _>(key, &nonce, additional, &mut data, &tag),
        length => return Err(CipherError::Nonce(length)),
    };
    let bytes = Secret::new(data);
    opened.ok_or(CipherError::Refused)?;
    Plaintext::from_decrypted(kind, bytes).ok_or(CipherError::NotOfType(kind.name()))
}

/// Encrypts a value. An empty value stays empty.
pub fn encrypt(plain: &Plaintext, key: &DataKey, additional: &str, rng: &mut impl CryptoRng) -> String {
    if plain.is_empty() {
        return String::new();
    }
    let mut nonce = [0; 32];
    rng.fill_bytes(&mut nonce);
    let mut data = plain.expose().to_vec();
    let cipher = AesGcm::<Aes256, U32>::new(&Array::from(*key.expose()));
    let tag = cipher.encrypt_inout_detached(&Array(nonce), additional.as_bytes(), data.as_mut_slice().into());
    // GCM refuses texts of 64 GiB and more, which do not occur.
    let tag = tag.unwrap_or_default();
    let encode = |bytes: &[u8]| BASE64.encode(bytes);
    let (data, iv, tag) = (encode(&data), encode(&nonce), encode(&tag));
    format!("{PREFIX}data:{data},iv:{iv},tag:{tag},type:{}]", plain.kind.name())
}

fn open<C, N>(key: &DataKey, nonce: &[u8], additional: &str, data: &mut [u8], tag: &Array<u8, U16>) -> Option<()>
where
    C: AeadInOut<NonceSize = N, TagSize = U16> + KeyInit<KeySize = U32>,
    N: aes_gcm::aead::array::ArraySize,
{
    let cipher = C::new(&Array::from(*key.expose()));
    let nonce = Array::<u8, N>::try_from(nonce).ok()?;
    cipher.decrypt_inout_detached(&nonce, additional.as_bytes(), data.into(), tag).ok()
}

/// `^ENC\[AES256_GCM,data:(.+),iv:(.+),tag:(.+),type:(.+)\]`, with greedy parts.
struct Parts<'a> {
    data: &'a str,
    iv: &'a str,
    tag: &'a str,
    kind: &'a str,
}

impl Parts<'_> {
    fn of(text: &str) -> Result<Parts<'_>, CipherError> {
        let parse = || {
            let line = text.split('\n').next()?;
            let body = line.strip_prefix(PREFIX)?.strip_prefix("data:")?;
            let body = &body[..body.rfind(']')?];
            let (body, kind) = body.rsplit_once(",type:")?;
            let (body, tag) = body.rsplit_once(",tag:")?;
            let (data, iv) = body.rsplit_once(",iv:")?;
            let parts = [data, iv, tag, kind];
            parts.iter().all(|part| !part.is_empty()).then_some(Parts { data, iv, tag, kind })
        };
        parse().ok_or(CipherError::Form)
    }
}

fn decoded(text: &str, part: &'static str) -> Result<Vec<u8>, CipherError> {
    BASE64.decode(text.replace('\r', "")).map_err(|_| CipherError::NotBase64(part))
}

#[cfg(test)]
mod tests {
    use getrandom::SysRng;
    use rand_core::UnwrapErr;

    use super::*;

    fn key() -> DataKey {
        DataKey::from_bytes(&[7; 32]).expect("32 bytes")
    }

    #[test]
    fn values_come_back_with_their_type() {
        for plain in
            [Plaintext::text("grüße"), Plaintext::boolean(true), Plaintext::float(1.5), Plaintext::comment(" why")]
        {
            let text = encrypt(&plain, &key(), "a:b:", &mut UnwrapErr(SysRng));
            assert_eq!(decrypt(&text, &key(), "a:b:"), Ok(plain), "{text}");
            assert_eq!(decrypt(&text, &key(), "a:c:"), Err(CipherError::Refused));
        }
        assert_eq!(encrypt(&Plaintext::text(""), &key(), "a:", &mut UnwrapErr(SysRng)), "");
        assert_eq!(decrypt("", &key(), "a:"), Ok(Plaintext::text("")));
    }

    #[test]
    fn problems_are_reported_without_the_value() {
        let text = encrypt(&Plaintext::text("7"), &key(), "a:", &mut UnwrapErr(SysRng));
        let error = |text: String| decrypt(&text, &key(), "a:").expect_err("broken");
        assert_eq!(error(text.replace("type:str", "type:bool")), CipherError::NotOfType("bool"));
        assert_eq!(error(text.replace("type:str", "type:text")), CipherError::UnknownType);
        assert_eq!(error(text.replace("iv:", "iv:*")), CipherError::NotBase64("iv"));
        assert_eq!(error(text[..text.len() - 1].to_owned()), CipherError::Form);
        assert_eq!(error(text.replace("tag:", "tags:")), CipherError::Form);
        assert_eq!(error("sesame".to_owned()), CipherError::Form);
        assert_eq!(error(format!("{PREFIX}data:aaaa,iv:aaaa,tag:aaaa,type:str]")), CipherError::Refused);
        assert!(decrypt(&format!("{text} x"), &key(), "a:").is_ok());
    }
}

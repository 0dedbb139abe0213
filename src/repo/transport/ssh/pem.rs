//! Private keys in the old encrypted PEM format, with `Proc-Type: 4,ENCRYPTED` (RFC 1421), which `ssh-keygen -m PEM` still
//! writes.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, KeyIvInit};
use aes::{Aes128, Aes192, Aes256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cbc::Decryptor;

use crate::secret::Secret;

/// Decrypts a key and returns it as unencrypted PEM. `None` if the text has another format, the passphrase is wrong, or the
/// cipher is not AES.
pub fn decrypt(text: &str, passphrase: &str) -> Option<Secret<String>> {
    let mut lines = text.lines().map(str::trim).skip_while(|line| !line.starts_with("-----BEGIN "));
    let label = lines.next()?.strip_prefix("-----BEGIN ")?.strip_suffix("-----")?;
    let body: Vec<&str> = lines.take_while(|line| !line.starts_with("-----END ")).collect();
    let info = body.iter().find_map(|line| line.strip_prefix("DEK-Info:"))?;
    let (cipher, iv) = info.trim().split_once(',')?;
    let iv = bytes_of_hex(iv.trim())?;
    let data: String = body.iter().filter(|line| !line.contains(':')).copied().collect();
    let data = Secret::new(STANDARD.decode(data).ok()?);
    let key = derived(passphrase.as_bytes(), iv.get(..8)?);
    let opened = match cipher {
        "AES-128-CBC" => decrypted::<Decryptor<Aes128>>(&key.expose()[..16], &iv, &data),
        "AES-192-CBC" => decrypted::<Decryptor<Aes192>>(&key.expose()[..24], &iv, &data),
        "AES-256-CBC" => decrypted::<Decryptor<Aes256>>(&key.expose()[..32], &iv, &data),
        _ => None,
    }?;
    let encoded = Secret::new(STANDARD.encode(opened.expose()));
    Some(Secret::new(format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", encoded.expose())))
}

fn decrypted<C: KeyIvInit + BlockModeDecrypt>(
    key: &[u8],
    iv: &[u8],
    data: &Secret<Vec<u8>>,
) -> Option<Secret<Vec<u8>>> {
    let mut buffer = Secret::new(data.expose().clone());
    let length = C::new_from_slices(key, iv).ok()?.decrypt_padded::<Pkcs7>(buffer.expose_mut()).ok()?.len();
    buffer.expose_mut().truncate(length);
    Some(buffer)
}

/// Derives the key from a passphrase like OpenSSL (EVP_BytesToKey with MD5 and one round).
fn derived(passphrase: &[u8], salt: &[u8]) -> Secret<Vec<u8>> {
    let mut key = Secret::new(Vec::with_capacity(32));
    let mut last = [0; 16];
    while key.expose().len() < 32 {
        let mut hash = md5::Context::new();
        if !key.expose().is_empty() {
            hash.consume(last);
        }
        hash.consume(passphrase);
        hash.consume(salt);
        last = hash.finalize().0;
        key.expose_mut().extend_from_slice(&last);
    }
    key
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    pairs.collect()
}

//! An age file: a header with the file key wrapped for each recipient, its MAC, and the payload.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce, Tag};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use rand_core::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroize;

use crate::secret::Secret;

use super::identity::Identity;
use super::recipient::Recipient;

const VERSION: &str = "age-encryption.org/v1";
const CHUNK: usize = 64 * 1024;
const TAG: usize = 16;

/// The key of one file, from which its other keys are derived.
pub type FileKey = Secret<[u8; 16]>;

/// The file key, wrapped for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stanza {
    /// The kind and what else stands on its first line.
    pub args: Vec<String>,
    /// The wrapped key.
    pub body: Vec<u8>,
}

/// Why a file does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AgeError {
    /// It is no age file, or was cut off.
    #[error("it is no complete age file")]
    Form,
    /// None of the identities is a recipient.
    #[error("no identity opens it")]
    NoMatch,
    /// An identity opens the file key, but the rest was changed.
    #[error("it was changed")]
    Changed,
}

/// Opens a file with the first identity that can.
pub fn decrypt<'i>(
    bytes: &[u8],
    identities: impl IntoIterator<Item = &'i Identity>,
) -> Result<Secret<Vec<u8>>, AgeError> {
    let header = Header::read(bytes).ok_or(AgeError::Form)?;
    let unwrap = |identity: &Identity| header.stanzas.iter().find_map(|stanza| identity.unwrap(stanza));
    let key = identities.into_iter().find_map(unwrap).ok_or(AgeError::NoMatch)?;
    let mac = header_mac(&key, &bytes[..header.signed]);
    mac.verify_slice(&header.mac).map_err(|_| AgeError::Changed)?;
    let (nonce, payload) = bytes[header.end..].split_at_checked(16).ok_or(AgeError::Form)?;
    open_payload(&derive(key.expose(), nonce, b"payload"), payload).ok_or(AgeError::Changed)
}

/// Encrypts to one recipient.
pub fn encrypt(plain: &[u8], recipient: &Recipient, rng: &mut impl CryptoRng) -> Vec<u8> {
    let mut key = [0; 16];
    rng.fill_bytes(&mut key);
    let key = FileKey::new(key);
    let stanza = recipient.wrap(&key, rng);
    let mut file = format!("{VERSION}\n-> {}\n", stanza.args.join(" ")).into_bytes();
    let body = STANDARD_NO_PAD.encode(&stanza.body);
    for line in body.as_bytes().chunks(64) {
        file.extend_from_slice(line);
        file.push(b'\n');
    }
    // The last line is shorter than 64, if need be empty.
    if body.len().is_multiple_of(64) {
        file.push(b'\n');
    }
    file.extend_from_slice(b"---");
    let mac = header_mac(&key, &file).finalize().into_bytes();
    file.extend_from_slice(format!(" {}\n", STANDARD_NO_PAD.encode(mac)).as_bytes());
    let mut nonce = [0; 16];
    rng.fill_bytes(&mut nonce);
    file.extend_from_slice(&nonce);
    seal_payload(&derive(key.expose(), &nonce, b"payload"), plain, &mut file);
    file
}

/// HKDF-SHA-256 to 32 bytes.
pub fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> Secret<[u8; 32]> {
    let mut key = [0; 32];
    // 32 bytes are always to be had.
    let _ = Hkdf::<Sha256>::new(Some(salt), secret).expand(info, &mut key);
    Secret::new(key)
}

/// Wraps a file key with a key that is used once.
pub fn wrap(key: &[u8; 32], nonce: &[u8; 12], file_key: &FileKey) -> Vec<u8> {
    let mut body = file_key.expose().to_vec();
    let cipher = ChaCha20Poly1305::new(&Key::from(*key));
    let tag = cipher.encrypt_inout_detached(&Nonce::from(*nonce), b"", body.as_mut_slice().into());
    body.extend_from_slice(&tag.unwrap_or_default());
    body
}

/// Unwraps a file key; `None` when the key is another one.
pub fn unwrap(key: &[u8; 32], nonce: &[u8; 12], body: &[u8]) -> Option<FileKey> {
    let (data, tag) = body.split_at_checked(16).filter(|(_, tag)| tag.len() == TAG)?;
    let mut file_key = [0; 16];
    file_key.copy_from_slice(data);
    let cipher = ChaCha20Poly1305::new(&Key::from(*key));
    let tag = Tag::try_from(tag).ok()?;
    let opened = cipher.decrypt_inout_detached(&Nonce::from(*nonce), b"", file_key.as_mut_slice().into(), &tag);
    let file_key = FileKey::new(file_key);
    opened.ok().map(|()| file_key)
}

fn header_mac(key: &FileKey, signed: &[u8]) -> Hmac<Sha256> {
    let key = derive(key.expose(), b"", b"header");
    // HMAC fills a short key up with zeros.
    let mut block = [0; 64];
    block[..32].copy_from_slice(key.expose());
    let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
    block.zeroize();
    mac.update(signed);
    mac
}

struct Header {
    stanzas: Vec<Stanza>,
    mac: Vec<u8>,
    /// The length of what the MAC covers.
    signed: usize,
    end: usize,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Header> {
        let mut at = 0;
        let mut line = || {
            let length = bytes[at..].iter().position(|b| *b == b'\n')?;
            let line = std::str::from_utf8(&bytes[at..at + length]).ok()?;
            at += length + 1;
            Some((line, at))
        };
        if line()?.0 != VERSION {
            return None;
        }
        let mut stanzas = Vec::new();
        loop {
            let (first, end) = line()?;
            if let Some(mac) = first.strip_prefix("--- ") {
                let mac = STANDARD_NO_PAD.decode(mac).ok()?;
                let signed = end - 1 - first.len() + 3;
                return (!stanzas.is_empty()).then_some(Header { stanzas, mac, signed, end });
            }
            let args: Vec<String> = first.strip_prefix("-> ")?.split(' ').map(str::to_owned).collect();
            let visible = |arg: &String| !arg.is_empty() && arg.bytes().all(|b| b.is_ascii_graphic());
            if !args.iter().all(visible) {
                return None;
            }
            let mut body = String::new();
            loop {
                let (text, _) = line()?;
                body.push_str(text);
                if text.len() < 64 {
                    break;
                }
                if text.len() > 64 {
                    return None;
                }
            }
            stanzas.push(Stanza { args, body: STANDARD_NO_PAD.decode(body).ok()? });
        }
    }
}

/// The nonce of a chunk: its number, and whether it is the last.
fn chunk_nonce(number: u64, last: bool) -> Nonce {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(last);
    nonce.into()
}

fn seal_payload(key: &Secret<[u8; 32]>, plain: &[u8], file: &mut Vec<u8>) {
    let cipher = ChaCha20Poly1305::new(&Key::from(*key.expose()));
    let chunks: Vec<&[u8]> = if plain.is_empty() { vec![plain] } else { plain.chunks(CHUNK).collect() };
    for (number, chunk) in chunks.iter().enumerate() {
        let nonce = chunk_nonce(number as u64, number + 1 == chunks.len());
        let start = file.len();
        file.extend_from_slice(chunk);
        let tag = cipher.encrypt_inout_detached(&nonce, b"", (&mut file[start..]).into());
        file.extend_from_slice(&tag.unwrap_or_default());
    }
}

fn open_payload(key: &Secret<[u8; 32]>, payload: &[u8]) -> Option<Secret<Vec<u8>>> {
    let cipher = ChaCha20Poly1305::new(&Key::from(*key.expose()));
    let mut plain = Vec::with_capacity(payload.len());
    let chunks = payload.chunks(CHUNK + TAG);
    let count = chunks.len();
    for (number, chunk) in chunks.enumerate() {
        let last = number + 1 == count;
        let (data, tag) = chunk.split_at_checked(chunk.len().checked_sub(TAG)?)?;
        // An empty chunk stands only for an empty file.
        if data.is_empty() && number > 0 {
            return None;
        }
        let start = plain.len();
        plain.extend_from_slice(data);
        let tag = Tag::try_from(tag).ok()?;
        cipher
            .decrypt_inout_detached(&chunk_nonce(number as u64, last), b"", (&mut plain[start..]).into(), &tag)
            .ok()?;
    }
    (count > 0).then(|| Secret::new(plain))
}

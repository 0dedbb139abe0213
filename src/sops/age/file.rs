//! Age files, read and written by the `age` crate.

use std::io::{Read, Write};
use std::iter;

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::{DecryptError, Decryptor, Encryptor};

use crate::secret::Secret;

use super::identity::Identity;
use super::recipient::Recipient;

/// The reason why a file could not be decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AgeError {
    /// It is not an age file, or is truncated.
    #[error("it is not a complete age file")]
    Form,
    /// None of the identities is a recipient.
    #[error("no identity can decrypt it")]
    NoMatch,
    /// An identity decrypts the file key, but the rest was modified.
    #[error("it was modified")]
    Modified,
}

impl From<DecryptError> for AgeError {
    fn from(error: DecryptError) -> AgeError {
        match error {
            DecryptError::NoMatchingKeys => AgeError::NoMatch,
            DecryptError::InvalidMac | DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => {
                AgeError::Modified
            }
            _ => AgeError::Form,
        }
    }
}

/// Decrypts a file, armored or not, with the first identity that fits. Blank lines around the armor are ignored.
pub fn decrypt<'i>(
    bytes: &[u8],
    identities: impl IntoIterator<Item = &'i Identity>,
) -> Result<Secret<Vec<u8>>, AgeError> {
    let file = without_armor(bytes)?;
    if !ends_its_stanzas(&file) {
        return Err(AgeError::Form);
    }
    let decryptor = Decryptor::new_buffered(file.as_slice())?;
    let identities = identities.into_iter().map(|identity| identity as &dyn age::Identity);
    let mut payload = decryptor.decrypt(identities)?;
    // Allocated at full size, so that no plaintext is left behind in smaller buffers.
    let mut plain = Secret::new(Vec::with_capacity(bytes.len()));
    payload.read_to_end(plain.expose_mut()).map_err(|_| AgeError::Modified)?;
    Ok(plain)
}

/// Returns the number of recipients that a file is encrypted to, by its header; 0 if it cannot be read. Random stanzas
/// that some programs add, so that readers must ignore what they do not know, do not count.
pub fn count_recipients(bytes: &[u8]) -> usize {
    let Ok(file) = without_armor(bytes) else { return 0 };
    let header = file.split(|b| *b == b'\n').take_while(|line| !line.starts_with(b"---"));
    let kinds = header.filter_map(|line| line.strip_prefix(b"-> ")?.split(|b| *b == b' ').next());
    kinds.filter(|kind| !kind.ends_with(b"-grease")).count()
}

fn without_armor(bytes: &[u8]) -> Result<Vec<u8>, AgeError> {
    let is_armored = bytes.trim_ascii_start().starts_with(b"-----BEGIN");
    let mut file = Vec::with_capacity(bytes.len());
    let mut reader = ArmoredReader::new(if is_armored { without_blank_lines_around(bytes) } else { bytes });
    reader.read_to_end(&mut file).map_err(|_| AgeError::Form)?;
    Ok(file)
}

/// Removes blank lines at both ends. Blanks within the first and last line are left for the reader to refuse.
fn without_blank_lines_around(bytes: &[u8]) -> &[u8] {
    let (first, last) = (bytes.len() - bytes.trim_ascii_start().len(), bytes.trim_ascii_end().len());
    let start = bytes[..first].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let end = bytes[last..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| last + end + 1);
    &bytes[start..end]
}

/// Returns whether the body of each stanza ends in a short line, possibly an empty one. The crate accepts files without
/// it, as its first versions wrote them; age does not, so sops would refuse them.
fn ends_its_stanzas(file: &[u8]) -> bool {
    let mut is_open = false;
    for line in file.split(|b| *b == b'\n') {
        match line {
            _ if line.starts_with(b"---") => return !is_open,
            _ if line.starts_with(b"-> ") && is_open => return false,
            _ => is_open = line.starts_with(b"-> ") || is_open && line.len() >= 64,
        }
    }
    true
}

/// Encrypts to one recipient, as text; `None` for a recipient without a possible identity.
pub fn encrypt(plain: &[u8], recipient: &Recipient) -> Option<String> {
    let encryptor = Encryptor::with_recipients(iter::once(recipient as &dyn age::Recipient)).ok()?;
    let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor).ok()?;
    let mut file = encryptor.wrap_output(armor).ok()?;
    file.write_all(plain).ok()?;
    let text = file.finish().and_then(ArmoredWriter::finish).ok()?;
    String::from_utf8(text).ok()
}

//! Files with tokens, which somebody else replaces before they expire.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::secret::Secret;

use super::error::IdentityError;

/// The largest file that is read, in bytes. Tokens are smaller by far.
const LARGEST: u64 = 64 << 10;

/// A file with a token, and the variable that names it.
#[derive(Debug, Clone)]
pub struct TokenFile {
    variable: &'static str,
    path: PathBuf,
}

impl TokenFile {
    /// A file that a variable names.
    pub fn new(variable: &'static str, path: PathBuf) -> TokenFile {
        TokenFile { variable, path }
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads all of it.
    ///
    /// # Errors
    /// The file cannot be read, or is too large, empty or not text.
    pub fn read(&self) -> Result<Secret<String>, IdentityError> {
        let mut bytes = Secret::new(Vec::new());
        let read = File::open(&self.path).and_then(|file| file.take(LARGEST + 1).read_to_end(bytes.expose_mut()));
        match read {
            Ok(length) if length as u64 > LARGEST => return Err(self.unusable("it is larger than 64 KiB".to_owned())),
            Ok(_) => {}
            Err(error) => return Err(self.unusable(error.to_string())),
        }
        let text = std::str::from_utf8(bytes.expose()).map_err(|_| self.unusable("it is not text".to_owned()))?;
        match text.trim() {
            "" => Err(self.unusable("it is empty".to_owned())),
            text => Ok(Secret::new(text.to_owned())),
        }
    }

    /// The error for contents that cannot be used.
    pub fn unusable(&self, reason: String) -> IdentityError {
        IdentityError::File { variable: self.variable, file: self.path.clone(), reason }
    }

    /// A hash that changes with the contents. It is that of nothing if the file cannot be read: reading it for a request
    /// then says why.
    pub fn hash(&self) -> [u8; 32] {
        self.read().map(|text| Sha256::digest(text.expose().as_bytes()).into()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_text_of_a_small_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = TokenFile::new("AZURE_FEDERATED_TOKEN_FILE", folder.path().join("token"));
        let write = |bytes: &[u8]| std::fs::write(file.path(), bytes).expect("written");
        assert_eq!(file.hash(), [0; 32]);
        assert!(file.read().expect_err("missing").to_string().contains("AZURE_FEDERATED_TOKEN_FILE"));
        write(b" a.b.c\n");
        assert_eq!(file.read().expect("a token").expose(), "a.b.c");
        let first = file.hash();
        write(b"a.b.d");
        assert_ne!(file.hash(), first);
        for bytes in [vec![], b" \n".to_vec(), vec![0xff], vec![b'x'; 65 << 10]] {
            write(&bytes);
            assert!(file.read().is_err() && file.hash() == [0; 32]);
        }
    }
}

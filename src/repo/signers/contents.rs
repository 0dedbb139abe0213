//! The contents of entries of the section `trust`.

use std::path::PathBuf;

use crate::repo::error::RepoError;

use super::source::SignerSource;

/// Returns the bytes of an entry, and the file that they are from. For a text that is the key of the configuration.
pub fn read(source: &SignerSource, key: &str) -> Result<(PathBuf, Vec<u8>), RepoError> {
    match source {
        SignerSource::Text(text) => Ok((key.into(), text.clone().into_bytes())),
        SignerSource::File(file) => {
            let unreadable = |source| RepoError::Unreadable { file: file.clone(), source };
            Ok((file.clone(), std::fs::read(file).map_err(unreadable)?))
        }
    }
}

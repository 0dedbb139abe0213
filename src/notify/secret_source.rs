//! The source of a URL or a token.

use std::path::PathBuf;

use url::Url;

use crate::secret::Secret;

use super::error::NotifyError;

/// The source of a URL or a token.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// A file, which is read on each use.
    File(PathBuf),
    /// A value, which came from an environment variable.
    Value(Secret<String>),
}

impl SecretSource {
    /// Reads the value, without the trailing newline that editors add. An empty file is an error: as a key, it would prove
    /// nothing.
    pub(super) fn read(&self) -> Result<Secret<String>, NotifyError> {
        match self {
            SecretSource::Value(value) => Ok(value.clone()),
            SecretSource::File(file) => {
                let fail = |source| NotifyError::Unreadable { file: file.clone(), source };
                let text = Secret::new(std::fs::read_to_string(file).map_err(fail)?);
                let text = Secret::new(text.expose().trim().to_owned());
                if text.expose().is_empty() { Err(NotifyError::Empty { file: file.clone() }) } else { Ok(text) }
            }
        }
    }

    /// Reads the value as an http or https URL.
    pub(super) fn url(&self) -> Result<Url, NotifyError> {
        let text = self.read()?;
        let url = Url::parse(text.expose()).map_err(|_| NotifyError::InvalidUrl)?;
        if matches!(url.scheme(), "https" | "http") { Ok(url) } else { Err(NotifyError::InvalidUrl) }
    }
}

//! The files that a connection to a host depends on.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::http;
use crate::http::client::{Authorities, Connections};
use crate::http::client_certificate::{CertificateFacts, ClientCertificate};
use crate::http::proxy::{Proxy, ProxyCredentials};
use crate::secret::Secret;

use super::config::CertificateFiles;
use super::connection_error::ConnectionError;
use super::error::RegistryError;

/// The files that a connection to a host depends on.
#[derive(Debug, Clone, Default)]
pub struct ConnectionFiles {
    /// The certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// The client certificate and its key.
    pub certificate: Option<CertificateFiles>,
    /// The credentials for the proxy.
    pub proxy_credentials: Option<PathBuf>,
}

/// The content of a file, or why it cannot be read.
struct Content {
    file: PathBuf,
    bytes: Result<Secret<Vec<u8>>, String>,
}

/// The contents of the files, read at one time.
pub struct Contents {
    authorities: Option<Content>,
    certificate: Option<(Content, Content)>,
    proxy_credentials: Option<Content>,
}

impl ConnectionFiles {
    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ca_file.is_none() && self.certificate.is_none() && self.proxy_credentials.is_none()
    }

    /// Reads all files. What cannot be read is part of the contents.
    pub fn read(&self) -> Contents {
        let read = |file: &Path| Content {
            file: file.to_owned(),
            bytes: std::fs::read(file).map(Secret::new).map_err(|error: io::Error| error.to_string()),
        };
        Contents {
            authorities: self.ca_file.as_deref().map(read),
            certificate: self.certificate.as_ref().map(|files| (read(&files.cert_file), read(&files.key_file))),
            proxy_credentials: self.proxy_credentials.as_deref().map(read),
        }
    }
}

impl Contents {
    /// Returns a hash of the contents. Only contents are compared, because Kubernetes swaps a symbolic link above the files,
    /// also if just another file has changed.
    pub fn digest(&self) -> [u8; 32] {
        let certificate = self.certificate.iter().flat_map(|(certificate, key)| [certificate, key]);
        let mut digest = Sha256::new();
        for content in self.authorities.iter().chain(certificate).chain(&self.proxy_credentials) {
            let (kind, bytes) = match &content.bytes {
                Ok(bytes) => (0, bytes.expose().as_slice()),
                Err(reason) => (1, reason.as_bytes()),
            };
            digest.update([kind]);
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        }
        digest.finalize().into()
    }

    /// Makes the settings of a client from the contents, together with what the client certificate says.
    ///
    /// # Errors
    /// A file cannot be used, or the client certificate and its key do not belong together.
    pub fn connections(
        &self,
        files: &ConnectionFiles,
        origin: &url::Origin,
        proxy: &Proxy,
    ) -> Result<(Connections, Option<CertificateFacts>), RegistryError> {
        let authorities = match &self.authorities {
            Some(Content { file, bytes }) => {
                let wrong = |reason: String| RegistryError::CaFile { file: file.clone(), reason };
                let pem = bytes.as_ref().map_err(|reason| wrong(reason.clone()))?;
                Authorities::Only(http::parse_certificates(pem.expose()).map_err(wrong)?)
            }
            None => Authorities::System,
        };
        let certificate = self.client_certificate(files)?;
        let proxy_credentials = self.proxy_credentials()?;
        let facts = certificate.as_ref().map(|certificate| certificate.facts.clone());
        let certificate = certificate.map(|certificate| (origin.clone(), certificate.identity));
        Ok((Connections { authorities, certificate, proxy: proxy.clone(), proxy_credentials }, facts))
    }

    fn client_certificate(&self, files: &ConnectionFiles) -> Result<Option<ClientCertificate>, ConnectionError> {
        let (Some((certificate, key)), Some(files)) = (&self.certificate, &files.certificate) else { return Ok(None) };
        let readable = |content: &Content| {
            let wrong = |reason| ConnectionError::CertificateFile { file: content.file.clone(), reason };
            content.bytes.clone().map_err(wrong)
        };
        let (certificate, key) = (readable(certificate)?, readable(key)?);
        let parsed = ClientCertificate::parse(certificate.expose(), &key);
        parsed.map(Some).map_err(|flaw| ConnectionError::of_flaw(flaw, files))
    }

    fn proxy_credentials(&self) -> Result<Option<ProxyCredentials>, ConnectionError> {
        let Some(Content { file, bytes }) = &self.proxy_credentials else { return Ok(None) };
        let wrong = |reason: String| ConnectionError::ProxyCredentialsFile { file: file.clone(), reason };
        let text = bytes.as_ref().map_err(|reason| wrong(reason.clone()))?;
        ProxyCredentials::parse(text).map(Some).map_err(|reason| wrong(reason.to_owned()))
    }
}

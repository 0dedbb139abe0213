//! Docker config files and credential helpers.

use std::path::Path;

use docker_credential::{CredentialRetrievalError, DockerCredential};

use crate::secret::Secret;

use super::error::RegistryError;

/// What a registry is shown.
#[derive(Debug, Clone)]
pub enum Credential {
    /// User and password, or user and token.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: Secret<String>,
    },
    /// A refresh token, to be changed for an access token by OAuth2.
    RefreshToken(Secret<String>),
}

/// The credential for a host from a Docker config file; `None` when the file has none. Read anew at each call, so that
/// a rotated file is taken up. Runs credential helpers, which may block.
pub fn look_up(file: &Path, host: &str) -> Result<Option<Credential>, RegistryError> {
    let fail = |reason: String| RegistryError::CredentialsFile { file: file.to_owned(), reason };
    let text = Secret::new(std::fs::read(file).map_err(|error| fail(error.to_string()))?);
    // Docker Hub's entry goes by the name of its old index.
    let names: &[&str] = match host {
        "docker.io" => &["https://index.docker.io/v1/", "docker.io", "registry-1.docker.io"],
        host => &[host],
    };
    for name in names {
        match docker_credential::get_credential_from_reader(text.expose().as_slice(), name) {
            Ok(DockerCredential::UsernamePassword(user, password)) => {
                return Ok(Some(Credential::Password { user, password: Secret::new(password) }));
            }
            Ok(DockerCredential::IdentityToken(token)) => {
                return Ok(Some(Credential::RefreshToken(Secret::new(token))));
            }
            Err(CredentialRetrievalError::NoCredentialConfigured) => {}
            // Helpers have one way to say that they know nothing, and print it to stdout.
            Err(CredentialRetrievalError::HelperFailure { stdout, stderr, .. })
                if format!("{stdout}{stderr}").contains("credentials not found") => {}
            Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
                return Err(fail(format!("{helper} failed")));
            }
            Err(error) => return Err(fail(error.to_string())),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    #[test]
    fn entries_are_found_by_host() {
        // "user:pass" and "hub:x"
        let file = file(
            r#"{"auths":{"127.0.0.1:5000":{"auth":"dXNlcjpwYXNz"},"https://index.docker.io/v1/":{"auth":"aHViOng="}}}"#,
        );
        let user = |host: &str| match look_up(file.path(), host).expect("readable") {
            Some(Credential::Password { user, .. }) => Some(user),
            _ => None,
        };
        assert_eq!(user("127.0.0.1:5000").as_deref(), Some("user"));
        assert_eq!(user("docker.io").as_deref(), Some("hub"));
        assert_eq!(user("ghcr.io"), None);
    }

    #[test]
    fn a_broken_file_is_named_and_nothing_of_it_repeated() {
        let file = file(r#"{"auths": sesame"#);
        let error = look_up(file.path(), "ghcr.io").expect_err("broken").to_string();
        assert!(error.contains(&file.path().display().to_string()) && !error.contains("sesame"), "{error}");
    }
}

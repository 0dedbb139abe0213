//! The credentials of a remote. Files are read for each operation and each commit, so that a rotated Secret is used without
//! a restart.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use reqwest::RequestBuilder;
use sha2::{Digest, Sha256};
use ssh_key::PrivateKey;

use crate::identity::github::error::AppError;
use crate::identity::issuer::{GitScheme, Issuer};
use crate::identity::issuer_error::IssuerError;
use crate::identity::scope::Scope;
use crate::secret::Secret;

use super::access::Access;
use super::config::{Config, Identity};
use super::error::{RepoError, Words};

/// The credentials of a remote.
pub(super) enum Offer {
    Key(KeyOffer),
    Agent,
    Password {
        user: String,
        password: Secret<String>,
        from: String,
    },
    Issued(IssuedToken),
    /// The identity has no access to the repository, which may be public.
    NotInstalled(AppError),
    Nothing,
}

/// An access token that was issued for an identity.
pub(super) struct IssuedToken {
    pub token: Secret<String>,
    pub issuer: Issuer,
    repository: String,
    scope: Scope,
}

impl IssuedToken {
    /// Forgets the token, because the server has refused it. Returns whether another one may be accepted.
    pub async fn refused(&self) -> bool {
        self.issuer.refused(&self.repository, self.scope).await
    }
}

/// A private key, with the certificate next to it if there is one.
pub(super) struct KeyOffer {
    pub key: Secret<String>,
    pub passphrase: Option<Secret<String>>,
    pub certificate: Option<String>,
    pub file: PathBuf,
}

impl Offer {
    /// Reads the configured credentials for the URL's scheme.
    pub fn read(config: &Config) -> Result<Offer, RepoError> {
        match config.url.scheme() {
            "ssh" => {
                let Some(file) = &config.ssh.key_file else { return Ok(Offer::Agent) };
                let passphrase = config.ssh.passphrase_file.as_deref().map(read_secret).transpose()?;
                let key = read_text(file)?;
                if passphrase.is_none() && is_locked(key.expose()) {
                    let words = "it is encrypted, and no passphraseFile is given".to_owned();
                    return Err(RepoError::Key { file: file.clone(), source: Words(words) });
                }
                let certificate = read_certificate(file)?;
                Ok(Offer::Key(KeyOffer { key, passphrase, certificate, file: file.clone() }))
            }
            "http" | "https" => Offer::for_http(config),
            _ => Ok(Offer::Nothing),
        }
    }

    /// Returns an access token for an identity.
    pub async fn issued(config: &Config, identity: &Identity) -> Result<Offer, RepoError> {
        if config.url.scheme() == "http" && !config.url.is_loopback() {
            return Err(RepoError::ClearText { url: config.url.clone() });
        }
        let Identity { issuer, access } = identity;
        let (repository, scope) = match access {
            Access::Read => (issuer.repository(&config.url)?, Scope::ReadContents),
            Access::Write => (issuer.repository(&config.url)?, Scope::WriteContents),
        };
        match issuer.token(&repository, scope).await {
            Ok(token) => Ok(Offer::Issued(IssuedToken { token, issuer: issuer.clone(), repository, scope })),
            Err(IssuerError::GitHubApp(error @ AppError::NotInstalled { .. })) if *access == Access::Read => {
                Ok(Offer::NotInstalled(error))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Adds the credentials to a request over http.
    pub fn authorize(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Offer::Password { user, password, .. } => request.basic_auth(user, Some(password.expose())),
            Offer::Issued(IssuedToken { token, issuer, .. }) => match issuer.git_scheme() {
                GitScheme::Basic(user) => request.basic_auth(user, Some(token.expose())),
                GitScheme::Bearer => request.bearer_auth(token.expose()),
            },
            Offer::Key(_) | Offer::Agent | Offer::NotInstalled(_) | Offer::Nothing => request,
        }
    }

    fn for_http(config: &Config) -> Result<Offer, RepoError> {
        let in_url = url::Url::parse(config.url.expose()).ok();
        let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = in_url.as_ref().map(|url| decoded(url.username())).filter(|user| !user.is_empty());
        let password = in_url.as_ref().and_then(|url| url.password()).map(decoded);
        let offer = match (&config.https.token_file, password) {
            (Some(file), _) => {
                let user = config.https.username.clone().or(user).unwrap_or_else(|| "git".to_owned());
                Offer::Password { user, password: read_secret(file)?, from: file.display().to_string() }
            }
            (None, Some(password)) => Offer::Password {
                user: user.unwrap_or_else(|| "git".to_owned()),
                password: Secret::new(password),
                from: "the URL".to_owned(),
            },
            // Some forges accept a token in place of the user.
            (None, None) => match user {
                Some(token) => {
                    Offer::Password { user: token, password: Secret::new(String::new()), from: "the URL".to_owned() }
                }
                None => Offer::Nothing,
            },
        };
        match offer {
            Offer::Password { .. } if config.url.scheme() == "http" && !config.url.is_loopback() => {
                Err(RepoError::ClearText { url: config.url.clone() })
            }
            offer => Ok(offer),
        }
    }

    /// Returns a hash of all credentials.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut add = |part: &str| {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        };
        match self {
            Offer::Key(KeyOffer { key, passphrase, certificate, file }) => {
                add("key");
                add(key.expose());
                add(passphrase.as_ref().map_or("", |passphrase| passphrase.expose()));
                add(certificate.as_deref().unwrap_or_default());
                add(&file.display().to_string());
            }
            Offer::Agent => add(&agent_socket().unwrap_or_default().to_string_lossy()),
            Offer::Password { user, password, .. } => {
                add("password");
                add(user);
                add(password.expose());
            }
            Offer::Issued(issued) => {
                add("issued");
                add(issued.token.expose());
            }
            Offer::NotInstalled(_) | Offer::Nothing => {}
        }
        hash.finalize().into()
    }

    /// Returns the error for credentials that were refused, with the server's words if there are any.
    pub fn refused(&self, config: &Config, user: &str, words: &str) -> RepoError {
        let with = match self {
            Offer::Key(KeyOffer { file, .. }) => format!("user {user} with the key {}", file.display()),
            Offer::Agent => format!("user {user} with the keys of the ssh agent; no ssh.keyFile is set"),
            Offer::Password { from, .. } => format!("the token from {from}"),
            Offer::Issued(IssuedToken { issuer, .. }) => format!("the access token of {issuer}"),
            Offer::NotInstalled(_) | Offer::Nothing => "none were given".to_owned(),
        };
        let with = if words.is_empty() { with } else { format!("{with}: {words}") };
        let url = config.url.clone();
        match self {
            Offer::Issued(_) => RepoError::DeniedIdentity { url, with },
            _ => RepoError::Denied { url, with },
        }
    }
}

/// Returns the socket of the ssh agent.
pub(super) fn agent_socket() -> Option<OsString> {
    std::env::var_os("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty())
}

/// Reads the certificate of a key from where ssh looks for it, `KEY-cert.pub`.
fn read_certificate(key: &Path) -> Result<Option<String>, RepoError> {
    let mut name = key.as_os_str().to_owned();
    name.push("-cert.pub");
    let file = PathBuf::from(name);
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(RepoError::Unreadable { file, source }),
    }
}

/// Returns whether a private key, in OpenSSH or PEM format, needs a passphrase.
fn is_locked(key: &str) -> bool {
    match PrivateKey::from_openssh(key) {
        Ok(key) => key.is_encrypted(),
        Err(_) => key.lines().any(|line| line.starts_with("-----BEGIN ENCRYPTED") || line == "Proc-Type: 4,ENCRYPTED"),
    }
}

/// Reads the bytes of a file that contains a secret.
pub(super) fn read_bytes(file: &Path) -> Result<Secret<Vec<u8>>, RepoError> {
    let bytes = std::fs::read(file);
    bytes.map(Secret::new).map_err(|source| RepoError::Unreadable { file: file.to_owned(), source })
}

fn read_text(file: &Path) -> Result<Secret<String>, RepoError> {
    let text = std::fs::read_to_string(file);
    text.map(Secret::new).map_err(|source| RepoError::Unreadable { file: file.to_owned(), source })
}

/// Reads a secret from a file, without the newline at its end.
pub(super) fn read_secret(file: &Path) -> Result<Secret<String>, RepoError> {
    let whole = read_text(file)?;
    Ok(Secret::new(whole.expose().trim_end_matches(['\n', '\r']).to_owned()))
}

//! What we have to show for ourselves. Files are read at each connection and each commit, so that a rotated Secret is
//! taken up without a restart.

use std::path::{Path, PathBuf};

use git2::Cred;
use ssh_key::PrivateKey;

use crate::secret::Secret;

use super::config::Config;
use super::error::{RepoError, Words};

/// What we have to show for ourselves.
pub(super) enum Offer {
    Key { key: Secret<String>, passphrase: Option<Secret<String>>, file: PathBuf },
    Agent,
    Password { user: String, password: Secret<String>, from: String },
    Nothing,
}

impl Offer {
    /// Reads what the configuration names for the URL's scheme.
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
                Ok(Offer::Key { key, passphrase, file: file.clone() })
            }
            "http" | "https" => Offer::for_http(config),
            _ => Ok(Offer::Nothing),
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
            // Some forges take a token in the place of the user.
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

    /// The offer in the library's form.
    pub fn credential(&self, config: &Config, user: &str) -> Result<Cred, RepoError> {
        let made = match self {
            Offer::Key { key, passphrase, .. } => {
                Cred::ssh_key_from_memory(user, None, key.expose(), passphrase.as_ref().map(|p| p.expose().as_str()))
            }
            Offer::Agent => Cred::ssh_key_from_agent(user),
            Offer::Password { user, password, .. } => Cred::userpass_plaintext(user, password.expose()),
            Offer::Nothing => return Err(self.refused(config, user)),
        };
        made.map_err(|_| self.refused(config, user))
    }

    /// The error that says what was offered in vain.
    pub fn refused(&self, config: &Config, user: &str) -> RepoError {
        let with = match self {
            Offer::Key { file, .. } => format!("user {user} with the key {}", file.display()),
            Offer::Agent => format!("user {user} with the keys of the ssh agent; no ssh.keyFile is set"),
            Offer::Password { from, .. } => format!("the token from {from}"),
            Offer::Nothing => "none were given; a tokenFile is needed".to_owned(),
        };
        RepoError::Denied { url: config.url.clone(), with }
    }
}

/// Whether a private key, in OpenSSH's format or in PEM, wants a passphrase.
fn is_locked(key: &str) -> bool {
    match PrivateKey::from_openssh(key) {
        Ok(key) => key.is_encrypted(),
        Err(_) => key.lines().any(|line| line.starts_with("-----BEGIN ENCRYPTED") || line == "Proc-Type: 4,ENCRYPTED"),
    }
}

/// The bytes of a file that holds a secret.
pub(super) fn read_bytes(file: &Path) -> Result<Secret<Vec<u8>>, RepoError> {
    let bytes = std::fs::read(file);
    bytes.map(Secret::new).map_err(|source| RepoError::Unreadable { file: file.to_owned(), source })
}

fn read_text(file: &Path) -> Result<Secret<String>, RepoError> {
    let text = std::fs::read_to_string(file);
    text.map(Secret::new).map_err(|source| RepoError::Unreadable { file: file.to_owned(), source })
}

/// A secret on one line; the final newline that editors add is no part of it.
pub(super) fn read_secret(file: &Path) -> Result<Secret<String>, RepoError> {
    let whole = read_text(file)?;
    Ok(Secret::new(whole.expose().trim_end_matches(['\n', '\r']).to_owned()))
}

//! Why a SOPS file cannot be written.

use std::path::PathBuf;

use crate::fault::{Explain, Fault};
use crate::sops::error::SopsError;
use crate::sops::rules_error::RulesError;

/// Why a SOPS file cannot be written.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum SecretsError {
    #[error("{file}: no creation rule of a .sops.yaml in its folder or above matches")]
    NoRule { file: String },
    #[error("cannot use {file}")]
    Rules { file: String, source: RulesError },
    /// A rule encrypts too little of a Secret, or too much.
    #[error("{file}: with its rule in .sops.yaml, {what}")]
    Selection { file: String, what: &'static str },
    #[error("cannot encrypt {file}")]
    Sops { file: String, source: SopsError },
    #[error("no credential for {host} in {}", file.as_ref().map_or("REGISTRY_AUTH_FILE, $DOCKER_CONFIG/config.json or ~/.docker/config.json: there is no such file".to_owned(), |file| file.display().to_string()))]
    NoCredential { host: String, file: Option<PathBuf> },
    #[error("the credential for {host} is a refresh token, which kubelets cannot use")]
    RefreshToken { host: String },
    #[error("{file} exists already, and is not the Secret {namespace}/{name}")]
    Occupied { file: String, namespace: String, name: String },
}

impl Explain for SecretsError {
    fn fault(&self) -> Fault {
        match self {
            SecretsError::Sops { source, .. } => source.fault(),
            _ => Fault::BadInput,
        }
    }

    fn help(&self) -> Option<String> {
        let say = |text: &str| Some(text.to_owned());
        match self {
            SecretsError::NoRule { .. } => say("add a rule with the recipients: `creation_rules: [{ age: age1… }]`"),
            SecretsError::Rules { .. } => say("fix it; nothing is encrypted by invalid rules"),
            SecretsError::Selection { .. } => say("set `encrypted_regex: ^(data|stringData)$`, as Flux expects"),
            SecretsError::Sops { source, .. } => source.help(),
            SecretsError::NoCredential { host, .. } => {
                Some(format!("run `docker login {host}`, or use --docker-config"))
            }
            SecretsError::RefreshToken { host } => {
                Some(format!("log in with a user name and a password or token: `docker login -u USER {host}`"))
            }
            SecretsError::Occupied { .. } => say("choose another --file, or remove that one"),
        }
    }
}

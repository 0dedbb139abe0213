//! What goes wrong where SOPS files are written.

use std::path::PathBuf;

use crate::fault::{Explain, Fault};
use crate::sops::error::SopsError;
use crate::sops::rules::RulesError;

/// What goes wrong where SOPS files are written.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// No rule says to whom a file is encrypted.
    #[error("{file}: no creation rule of a .sops.yaml in its folder or above is for it")]
    NoRule {
        /// The file.
        file: String,
    },
    /// The rules cannot be read.
    #[error("{file} cannot be used")]
    Rules {
        /// The `.sops.yaml`.
        file: String,
        /// Why.
        #[source]
        source: RulesError,
    },
    /// A rule encrypts something else than the values of a Secret.
    #[error("{file}: by the rule of .sops.yaml {what}")]
    Selection {
        /// The file.
        file: String,
        /// What would be wrong.
        what: &'static str,
    },
    /// A file cannot be encrypted.
    #[error("{file}: cannot be encrypted")]
    Sops {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: SopsError,
    },
    /// There is no credential for a registry.
    #[error("there is no credential for {host} in {}", file.as_ref().map_or("any Docker config file".to_owned(), |file| file.display().to_string()))]
    NoCredential {
        /// The registry.
        host: String,
        /// Where it was looked for.
        file: Option<PathBuf>,
    },
    /// What there is of a registry cannot be used by a kubelet.
    #[error("the credential for {host} is a refresh token, which a kubelet cannot use")]
    RefreshToken {
        /// The registry.
        host: String,
    },
    /// There is another file in the place.
    #[error("{file} is there already, and is not the Secret {namespace}/{name}")]
    Occupied {
        /// The file.
        file: String,
        /// The namespace of the Secret.
        namespace: String,
        /// The name of the Secret.
        name: String,
    },
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
            SecretsError::NoRule { .. } => say("add one with the recipients: `creation_rules: [{ age: age1… }]`"),
            SecretsError::Rules { .. } => say("mend it; nothing is encrypted by rules that cannot be read"),
            SecretsError::Selection { .. } => say("set `encrypted_regex: ^(data|stringData)$`, as Flux wants it"),
            SecretsError::Sops { source, .. } => source.help(),
            SecretsError::NoCredential { host, .. } => {
                Some(format!("run `docker login {host}`, or give --docker-config"))
            }
            SecretsError::RefreshToken { host } => {
                Some(format!("log in with a user and a password or token: `docker login -u USER {host}`"))
            }
            SecretsError::Occupied { .. } => say("give another --file, or remove that one"),
        }
    }
}
